// One person at a terminal: what they type goes to the open chat or is a command, what happens to
// their device is shown in lines. Knows no clock, no files, no network: lines come in, time is
// handed in, the device has a Link.
//
// Threads: one owner. Bounded: lines typed ahead, unanswered sends, remembered chats and own
// messages all have their most; at the first two wants_lines() holds the typist (or the pipe) back.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client-sim/device/device.h"
#include "client-sim/people/chat_commands.h"
#include "client-sim/people/terminal.h"

namespace nightjar::client {

class Chat {
 public:
  struct Options {
    std::string uid;
    std::string device;
    uint64_t seed = 0;          // of the waits between tries to connect
    int64_t finish_ms = 5'000;  // how long the end waits for answers
  };

  // `terminal` must outlive the chat.
  Chat(Options options, std::unique_ptr<Link> link, Terminal* terminal);

  // A line was typed. REQUIRES: wants_lines().
  void Line(std::string line);
  void TooLongLine();
  bool wants_lines() const { return !ending_ && lines_.size() < kMostLines; }
  // Nothing more is typed: what is under way is finished, for a while.
  void EndOfInput(Now now);

  void Step(Now now);
  // Steady time at which Step() has something to do even if nothing comes.
  int64_t NextDeadline() const;

  bool done() const { return done_; }
  // There was a connection, everything typed was sent and answered, and nobody took the device
  // over.
  bool good() const { return good_; }

 private:
  static constexpr size_t kMostLines = 16;
  static constexpr size_t kMostUnanswered = 200;
  static constexpr size_t kMostChats = 1000;
  static constexpr size_t kMostOwn = 200;  // own messages whose marks are waited for
  static constexpr size_t kMostWatched = 200;
  static constexpr int64_t kAnswerMs = 10'000;  // then the next line is taken all the same
  static constexpr int64_t kNamesMs = 3'000;    // messages wait this long for their chats' names
  static constexpr size_t kMostEarly = 500;

  struct Known {  // a group
    std::string title;
    std::set<std::string> members;  // empty: not all known
  };
  struct Own {
    std::string chat_id;
    uint64_t msg_id = 0;
    std::string text;  // its beginning
  };
  struct Asked {
    Typed typed;
    std::string chat_id;
    bool holds = false;  // the next line waits for the answer
    int64_t since_ms = 0;
  };

  // -- lines (chat.cc) --------------------------------------------------------------------------
  void TakeLines(Now now);
  bool Held(Now now) const;
  void Do(const std::string& line, Now now);
  void Say(std::string text, Now now);
  void TalkTo(const std::string& uid, Now now);
  void OpenByName(const Typed& typed, bool listed, Now now);
  void Open(const std::string& chat_id, Now now);
  void Watch(const std::string& uid);
  void Finish(Now now);
  void End(bool good, Now now);

  // -- requests and answers (chat_asks.cc) ------------------------------------------------------
  void Ask(v1::Request request, Typed typed, Now now);
  void AskAbout(Typed typed, Now now);
  void Answer(const v1::Response& response, Now now);
  void ShowChats(const v1::ChatList& chats, Now now);
  void ShowView(const v1::ChatView& view, Now now);
  void ShowPresence(const v1::Presence& presence, Now now, bool with_age);

  // -- what happens (chat_shows.cc) -------------------------------------------------------------
  void Saw(const Happening& happening, Now now);
  void OnSynced(const Synced& synced, Now now);
  void OnDown(const WentDown& down, Now now);
  void OnAccepted(const SendAccepted& accepted, Now now);
  void OnRefused(const SendRefused& refused, Now now);
  void OnMessage(const v1::Message& message, Now now);
  void OnChange(const v1::ChatChange& change, Now now);
  void OnMark(const std::string& chat_id, Now now);
  void OnPresence(const v1::Presence& presence, Now now);

  void Know(const v1::Chat& chat);
  // How people call a chat; the partner's uid in direct ones.
  std::string NameOf(const std::string& chat_id) const;
  std::string WhereOf(const std::string& chat_id) const;  // empty: the open one
  std::set<std::string> Others(const std::string& chat_id) const;
  std::string Partner() const;  // of the open chat; empty in groups
  void ShowMessage(const v1::Message& message);
  void ShowEarly();

  Options options_;
  Terminal* terminal_;
  Device device_;
  std::deque<std::string> lines_;
  std::string open_;  // chat id
  std::map<std::string, Known> chats_;
  std::vector<std::string> listed_;             // by /chats, in its order
  std::map<uint64_t, std::string> unanswered_;  // client_msg_id -> the text's beginning
  std::deque<Own> own_;
  std::map<std::string, Asked> asked_;   // by request id
  std::map<std::string, bool> watched_;  // uid -> online, as shown last
  std::set<std::string> shown_;          // watched, and heard of at least once
  std::string listing_;            // the request that asks for the names of chats, at the start
  std::deque<v1::Message> early_;  // came meanwhile
  int64_t early_until_ms_ = INT64_MAX;
  std::vector<Happening> happened_;
  bool was_online_ = false, ever_online_ = false, told_down_ = false;
  bool ending_ = false, done_ = false, good_ = false, replaced_ = false;
  int64_t end_by_ms_ = INT64_MAX;
  int64_t online_since_ms_ = 0;
  int brief_ = 0;  // connections in a row that ended at once
};

}  // namespace nightjar::client
