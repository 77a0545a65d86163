#include "notifier/core/round.h"

#include <openssl/sha.h>

#include <algorithm>
#include <cassert>

#include "common/wire/base64url.h"

namespace nightjar::notify {
namespace {

// 24 characters fit every gateway (Web Push allows 32), and say neither who nor where.
std::string CollapseKey(const std::string& uid, const std::string& chat) {
  std::string named = "nightjar collapse";
  for (const std::string& part : {uid, chat}) named.append(1, '\0').append(part);
  unsigned char hash[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(named.data()), named.size(), hash);
  return Base64UrlEncode({reinterpret_cast<const char*>(hash), 18});
}

bool TooOld(MsgId id, const RoundOptions& options, int64_t now_ms) {
  return MsgIdMs(id) + options.expire_ms <= now_ms;
}

}  // namespace

Round::Round(const UserState& user, const Digest& digest, const RoundOptions& options,
             int64_t now_ms)
    : user_(user), digest_(digest), options_(options), now_ms_(now_ms) {
  decided_.resize(digest.chats().size());
  of_chat_.resize(digest.chats().size());
  if (user.routes > 0) return;
  for (uint32_t i = 0; i < user.devices.size(); ++i) {
    const Device& device = user.devices[i];
    const bool configured = options.gateways[static_cast<size_t>(GatewayOf(device.registration))];
    if (configured && !InForce(device.quiet_until_ms, now_ms)) devices_.push_back(i);
  }
  std::vector<bool> fresh(digest.chats().size());
  for (const Digest::Owed& owed : digest.owed()) {
    if (owed.seq > user.acked && !TooOld(owed.msg_id, options, now_ms) && !IsTold(owed)) {
      fresh[owed.chat] = true;
    }
  }
  for (uint32_t chat = 0; chat < digest.chats().size(); ++chat) {
    decided_[chat] = DecideChat(digest.chats()[chat].id);
    if (fresh[chat] && !decided_[chat]) AddNotifications(chat);
  }
  answers_.resize(notifications_.size());
  unanswered_ = notifications_.size();
}

std::optional<Outcome> Round::DecideChat(const std::string& chat) const {
  const auto mute = user_.mutes.find(chat);
  if (mute != user_.mutes.end() && InForce(mute->second, now_ms_)) return Outcome::kMuted;
  if (!devices_.empty()) return std::nullopt;
  if (user_.devices.empty()) return Outcome::kNoRegistration;
  const bool all_quiet =
      std::all_of(user_.devices.begin(), user_.devices.end(),
                  [this](const Device& d) { return InForce(d.quiet_until_ms, now_ms_); });
  return all_quiet ? Outcome::kOptedOut : Outcome::kNoGateway;
}

void Round::AddNotifications(uint32_t chat) {
  const Digest::Chat& what = digest_.chats()[chat];
  Notification notification;
  notification.chat = chat;
  notification.expires_ms = MsgIdMs(what.newest) + options_.expire_ms;
  notification.collapse_key = CollapseKey(user_.uid, what.id);
  notification.count = what.unread;
  notification.badge = digest_.unread();
  for (const uint32_t device : devices_) {
    notification.device = device;
    notification.gateway = GatewayOf(user_.devices[device].registration);
    of_chat_[chat].push_back(static_cast<uint32_t>(notifications_.size()));
    notifications_.push_back(notification);
  }
}

void Round::Answer(size_t index, const notify::Answer& answer) {
  assert(index < answers_.size());
  if (!answers_[index]) --unanswered_;
  answers_[index] = answer;
}

// What the answers make of the chat's messages; nothing: they are to be tried again. One device
// that is told is enough: the others show what they missed when they connect.
std::optional<Outcome> Round::OfChat(uint32_t chat) const {
  if (decided_[chat]) return decided_[chat];
  bool later = false, failed = false;
  for (const uint32_t index : of_chat_[chat]) {
    const auto& answer = answers_[index];
    if (answer && answer->kind == Answer::Kind::kSent) return Outcome::kSent;
    later |= !answer || answer->kind == Answer::Kind::kLater;
    failed |= answer && answer->kind == Answer::Kind::kFailed;
  }
  if (later) return std::nullopt;
  return failed ? Outcome::kFailed : Outcome::kDeadToken;
}

bool Round::IsTold(const Digest::Owed& owed) const {
  const auto told = user_.told.find(digest_.chats()[owed.chat].id);
  return told != user_.told.end() && told->second >= owed.msg_id;
}

std::optional<Outcome> Round::OfMessage(const Digest::Owed& owed, int64_t now_ms) const {
  if (IsTold(owed)) return Outcome::kSent;
  if (owed.seq <= user_.acked) return Outcome::kAcknowledged;
  if (TooOld(owed.msg_id, options_, now_ms_)) return Outcome::kExpired;
  const std::optional<Outcome> outcome = OfChat(owed.chat);
  if (!outcome && TooOld(owed.msg_id, options_, now_ms)) return Outcome::kExpired;
  return outcome;
}

// What has left the inbox can no longer be told from own messages and changes: each entry counts.
void Round::SettleGone(Settlement& settled) const {
  const uint64_t gone = std::min(user_.base, user_.head);
  if (gone < user_.owed) return;
  const uint64_t had = std::clamp(user_.acked, user_.owed - 1, gone);
  settled.tally.Add(Outcome::kAcknowledged, had - (user_.owed - 1));
  settled.tally.Add(Outcome::kExpired, gone - had);
  settled.upto = gone;
}

// The soonest that a gateway named; a gateway that wants it later holds back what is for it.
int64_t Round::AgainMs(int64_t now_ms) const {
  int64_t after = options_.retry_most_ms;
  for (const auto& answer : answers_) {
    const bool later = !answer || answer->kind == Answer::Kind::kLater;
    if (!later) continue;
    const bool named = answer && answer->after_ms > 0;
    after = std::min(after, named ? answer->after_ms : options_.retry_ms);
  }
  return now_ms + after;
}

Round::Settlement Round::Settle(int64_t now_ms) const {
  Settlement settled;
  if (user_.owed == 0 || user_.routes > 0) return settled;
  SettleGone(settled);
  bool waits = false;
  for (const Digest::Owed& owed : digest_.owed()) {
    const std::optional<Outcome> outcome = OfMessage(owed, now_ms);
    if (!outcome) {
      settled.upto = owed.seq - 1;
      waits = true;
      break;
    }
    settled.tally.Add(*outcome);
  }
  if (!waits) settled.upto = std::max(settled.upto, digest_.upto());
  if (settled.upto < user_.owed) settled.upto = 0;
  settled.again = waits || settled.upto < user_.head;
  settled.again_ms = waits ? AgainMs(now_ms) : now_ms;
  return settled;
}

std::map<std::string, MsgId> Round::Told() const {
  std::map<std::string, MsgId> told = user_.told;
  for (uint32_t chat = 0; chat < of_chat_.size(); ++chat) {
    if (of_chat_[chat].empty() || OfChat(chat) != Outcome::kSent) continue;
    MsgId& newest = told[digest_.chats()[chat].id];
    newest = std::max(newest, digest_.chats()[chat].newest);
  }
  return told;
}

}  // namespace nightjar::notify
