// The demo: the people of a Script chat over a live stack, everything they see is printed, and the
// oracle judges it.
//
// One owner, who calls Step() whenever something came or NextDeadline() is reached. Reads no clock.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client-sim/device/device.h"
#include "client-sim/judge/oracle.h"
#include "client-sim/people/terminal.h"
#include "client-sim/people/user.h"

namespace nightjar::client {

class Demo {
 public:
  static constexpr int64_t kStartLimitMs = 15'000;   // until all are online and the group exists
  static constexpr int64_t kSettleLimitMs = 15'000;  // after the last word, for all to arrive

  using MakeLink =
      std::function<std::unique_ptr<Link>(const std::string& uid, const std::string& device)>;
  Demo(Script script, uint64_t seed, const MakeLink& make_link, Terminal* terminal,
       OracleOptions judge = {});
  ~Demo();

  void Step(Now now);
  int64_t NextDeadline() const;

  bool done() const { return stage_ == Stage::kDone; }
  // REQUIRES: done(). True if everything accepted was delivered exactly once and all marks came;
  // prints the summary, or what went wrong.
  bool Conclude(Now now);

 private:
  enum class Stage { kConnecting, kGathering, kTalking, kSettling, kDone };
  struct Person;
  struct Said {  // an accepted message whose double tick has not been shown yet
    std::string who, where, text, chat_id;
    uint64_t msg_id = 0;
    int64_t accepted_ms = 0;
  };

  void Advance(Now now);
  void Do(const Beat& beat, Now now);
  void Saw(Person& person, const Happening& happening, Now now);
  void OnAccepted(Person& person, const SendAccepted& accepted, Now now);
  void OnPresence(const Person& person, const v1::Presence& presence, Now now);
  void ShowDelivered(Now now);
  void CountMissed(Person& person, Now now);
  void GiveUp(std::string why, Now now);
  Person& Find(const std::string& uid);

  Script script_;
  Terminal* terminal_;
  Oracle oracle_;
  std::vector<std::unique_ptr<Person>> people_;
  Stage stage_ = Stage::kConnecting;
  int64_t stage_ends_ms_ = 0;  // when the present stage gives up
  int64_t began_ms_ = 0;       // of the talk
  size_t next_beat_ = 0;
  std::string group_id_, group_request_;
  std::vector<Said> said_;
  std::map<std::string, bool> presence_;
  std::vector<int64_t> accept_ms_;
  std::map<std::pair<std::string, uint64_t>, int64_t> sent_at_ms_;  // (uid, client_msg_id)
  std::string gave_up_;
};

}  // namespace nightjar::client
