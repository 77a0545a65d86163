#include "plugin/broker_shell.h"

#include <mosquitto_plugin.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>
#include <variant>

#include "common/base/clock.h"
#include "common/wire/names.h"
#include "plugin/subscriber_lists.h"

namespace nightjar::plugin {
namespace {

// Calls that the core may have under way: those it bounds itself (sends), and as many again of
// those that must go through when sends are refused (acknowledgements, logouts).
constexpr size_t kCallsPerSend = 2;

// The wake-up connection is not there: said after so long, once.
constexpr int64_t kComplainMs = 3000;

std::string_view View(const char* text) { return text == nullptr ? "" : text; }

// The filter is in a buffer of the broker's own, which it goes on to file the subscription by.
void FileApart(const mosquitto_evt_acl_check& event, core::SessionId session) {
  if (SharedFilter(View(event.topic))) const_cast<char*>(event.topic)[0] = ListFor(session);
}

template <typename... F>
struct Cases : F... {
  using F::operator()...;
};

}  // namespace

void Log(core::LogLevel level, const std::string& text) {
  int priority = MOSQ_LOG_ERR;
  switch (level) {
    case core::LogLevel::kDebug:
      priority = MOSQ_LOG_DEBUG;
      break;
    case core::LogLevel::kInfo:
      priority = MOSQ_LOG_INFO;
      break;
    case core::LogLevel::kNotice:
      priority = MOSQ_LOG_NOTICE;
      break;
    case core::LogLevel::kWarning:
      priority = MOSQ_LOG_WARNING;
      break;
    case core::LogLevel::kError:
      priority = MOSQ_LOG_ERR;
      break;
  }
  mosquitto_log_printf(priority, "nightjar: %s", text.c_str());
}

BrokerShell::BrokerShell(const Options& options, core::Config config, KeyFile key_file,
                         std::shared_ptr<const KeySet> keys)
    : owner_(std::this_thread::get_id()),
      log_level_(options.log_level),
      hub_drain_ms_(options.redis.drain_ms),
      drain_ms_(config.drain_ms),
      wake_socket_(options.wake_socket),
      key_file_(std::move(key_file)),
      keys_(std::move(keys)),
      wake_identity_(WakeIdentity::Make()),
      wake_client_(options.wake_socket, wake_identity_),
      hub_(config.hub_calls * kCallsPerSend, [this] { wake_client_.Wake(); }),
      engine_(std::move(config), keys_) {}

// The hub's thread uses the wake client: it ends first.
BrokerShell::~BrokerShell() { hub_.Stop(); }

void BrokerShell::CheckThread() const {
  if (std::this_thread::get_id() != owner_) std::abort();
}

// ---- events ------------------------------------------------------------------------------------

core::Verdict BrokerShell::Feed(core::Event event) {
  CheckThread();
  // Kicks, the one action that would call back, are put off: nothing comes in while this runs.
  if (feeding_) std::abort();
  struct Guard {
    bool& flag;
    explicit Guard(bool& f) : flag(f) { flag = true; }
    ~Guard() { flag = false; }
  } guard(feeding_);
  engine_.Handle(std::move(event), SystemNow(), actions_);
  for (core::Action& action : actions_.list) Do(action);
  return actions_.verdict;
}

void BrokerShell::Do(core::Action& action) {
  std::visit(Cases{
                 [this](core::PublishTo& publish) { DoPublish(publish); },
                 [this](core::PublishAll& publish) {
                   DoPublish({0, std::move(publish.topic), std::move(publish.payload), 0});
                 },
                 [this](core::Kick& kick) {
                   kicks_.push_back({kick.session, ticks_});
                 },
                 [this](core::AskHub& ask) { hub_.Ask(ask.token, std::move(ask.call)); },
                 [this](core::Emptied&) { emptied_ = true; },
                 [this](core::CannotGoOn& why) { Fail(why.reason); },
                 [this](core::LogLine& line) {
                   if (line.level >= log_level_) Log(line.level, line.text);
                 },
             },
             action);
}

// Session 0: everybody who is subscribed.
void BrokerShell::DoPublish(const core::PublishTo& publish) {
  if (stopping_) return;
  const char* client_id = nullptr;
  if (publish.session != 0) {
    const Session* const session = sessions_.Find(publish.session);
    // The broker knows clients by id only: after a takeover it would reach the newer session.
    if (session == nullptr || !sessions_.Current(*session)) return;
    client_id = session->client_id.c_str();
  }
  void* payload = nullptr;
  if (!publish.payload.empty()) {
    payload = mosquitto_malloc(publish.payload.size());  // the broker frees it
    if (payload == nullptr) return;  // its memory_limit; the inbox makes it good
    std::memcpy(payload, publish.payload.data(), publish.payload.size());
  }
  if (mosquitto_broker_publish(client_id, publish.topic.c_str(),
                               static_cast<int>(publish.payload.size()), payload, publish.qos,
                               false, nullptr) != MOSQ_ERR_SUCCESS) {
    mosquitto_free(payload);
  }
}

// ---- callbacks ---------------------------------------------------------------------------------

int BrokerShell::OnBasicAuth(const mosquitto_evt_basic_auth& event) {
  CheckThread();
  const std::string_view client_id = View(mosquitto_client_id(event.client));
  const std::string_view user = View(event.username), password = View(event.password);
  if (wake_identity_.Matches(client_id, user, password)) {
    wake_connection_ = event.client;
    return MOSQ_ERR_SUCCESS;
  }
  Session* const known = sessions_.FindClient(event.client);
  if (reloading_) {
    // What the broker keeps without a connection (MQTT 5 session expiry) is no session here.
    if (known == nullptr || known->gone) return MOSQ_ERR_AUTH;
    return VerifyAgain(*known, event);
  }
  if (known != nullptr) {  // the pointer is used again
    if (!known->gone) Feed(core::Disconnected{known->id});
    sessions_.Remove(*known);
  }
  Session& session = sessions_.Add(event.client, client_id);
  const core::ConnectAsked asked{.session = session.id,
                                 .client_id = client_id,
                                 .user = user,
                                 .password = password,
                                 .clean = mosquitto_client_clean_session(event.client)};
  const core::Verdict verdict = Feed(asked);
  if (verdict == core::Verdict::kAllow) return MOSQ_ERR_SUCCESS;
  sessions_.Remove(session);
  // An error that is none of authentication's makes the broker close without a CONNACK: clients
  // take that for trouble on the way and try again, where a refusal makes many give up.
  return verdict == core::Verdict::kLater ? MOSQ_ERR_UNKNOWN : MOSQ_ERR_AUTH;
}

// After SIGHUP: do the keys, perhaps new ones, still vouch for a connected client?
int BrokerShell::VerifyAgain(const Session& session, const mosquitto_evt_basic_auth& event) {
  const auto claims = keys_->Verify(View(event.password), SystemNow().unix_ms);
  const auto name = ParseClientId(session.client_id);
  if (claims.ok() && name && claims->uid == name->uid) return MOSQ_ERR_SUCCESS;
  Log(core::LogLevel::kNotice, "session of " + session.client_id +
                                   " closed: its token is no longer valid" +
                                   (claims.ok() ? "" : " (" + claims.status().message() + ")"));
  return MOSQ_ERR_AUTH;
}

int BrokerShell::OnAclCheck(const mosquitto_evt_acl_check& event) {
  CheckThread();
  const std::string_view topic = View(event.topic);
  if (event.client == wake_connection_) {
    const bool wake = event.access == MOSQ_ACL_WRITE && topic == WakeClient::kTopic;
    return wake ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
  }
  const Session* const session = sessions_.FindClient(event.client);
  if (session == nullptr) return MOSQ_ERR_ACL_DENIED;
  core::Verdict verdict = core::Verdict::kDeny;
  switch (event.access) {
    case MOSQ_ACL_READ:  // it has subscribed, so it may read
      verdict = session->gone ? core::Verdict::kDeny : core::Verdict::kAllow;
      break;
    case MOSQ_ACL_WRITE:
      verdict = Feed(core::PublishAsked{session->id, topic});
      // A last will: the core knows now, and nobody else is to get or keep it.
      if (session->gone) verdict = core::Verdict::kDeny;
      break;
    case MOSQ_ACL_SUBSCRIBE:
      verdict = Feed(core::SubscribeAsked{session->id, topic, event.qos});
      if (verdict == core::Verdict::kAllow) FileApart(event, session->id);
      break;
    case MOSQ_ACL_UNSUBSCRIBE:
      Feed(core::Unsubscribed{session->id, topic});
      FileApart(event, session->id);
      verdict = core::Verdict::kAllow;
      break;
    default:
      break;
  }
  return verdict == core::Verdict::kAllow ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
}

int BrokerShell::OnMessage(mosquitto_evt_message& event) {
  CheckThread();
  event.retain = false;  // nothing is ever retained here
  if (event.client == wake_connection_) {
    DrainHub();
    FeedTime();
    return MOSQ_ERR_SUCCESS;
  }
  const Session* const session = sessions_.FindClient(event.client);
  if (session == nullptr || session->gone) return MOSQ_ERR_ACL_DENIED;
  const core::Published published{
      .session = session->id,
      .topic = View(event.topic),
      .payload = {static_cast<const char*>(event.payload), event.payload ? event.payloadlen : 0},
      .qos = event.qos};
  return Feed(published) == core::Verdict::kDeny ? MOSQ_ERR_ACL_DENIED : MOSQ_ERR_SUCCESS;
}

void BrokerShell::OnDisconnect(mosquitto* client) {
  CheckThread();
  if (client == wake_connection_) {
    wake_connection_ = nullptr;
    return;
  }
  Session* const session = sessions_.FindClient(client);
  // Not let in, or told before: a client that is kicked disconnects twice.
  if (session == nullptr || session->gone) return;
  const core::SessionId id = session->id;
  sessions_.MarkGone(*session);
  Feed(core::Disconnected{id});
}

void BrokerShell::OnReload() {
  CheckThread();
  reloading_ = true;
  ReadKeys("SIGHUP");
}

void BrokerShell::OnTick() {
  CheckThread();
  ++ticks_;
  reloading_ = false;
  const Now now = SystemNow();
  wake_client_.Tend(now.mono_ms);
  WatchWakeUps(now.mono_ms);
  DrainHub();
  WatchStop(now.mono_ms);
  RunKicks();
  sessions_.Sweep();
  if (key_file_.Changed(now.mono_ms)) ReadKeys("it has changed");
  FeedTime();
}

// ---- what the tick does ------------------------------------------------------------------------

void BrokerShell::DrainHub() {
  wake_client_.Woken();
  hub_.Drain(drained_);
  if (drained_.down) Feed(std::move(*drained_.down));
  if (drained_.up) {
    for (const std::string& warning : drained_.warnings) Log(core::LogLevel::kWarning, warning);
    Feed(core::HubUp{});
  }
  if (drained_.relay_overflow) {
    Log(core::LogLevel::kWarning,
        "the relay brings more than this broker can take in; comparing heads");
  }
  if (drained_.relay_up) Feed(core::RelayUp{});
  for (core::HubReplied& reply : drained_.replies) Feed(std::move(reply));
  for (hub::Relayed& what : drained_.relayed) Feed(core::Relayed{std::move(what)});
  drained_.clear();
}

// Between two steps the broker reads its connections, and comes back. Timers as such can wait for
// its next tick: waking up for them would keep it turning for a ms before each.
void BrokerShell::FeedTime() {
  if (SystemNow().mono_ms >= engine_.NextDeadline()) Feed(core::Tick{});
  if (engine_.Unfinished()) wake_client_.Wake();
}

// Asked to stop: the broker empties itself first, unless that takes too long.
void BrokerShell::WatchStop(int64_t mono_ms) {
  if (drain_ms_ > 0 && ticks_ == 1) signals_.Take();
  if (drained_by_ms_ == 0) {
    if (!signals_.Asked()) return;
    drained_by_ms_ = mono_ms + drain_ms_;
    Log(core::LogLevel::kNotice, "draining before the stop (a second signal stops at once)");
    Feed(core::Drain{});
  }
  if (!signals_.taken()) return;  // passed on already
  if (!emptied_ && mono_ms < drained_by_ms_) return;
  if (!emptied_) Log(core::LogLevel::kWarning, "the time for draining is over");
  signals_.Pass();
}

void BrokerShell::Fail(const std::string& reason) {
  if (failed_ || stopping_) return;
  failed_ = true;
  Log(core::LogLevel::kError, "cannot go on: " + reason);
  signals_.Pass();
}

// A kick closes the socket at once, while what was published just before waits for the broker's
// next pass. So it is done in the second tick after it was asked for: by then a whole pass lies
// between.
void BrokerShell::RunKicks() {
  if (kicks_.empty()) return;
  std::vector<PendingKick> due;
  std::erase_if(kicks_, [&](const PendingKick& kick) {
    if (ticks_ < kick.asked_at + 2) return false;
    due.push_back(kick);
    return true;
  });
  for (const PendingKick& kick : due) {
    const Session* const session = sessions_.Find(kick.session);
    // Gone, or taken over by a newer one of the same client id, which the broker sees to itself.
    if (session == nullptr || !sessions_.Current(*session)) continue;
    const std::string client_id = session->client_id;  // the call below ends the session
    mosquitto_kick_client_by_clientid(client_id.c_str(), false);
  }
}

void BrokerShell::ReadKeys(const char* why) {
  auto keys = key_file_.Load();
  if (!keys.ok()) {
    Log(core::LogLevel::kError, keys.status().message() + "; the keys read before stay in use");
    return;
  }
  keys_ = std::move(keys.value());
  engine_.SetKeys(keys_);
  Log(core::LogLevel::kNotice, std::string("keys read again (") + why + ")");
}

// Without the private listener everything still works, at the pace of the broker's tick.
void BrokerShell::WatchWakeUps(int64_t mono_ms) {
  if (started_ms_ == 0) started_ms_ = mono_ms;
  if (wake_connection_ != nullptr) {
    if (wake_complained_) Log(core::LogLevel::kNotice, "the wake-up connection is back");
    wake_complained_ = false;
    started_ms_ = mono_ms;
    return;
  }
  if (wake_complained_ || mono_ms - started_ms_ < kComplainMs) return;
  wake_complained_ = true;
  Log(core::LogLevel::kError, "no wake-up connection through " + wake_socket_ +
                                  " (is there a line \"listener 0 " + wake_socket_ +
                                  "\", and may it be opened?); answers are late by up to 100 ms");
}

void BrokerShell::Stop() {
  CheckThread();
  if (stopping_) return;
  stopping_ = true;
  signals_.GiveBack();
  Feed(core::Stopping{});
  // The broker has closed every connection without saying so. What is owed to these devices becomes
  // due for push now, not when somebody clears up after this broker.
  for (Session* const session : sessions_.Connected()) {
    const core::SessionId id = session->id;
    sessions_.MarkGone(*session);
    Feed(core::Disconnected{id});
  }
  const int64_t until = SystemNow().mono_ms + hub_drain_ms_;
  while (hub_.under_way() > 0 && SystemNow().mono_ms < until) {
    DrainHub();
    if (hub_.under_way() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  hub_.Stop();
  DrainHub();
}

}  // namespace nightjar::plugin
