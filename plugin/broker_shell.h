// Between Mosquitto's callbacks and the core: callbacks become events, actions become calls of the
// broker. Nothing is decided here but what only the broker's ways demand (docs/architecture.md).
//
// Threads: the broker's, and no other; that is checked. mosquitto_* functions may be called nowhere
// else. Errors: bad input is the core's to answer; a callback never fails because of it.
#pragma once

#include <mosquitto.h>
#include <mosquitto_broker.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/wire/jwt.h"
#include "plugin/core/engine.h"
#include "plugin/hub_shell.h"
#include "plugin/key_file.h"
#include "plugin/options.h"
#include "plugin/sessions.h"
#include "plugin/stop_signals.h"
#include "plugin/wake_client.h"

namespace nightjar::plugin {

// One line of the log. Broker's thread.
void Log(core::LogLevel level, const std::string& text);

class BrokerShell {
 public:
  // `keys` are those of `key_file`, read at start.
  BrokerShell(const Options& options, core::Config config, KeyFile key_file,
              std::shared_ptr<const KeySet> keys);
  ~BrokerShell();

  // To be attached to its hub before the first callback.
  HubShell& hub() { return hub_; }

  // Callbacks, as mosquitto_broker.h names them. They return what the broker is to be told.
  int OnBasicAuth(const mosquitto_evt_basic_auth& event);
  int OnAclCheck(const mosquitto_evt_acl_check& event);
  int OnMessage(mosquitto_evt_message& event);
  void OnDisconnect(mosquitto* client);
  void OnReload();
  void OnTick();

  // The core cannot go on: once the broker has stopped, the process should end with a failure.
  bool failed() const { return failed_; }

  // The broker is stopping: no client can be reached any more. Tells the core, gives the hub a
  // bounded time to take what that brings, and joins its threads.
  void Stop();

  const Sessions& sessions() const { return sessions_; }  // tests

 private:
  struct PendingKick {
    core::SessionId session = 0;
    uint64_t asked_at = 0;  // in ticks
  };

  core::Verdict Feed(core::Event event);
  void Do(core::Action& action);
  void DoPublish(const core::PublishTo& publish);
  void DrainHub();
  void FeedTime();
  void WatchStop(int64_t mono_ms);
  void Fail(const std::string& reason);
  void RunKicks();
  void ReadKeys(const char* why);
  void WatchWakeUps(int64_t mono_ms);
  int VerifyAgain(const Session& session, const mosquitto_evt_basic_auth& event);
  void CheckThread() const;

  const std::thread::id owner_;
  const core::LogLevel log_level_;
  const int64_t hub_drain_ms_;
  const int64_t drain_ms_;  // 0: a signal stops the broker at once
  const std::string wake_socket_;
  KeyFile key_file_;
  std::shared_ptr<const KeySet> keys_;
  const WakeIdentity wake_identity_;
  WakeClient wake_client_;
  const mosquitto* wake_connection_ = nullptr;  // the broker's end of wake_client_
  HubShell hub_;
  core::Engine engine_;
  core::Actions actions_;
  bool feeding_ = false;
  bool stopping_ = false;
  bool failed_ = false;
  StopSignals signals_;
  int64_t drained_by_ms_ = 0;  // 0: not draining
  bool emptied_ = false;
  bool reloading_ =
      false;  // from RELOAD to the next tick the broker authenticates what is connected
  bool wake_complained_ = false;
  int64_t started_ms_ = 0;
  uint64_t ticks_ = 0;
  Sessions sessions_;
  std::vector<PendingKick> kicks_;
  HubShell::Drained drained_;
};

}  // namespace nightjar::plugin
