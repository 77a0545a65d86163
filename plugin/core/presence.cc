#include "plugin/core/presence.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "plugin/core/session_line.h"
#include "plugin/core/tell.h"

namespace nightjar::core::presence {
namespace {

constexpr char kOfBroker = ' ';  // never part of a uid

void Set(State& s, const std::string& uid, bool online, const hub::BrokerName& broker,
         uint32_t tries) {
  session_line::Put(s, PendingSetPresence{{uid, online, broker, s.now.unix_ms}, tries});
}

void Wait(State& s, std::string who, const PresenceWait& wait) {
  s.presence[who] = wait;
  s.timers.Add(wait.at, TimerKind::kPresence, 0, std::move(who));
}

// Another try. Nobody is known to have stayed away meanwhile: offline waits for a new grace.
int64_t Again(const State& s, const PendingSetPresence& pending) {
  const int64_t delay = RetryDelay(pending.tries);
  if (pending.call.online) return s.now.mono_ms + delay;
  return s.now.mono_ms + std::max<int64_t>(delay, s.config.offline_after_ms);
}

// As it is now: whatever was said before, the newest word is the true one.
void TellTails(State& s, const User& user) {
  Ask(s, hub::Tail{*user.uid, s.broker, user.tails > 0 ? 1U : 0U}, PendingTail{*user.uid});
}

uint8_t Bit(Encoding encoding) { return encoding == Encoding::kJson ? 2 : 1; }

}  // namespace

void DeviceUp(State& s, Session& session, bool online) {
  if (online) return;
  s.timers.Add(s.now.mono_ms + s.config.online_after_ms, TimerKind::kOnline, session.id);
}

void OnOnlineTimer(State& s, SessionId id) {
  const Session* session = s.directory.Find(id);
  if (session == nullptr || !session->inbox || session->replaced) return;
  Set(s, *session->user->uid, true, s.broker, 0);
}

void DeviceGoes(State& s, const Session& session) {
  std::string who = *session.user->uid + kOfBroker + s.broker;
  const auto known = s.presence.find(who);
  if (known == s.presence.end() || known->second.online) return;
  Wait(s, std::move(who), {s.now.mono_ms + s.config.offline_after_ms, false, known->second.tries});
}

void DeviceDown(State& s, const hub::Logout& call, const hub::LogoutReply& reply) {
  if (reply.routes > 0 || !reply.online) return;
  std::string who = call.uid + kOfBroker + call.broker;
  const auto known = s.presence.find(who);
  const bool waits = known != s.presence.end() && !known->second.online;
  if (waits && !reply.removed) return;  // gone already, and its grace is running
  Wait(s, std::move(who),
       {s.now.mono_ms + s.config.offline_after_ms, false, waits ? known->second.tries : 0});
}

void OnPresenceTimer(State& s, const std::string& who) {
  // Who came back and left again has a later one.
  const auto it = s.presence.find(who);
  if (it == s.presence.end() || it->second.at > s.now.mono_ms) return;
  const PresenceWait wait = it->second;
  s.presence.erase(it);
  const size_t blank = who.find(kOfBroker);
  Set(s, who.substr(0, blank), wait.online, who.substr(blank + 1), wait.tries);
}

bool SetOffline(State& s, const PendingLogout& pending, const hub::LogoutReply& reply) {
  if (reply.routes > 0 || !reply.online) return false;
  hub::SetPresence call{pending.call.uid, false, pending.call.broker, s.now.unix_ms};
  PendingSetPresence set{call, 0, s.presence_words, pending.run};
  if (pending.run == 0) {
    session_line::Put(s, std::move(set));
  } else {  // the clearing stage has a bound of its own
    Ask(s, std::move(call), std::move(set));
  }
  return true;
}

const hub::PresenceState* OnSet(State& s, PendingSetPresence& pending, hub::Reply& reply) {
  const hub::SetPresence& call = pending.call;
  if (const auto* set = std::get_if<hub::SetPresenceReply>(&reply)) {
    if (set->changed) {
      Log(s, LogLevel::kDebug,
          fmt::format("{}: {}", set->state.uid, set->state.online ? "online" : "offline"));
    }
    return &set->state;
  }
  if (pending.run != 0) return nullptr;  // found again by the clearing stage
  std::string who = call.uid + kOfBroker + call.broker;
  const auto newer = s.presence.find(who);
  if (newer == s.presence.end()) {
    Wait(s, std::move(who), {Again(s, pending), call.online, pending.tries + 1});
  } else if (newer->second.online == call.online) {
    ++newer->second.tries;
  }
  return nullptr;
}

void Clear(State& s) {
  s.presence.clear();
  for (auto& [id, session] : s.directory.all()) {
    session.tails = 0;
    session.user->tails = 0;
  }
}

void Forget(State& s, Session& session) {
  TailOff(s, session, Encoding::kProtobuf);
  TailOff(s, session, Encoding::kJson);
}

void TailOn(State& s, Session& session, Encoding encoding, int qos) {
  session.tail_qos[encoding == Encoding::kJson ? 1 : 0] = qos > 0 ? 1 : 0;
  if ((session.tails & Bit(encoding)) != 0) return;
  session.tails |= Bit(encoding);
  if (session.user->tails++ == 0) TellTails(s, *session.user);
}

void TailOff(State& s, Session& session, Encoding encoding) {
  if ((session.tails & Bit(encoding)) == 0) return;
  session.tails &= static_cast<uint8_t>(~Bit(encoding));
  if (--session.user->tails == 0) TellTails(s, *session.user);
}

bool OnTail(State& s, const std::string& uid, bool done) {
  User* user = s.directory.FindUser(uid);
  if (user == nullptr) return done;
  if (done) {
    user->tail_tries = 0;
  } else if (!std::exchange(user->tail_again, true)) {
    s.timers.Add(s.now.mono_ms + RetryDelay(user->tail_tries), TimerKind::kTail, 0, uid);
    if (user->tail_tries < UINT8_MAX) ++user->tail_tries;
  }
  return true;
}

bool OnTailTimer(State& s, const std::string& uid) {
  User* user = s.directory.FindUser(uid);
  if (user == nullptr) return false;
  user->tail_again = false;
  TellTails(s, *user);
  return true;
}

}  // namespace nightjar::core::presence
