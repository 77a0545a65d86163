// Does presence tell the truth (G6)? Compares what watchers are shown with when devices were
// connected, within the times that are promised.
//
// Judged only for users whom somebody watches, which shows by the first presence frame. What the
// judge cannot know (when exactly a server learned of a connection or its end) is given slack, and
// more of it after faults.
//
// Pure; one owner. Times are steady milliseconds.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "client-sim/judge/basics.h"
#include "client-sim/judge/oracle.h"

namespace nightjar::client::judge {

class PresenceJudge {
 public:
  // (observer's device, the user who was shown wrongly, what)
  using Report = std::function<void(uint32_t, uint32_t, std::string)>;
  PresenceJudge(const OracleOptions& options, Report report)
      : options_(options), report_(std::move(report)) {}

  // A device of the user is connected, or not any more.
  void Up(uint32_t user, uint32_t device, int64_t now_ms);
  void Down(uint32_t user, uint32_t device, int64_t now_ms);
  // The device was shown the presence of `user`.
  void Shown(uint32_t device, uint32_t user, bool online, int64_t now_ms);
  void Disturbed(int64_t now_ms, bool sessions_may_die);
  // Checks whose time has come.
  void Tick(int64_t now_ms) {
    if (!due_.empty() && due_.top().first <= now_ms) CheckDue(now_ms);
  }
  // The last word: everybody who watches must be shown how it is, unless it changed just now.
  void Finish(int64_t now_ms);

 private:
  static constexpr int64_t kLongAgo = INT64_MIN / 4;
  enum class Sight : uint8_t { kUnknown, kOffline, kOnline };
  struct Observer {
    uint32_t device = kNone;
    Sight shown = Sight::kUnknown;
    bool blamed = false;           // told once until something changes
    int64_t online_ms = kLongAgo;  // last shown as online, rightly
  };
  struct User {
    uint32_t up = 0;                  // connected devices
    int64_t steady_since = kLongAgo;  // last coming or going of any kind
    int64_t up_since = kLongAgo;      // first device after nobody, while up > 0
    int64_t down_since = kLongAgo;    // while up == 0
    int64_t absent_until = kLongAgo;  // end of the last absence that outlasted the grace
    int64_t gone_until = kLongAgo;    // end of the last one that must have been seen as such
    bool was_steady = false;          // a device was, long enough to be shown since then, for sure
    std::vector<Observer> observers;
  };
  struct Device {
    bool up = false;
    int64_t since = kLongAgo;
    std::vector<uint32_t> watches;
  };

  void CheckDue(int64_t now_ms);
  void Check(uint32_t user, int64_t now_ms);
  void CheckAt(uint32_t user, int64_t at_ms) { due_.emplace(at_ms, user); }
  int64_t Late() const { return options_.late_slack_ms + options_.silent_line_ms; }
  // Until then anything may be shown, because of faults.
  int64_t CalmAt() const;
  bool JudgeOnline(const User& user, int64_t now_ms, std::string& wrong) const;
  bool JudgeOffline(const User& user, const Observer& observer, int64_t now_ms,
                    std::string& wrong) const;

  const OracleOptions& options_;
  Report report_;
  std::unordered_map<uint32_t, User> users_;
  std::unordered_map<uint32_t, Device> devices_;
  std::priority_queue<std::pair<int64_t, uint32_t>, std::vector<std::pair<int64_t, uint32_t>>,
                      std::greater<>>
      due_;
  int64_t began_ms_ = kLongAgo;
  int64_t disturbed_ms_ = kLongAgo;  // any fault
  int64_t deadly_ms_ = kLongAgo;     // one that sessions may die of
};

}  // namespace nightjar::client::judge
