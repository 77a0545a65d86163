#include "plugin/core/admit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "common/wire/names.h"
#include "plugin/core/tell.h"

namespace nightjar::core::admit {
namespace {

// Names come from outside: only what is well formed goes into a log line whole.
std::string ForLog(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 100)) out += (c > ' ' && c < 127) ? c : '?';
  return out;
}

int64_t ExpirySecond(int64_t expires_ms) { return (expires_ms + 999) / 1000; }

Result<Claims> Check(const State& s, const ConnectAsked& event, const ClientId& client) {
  if (!event.clean) return Status{Code::kFailedPrecondition, "clean session is required"};
  if (client.uid != event.user) {
    return Status{Code::kUnauthenticated, "user name and client id name different users"};
  }
  if (!s.keys) return Status{Code::kUnavailable, "no keys are loaded"};
  Result<Claims> claims = s.keys->Verify(event.password, s.now.unix_ms);
  if (!claims.ok()) return claims;
  if (claims->uid != client.uid) {
    return Status{Code::kUnauthenticated, "the token is another user's"};
  }
  if (!claims->device.empty() && claims->device != client.device) {
    return Status{Code::kUnauthenticated, "the token is for another device"};
  }
  if (claims->expires_ms <= s.now.unix_ms) {
    return Status{Code::kUnauthenticated, "the token has expired"};
  }
  return claims;
}

Session* Refuse(State& s, const ConnectAsked& event, const std::string& reason) {
  // Who shows nothing at all is a load balancer's health check, once a second: that is no news, and
  // must not use up the lines of those who were refused for a reason.
  const bool shows_nothing = event.user.empty() && event.password.empty();
  LogSome(s, shows_nothing ? "connect_probed" : "connect_refused",
          shows_nothing ? LogLevel::kDebug : LogLevel::kNotice,
          fmt::format("connect refused: client {}: {}", ForLog(event.client_id), reason));
  return nullptr;
}

}  // namespace

Session* Connect(State& s, const ConnectAsked& event) {
  const std::optional<ClientId> client = ParseClientId(event.client_id);
  if (!client) return Refuse(s, event, "the client id is not {uid}:{device}");
  Result<Claims> claims = Check(s, event, *client);
  if (!claims.ok()) return Refuse(s, event, claims.status().message());

  Session* session = s.directory.Find(event.session);
  if (session != nullptr) {
    if (*session->user->uid != client->uid || session->device != client->device) {
      return Refuse(s, event, "a session cannot change its client id");
    }
    Forget(s, *session);  // its expiry may be another now
  } else {
    session = &s.directory.Add(event.session, client->uid, client->device);
    session->tokens = static_cast<float>(s.config.sends_burst);
    session->bucket_at = s.now.mono_ms;
    if (!claims->name.empty() || !claims->email.empty()) {
      session->more().name = claims->name;
      session->more().email = claims->email;
    }
    Log(s, LogLevel::kDebug, fmt::format("{}: connected", Name(*session)));
  }
  session->service = claims->service;
  session->expires_ms = claims->expires_ms;
  s.expiries.emplace(ExpirySecond(session->expires_ms), session->id);
  return session;
}

bool MayPublish(const Session& session, const Topic& topic, std::string_view name) {
  if (session.replaced) return false;
  switch (topic.kind) {
    case TopicKind::kSend:
    case TopicKind::kAck:
    case TopicKind::kRequest:
      return true;
    case TopicKind::kPresenceWill:
      return topic.uid == *session.user->uid && topic.device == session.device;
    case TopicKind::kService:
      return session.service && (name.starts_with("svc/reply/") || name == "svc/persister");
    case TopicKind::kNone:
    case TopicKind::kInbox:
    case TopicKind::kTail:
    case TopicKind::kPresence:
      break;
  }
  return false;
}

bool MaySubscribe(const Session& session, const Topic& topic, std::string_view filter) {
  if (session.replaced) return false;
  switch (topic.kind) {
    case TopicKind::kInbox:
      return topic.uid.empty() || topic.uid == *session.user->uid;
    case TopicKind::kTail:
      return topic.uid == *session.user->uid;
    case TopicKind::kPresence:
      return true;
    case TopicKind::kNone:
    case TopicKind::kService:
      return session.service && (filter == "svc/store/#" || filter == "svc/again/#" ||
                                 filter == "svc/persister" || filter == "$share/store/svc/store/#");
    case TopicKind::kSend:
    case TopicKind::kAck:
    case TopicKind::kRequest:
    case TopicKind::kPresenceWill:
      break;
  }
  return false;
}

uint32_t TakeSend(const State& s, Session& session) {
  const auto rate = static_cast<float>(s.config.sends_per_s);
  const auto passed = static_cast<float>(s.now.mono_ms - session.bucket_at);
  session.bucket_at = s.now.mono_ms;
  session.tokens =
      std::min(static_cast<float>(s.config.sends_burst), session.tokens + passed * rate / 1000.0F);
  if (session.tokens >= 1.0F) {
    session.tokens -= 1.0F;
    return 0;
  }
  return static_cast<uint32_t>(
      std::ceil((1.0F - session.tokens) * 1000.0F / std::max(rate, 0.001F)));
}

void Forget(State& s, const Session& session) {
  s.expiries.erase({ExpirySecond(session.expires_ms), session.id});
}

void CloseExpired(State& s) {
  while (!s.expiries.empty() && s.expiries.begin()->first * 1000 <= s.now.unix_ms) {
    Session* session = s.directory.Find(s.expiries.begin()->second);
    s.expiries.erase(s.expiries.begin());
    if (session == nullptr || session->closing) continue;
    TellNotice(s, *session, v1::Notice::TOKEN_EXPIRED, "the token has expired");
    Log(s, LogLevel::kInfo, fmt::format("{}: closed: token expired", Name(*session)));
    Close(s, *session);
  }
}

int64_t NextExpiry(const State& s) {
  if (s.expiries.empty()) return INT64_MAX;
  const int64_t left = s.expiries.begin()->first * 1000 - s.now.unix_ms;
  return s.now.mono_ms + std::max<int64_t>(left, 0);
}

}  // namespace nightjar::core::admit
