#include "client-sim/judge/presence.h"

#include <fmt/format.h>

#include <algorithm>

namespace nightjar::client::judge {

int64_t PresenceJudge::CalmAt() const {
  const int64_t deadly = deadly_ms_ + options_.broker_gone_ms + options_.online_after_ms + Late();
  const int64_t other = disturbed_ms_ + options_.offline_after_ms + Late();
  return std::max(deadly, other);
}

void PresenceJudge::Disturbed(int64_t now_ms, bool sessions_may_die) {
  disturbed_ms_ = now_ms;
  if (sessions_may_die) deadly_ms_ = now_ms;
}

void PresenceJudge::Up(uint32_t user_id, uint32_t device_id, int64_t now_ms) {
  if (began_ms_ == kLongAgo) began_ms_ = now_ms;
  Device& device = devices_[device_id];
  if (device.up) return;  // `sync` may come again
  device.up = true;
  device.since = now_ms;
  User& user = users_[user_id];
  if (user.up++ == 0) {
    if (now_ms - user.down_since >= options_.offline_after_ms - options_.early_slack_ms) {
      user.absent_until = now_ms;
      user.was_steady = false;
    }
    if (now_ms - user.down_since >= options_.offline_after_ms + Late()) user.gone_until = now_ms;
    user.up_since = now_ms;
  }
  user.steady_since = now_ms;
  if (!user.observers.empty()) CheckAt(user_id, now_ms + options_.online_after_ms + Late());
  for (const uint32_t watched : device.watches) CheckAt(watched, now_ms + Late());
}

void PresenceJudge::Down(uint32_t user_id, uint32_t device_id, int64_t now_ms) {
  Device& device = devices_[device_id];
  for (const uint32_t watched : device.watches) {
    for (Observer& observer : users_[watched].observers) {
      if (observer.device == device_id) observer.shown = Sight::kUnknown;
    }
  }
  if (!device.up) return;
  User& user = users_[user_id];
  // One connection has to last: that there was always some device does not make it steady.
  const int64_t shown_after = options_.online_after_ms + options_.early_slack_ms;
  if (now_ms - device.since >= shown_after) user.was_steady = true;
  device.up = false;
  device.since = now_ms;
  user.steady_since = now_ms;
  if (--user.up > 0) return;
  user.down_since = now_ms;
  if (!user.observers.empty()) CheckAt(user_id, now_ms + options_.offline_after_ms + Late());
}

bool PresenceJudge::JudgeOnline(const User& user, int64_t now_ms, std::string& wrong) const {
  if (user.up == 0) {
    // Before the judge began it may have been otherwise.
    const int64_t gone = now_ms - std::max(user.down_since, began_ms_);
    // A device may be connected for the server before it knows that itself.
    if (gone <= options_.offline_after_ms + Late() || options_.silent_line_ms > 0) return true;
    wrong = user.down_since == kLongAgo
                ? std::string("online, and was never connected")
                : fmt::format("online, {} ms after the last device was gone", gone);
    return false;
  }
  const int64_t steady = now_ms - user.up_since;
  const bool was_absent = user.gone_until == user.up_since;
  if (!was_absent || options_.silent_line_ms > 0) return true;
  if (steady >= options_.online_after_ms - options_.early_slack_ms) return true;
  wrong = fmt::format("online after only {} ms of connection", steady);
  return false;
}

bool PresenceJudge::JudgeOffline(const User& user, const Observer& observer, int64_t now_ms,
                                 std::string& wrong) const {
  const int64_t grace = options_.offline_after_ms - options_.early_slack_ms;
  // Since the last long absence: was it ever online for this one who watches?
  const bool was_online = observer.online_ms > user.absent_until;
  if (user.up == 0) {
    // The server may have known it for as long as a line can stand silent.
    if (now_ms - user.down_since + options_.silent_line_ms >= grace) return true;
    if (!user.was_steady && !was_online) return true;  // offline all the time, came for a moment
    wrong = fmt::format("offline {} ms after the last device was gone, within the grace",
                        now_ms - user.down_since);
    return false;
  }
  const int64_t shown_after = options_.online_after_ms + Late();
  const bool fresh = now_ms - user.absent_until <= shown_after ||
                     (!user.was_steady && now_ms - user.steady_since <= shown_after);
  if (fresh && !was_online) return true;
  if (options_.silent_line_ms > 0) return true;  // the server may know better than the device
  wrong = fmt::format("offline while connected for {} ms", now_ms - user.up_since);
  return false;
}

void PresenceJudge::Shown(uint32_t device_id, uint32_t user_id, bool online, int64_t now_ms) {
  if (began_ms_ == kLongAgo) began_ms_ = now_ms;
  User& user = users_[user_id];
  auto observer = std::find_if(user.observers.begin(), user.observers.end(),
                               [&](const Observer& o) { return o.device == device_id; });
  const bool fresh = observer == user.observers.end();
  if (fresh) {
    observer = user.observers.insert(observer, Observer{device_id});
    devices_[device_id].watches.push_back(user_id);
  }
  const Sight sight = online ? Sight::kOnline : Sight::kOffline;
  const bool news = observer->shown != sight;
  observer->shown = sight;
  if (news) observer->blamed = false;
  if (now_ms >= CalmAt()) {
    std::string wrong;
    const bool right =
        online ? JudgeOnline(user, now_ms, wrong) : JudgeOffline(user, *observer, now_ms, wrong);
    if (online && right) observer->online_ms = now_ms;
    if (!right && !observer->blamed) {
      observer->blamed = true;
      report_(device_id, user_id, std::move(wrong));
    }
  }
  // It must turn true even if nothing else happens.
  CheckAt(user_id, now_ms + std::max(options_.online_after_ms, options_.offline_after_ms) + Late());
}

void PresenceJudge::CheckDue(int64_t now_ms) {
  while (!due_.empty() && due_.top().first <= now_ms) {
    const uint32_t user = due_.top().second;
    due_.pop();
    if (now_ms < CalmAt()) {
      // Once per calm is enough: the same user may stand here many times.
      if (due_.empty() || due_.top() != std::make_pair(CalmAt(), user)) CheckAt(user, CalmAt());
      continue;
    }
    Check(user, now_ms);
  }
}

void PresenceJudge::Check(uint32_t user_id, int64_t now_ms) {
  User& user = users_[user_id];
  const int64_t settled = user.up > 0 ? options_.online_after_ms : options_.offline_after_ms;
  const int64_t still = std::max(user.steady_since, user.up > 0 ? user.up_since : user.down_since);
  if (now_ms - still < settled + Late()) return;  // a later check is on the list
  const Sight truth = user.up > 0 ? Sight::kOnline : Sight::kOffline;
  for (Observer& observer : user.observers) {
    const Device& device = devices_[observer.device];
    if (!device.up || observer.blamed || observer.shown == truth) continue;
    if (now_ms - device.since < Late()) continue;  // a check for its return is on the list
    observer.blamed = true;
    const char* now_is = truth == Sight::kOnline ? "connected" : "gone";
    const char* shown = observer.shown == Sight::kUnknown  ? "nothing"
                        : observer.shown == Sight::kOnline ? "online"
                                                           : "offline";
    report_(observer.device, user_id,
            fmt::format("{}, {} ms after being {}", shown, now_ms - still, now_is));
  }
}

void PresenceJudge::Finish(int64_t now_ms) {
  if (now_ms < CalmAt()) return;
  std::vector<uint32_t> all;
  for (const auto& [id, user] : users_) all.push_back(id);
  std::sort(all.begin(), all.end());
  for (const uint32_t user : all) Check(user, now_ms);
}

}  // namespace nightjar::client::judge
