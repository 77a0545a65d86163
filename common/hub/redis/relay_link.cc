#include "common/hub/redis/relay_link.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/hub/keys.h"
#include "common/hub/redis/command.h"
#include "common/wire/names.h"
#include "nightjar/v1/hub.pb.h"

namespace nightjar::hub {
namespace {

constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// What a subscribed connection is sent is an array that begins with its kind.
bool IsPush(const redisReply& reply, std::string_view kind, size_t elements) {
  return reply.type == REDIS_REPLY_ARRAY && reply.elements == elements &&
         Text(*reply.element[0]) == kind;
}

std::optional<Relayed> EntryOf(v1::Relayed& message) {
  if (message.uid_size() != message.seq_size()) return std::nullopt;
  RelayedEntry entry;
  entry.entry = std::move(*message.mutable_entry());
  for (int i = 0; i < message.uid_size(); ++i) {
    if (!ValidUid(message.uid(i)) || message.seq(i) == 0) return std::nullopt;
    entry.deliveries.push_back({std::move(*message.mutable_uid(i)), message.seq(i)});
  }
  return entry;
}

}  // namespace

std::optional<Relayed> DecodeRelayed(std::string_view bytes) {
  v1::Relayed message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  if (message.uid_size() > 0) return EntryOf(message);
  if (!message.mark_author().empty()) {
    if (!ValidUid(message.mark_author()) || !ValidUid(message.mark_uid()) ||
        !ParseChatId(message.mark_chat())) {
      return std::nullopt;
    }
    return RelayedMark{message.mark_author(), message.mark_chat(), message.mark_uid(),
                       message.mark_id()};
  }
  if (!message.presence_uid().empty()) {
    if (!ValidUid(message.presence_uid())) return std::nullopt;
    return PresenceState{message.presence_uid(), message.presence_online(),
                         message.presence_active_ms()};
  }
  if (!message.kick_uid().empty()) {
    if (!ValidUid(message.kick_uid()) || !ValidDevice(message.kick_device())) return std::nullopt;
    return RelayedKick{message.kick_uid(), message.kick_device(), message.kick_session(),
                       message.kick_broker()};
  }
  if (message.task_partition_plus_1() > 0) return RelayedTask{message.task_partition_plus_1() - 1};
  return std::nullopt;
}

// ---- the opening ------------------------------------------------------------------------------

Subscription::Subscription(const RedisOptions& options, const std::vector<std::string>& channels)
    : options_(options),
      channels_(channels),
      step_(options.password.empty() ? Step::kSubscribe : Step::kAuth) {}

std::string Subscription::Next() const {
  std::string out;
  CommandWriter c;
  if (step_ == Step::kAuth) {
    c.Arg("AUTH");
    if (!options_.user.empty()) c.Arg(options_.user);
    c.Arg(options_.password);
    c.AppendTo(out);
  } else if (!std::exchange(asked_, true)) {
    // One by one: channels of several slots cannot go into one command of a Cluster.
    for (const std::string& channel : channels_)
      c.Clear().Arg("SSUBSCRIBE").Arg(channel).AppendTo(out);
  }
  return out;
}

Status Subscription::Take(const redisReply& reply) {
  if (IsError(reply)) {
    return {Code::kUnavailable, "Redis does not let " + channels_[confirmed_] +
                                    " be listened to: " + std::string(Text(reply))};
  }
  if (step_ == Step::kAuth) {
    step_ = Step::kSubscribe;
    return {};
  }
  if (IsPush(reply, "smessage", 3)) return {};
  if (!IsPush(reply, "ssubscribe", 3)) {
    return {Code::kInternal, "SSUBSCRIBE: a reply of the wrong shape"};
  }
  if (++confirmed_ == channels_.size()) step_ = Step::kDone;
  return {};
}

// ---- the link ---------------------------------------------------------------------------------

RelayLink::RelayLink(const RedisOptions& options, RelayHooks hooks, uint64_t seed)
    : options_(options),
      hooks_(std::move(hooks)),
      on_(!hooks_.broker_id.empty()),
      backoff_(options.backoff_first_ms, options.backoff_cap_ms, seed) {}

void RelayLink::Follow(const RedisAddress& at, const std::string& run_id,
                       const std::vector<uint32_t>& partitions, int64_t now_ms) {
  if (!on_) return;
  std::vector<std::string> channels;
  for (const uint32_t p : partitions) {
    channels.push_back(keys::Join(keys::kRelay, keys::BrokerTail(p, hooks_.broker_id)));
  }
  const bool same = at_ == at && run_id_ == run_id && channels_ == channels;
  at_ = at;
  run_id_ = run_id;
  channels_ = std::move(channels);
  if (!same && link_.state() != Link::State::kClosed)
    Break("calls go to another Redis now", now_ms);
  // At once: marks that are relayed before it listens are not told again.
  if (link_.state() == Link::State::kClosed) next_open_ = now_ms;
}

void RelayLink::Work(int64_t now_ms) {
  if (!on_ || channels_.empty()) return;
  if (link_.state() == Link::State::kClosed) {
    if (now_ms < next_open_) return;
    opening_.emplace(options_, channels_);
    if (const Status status = link_.Open(now_ms, *at_, options_.connect_timeout_ms, *opening_);
        !status.ok()) {
      Break(status.message(), now_ms);
    }
    return;
  }
  if (now_ms < DueMs()) return;
  if (link_.state() != Link::State::kUp) {
    Break(link_.TooLate().message(), now_ms);
  } else if (asked_ != 0) {
    Break("Redis has been silent for " + std::to_string(options_.silence_ms) + " ms", now_ms);
  } else {
    asked_ = now_ms;
    link_.Queue(kPing);
    if (const Status status = link_.Flush(); !status.ok()) Break(status.message(), now_ms);
  }
}

int64_t RelayLink::DueMs() const {
  if (!on_ || channels_.empty()) return kNever;
  switch (link_.state()) {
    case Link::State::kClosed:
      return next_open_;
    case Link::State::kConnecting:
    case Link::State::kGreeting:
      return link_.deadline_ms();
    case Link::State::kUp:
      break;
  }
  return asked_ != 0 ? std::max(link_.heard_ms(), asked_) + options_.silence_ms
                     : link_.heard_ms() + options_.ping_ms;
}

void RelayLink::OnEvents(short revents, int64_t now_ms) {
  const bool was_up = link_.state() == Link::State::kUp;
  bool up = was_up;
  const Status status = link_.OnEvents(revents, now_ms, [this, &up](const redisReply& reply) {
    // The first message may have come with the confirmation.
    if (!std::exchange(up, true)) Up();
    return OnReply(reply);
  });
  if (!up && link_.state() == Link::State::kUp) Up();
  if (!status.ok()) Break(status.message(), now_ms);
}

void RelayLink::Up() {
  backoff_.Reset();
  asked_ = 0;
  told_trouble_ = told_bad_ = false;
  ups_.fetch_add(1, std::memory_order_relaxed);
  if (hooks_.on_state) hooks_.on_state(true);
}

void RelayLink::Break(const std::string& why, int64_t now_ms) {
  const bool was_up = link_.state() == Link::State::kUp;
  link_.Close();
  next_open_ = now_ms + backoff_.NextMs();
  if (!std::exchange(told_trouble_, true)) Trouble("the relay is away: " + why);
  if (was_up && hooks_.on_state) hooks_.on_state(false);
}

void RelayLink::Stop() {
  link_.Close();
  on_ = false;
}

bool RelayLink::OnReply(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_ERROR) return false;
  asked_ = 0;
  if (IsPush(reply, "smessage", 3)) {
    OnMessage(Text(*reply.element[2]));
  } else if (IsPush(reply, "sunsubscribe", 3)) {
    return false;  // the channel's slot is served elsewhere now
  } else if (!IsPush(reply, "pong", 2)) {
    OnMessage("?");  // nothing that is sent to a subscriber like this one
  }
  return true;
}

void RelayLink::OnMessage(std::string_view bytes) {
  if (bytes.empty()) return;  // somebody asked whether anybody listens
  std::optional<Relayed> message = DecodeRelayed(bytes);
  if (!message) {
    bad_.fetch_add(1, std::memory_order_relaxed);
    if (!std::exchange(told_bad_, true)) {
      Trouble("a message of the relay could not be read (" + std::to_string(bytes.size()) +
              " bytes); there may be more");
    }
    return;
  }
  relayed_.fetch_add(1, std::memory_order_relaxed);
  if (hooks_.on_message) hooks_.on_message(std::move(*message));
}

void RelayLink::Trouble(const std::string& line) {
  if (hooks_.on_trouble) hooks_.on_trouble(line);
}

}  // namespace nightjar::hub
