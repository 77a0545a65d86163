#include "common/mqtt/client.h"

#include <mqtt/async_client.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include "common/base/backoff.h"
#include "common/base/clock.h"

namespace nightjar::mqtt {
namespace {

using std::chrono::milliseconds;

// Counts what Paho has been given and not yet reported done.
class InFlight : public ::mqtt::iaction_listener {
 public:
  std::atomic<size_t> count{0};

 private:
  void on_success(const ::mqtt::token&) override { --count; }
  void on_failure(const ::mqtt::token&) override { --count; }
};

// One connection in its life: a fresh Paho client each time, so that nothing of a broken one is left.
// The listener outlives the client.
struct Connection {
  Connection(const std::string& uri, const std::string& id) : client(uri, id) {}
  InFlight in_flight;
  ::mqtt::async_client client;
};

}  // namespace

struct Client::State {
  explicit State(Options o)
      : options(std::move(o)),
        backoff(options.backoff_first_ms, options.backoff_cap_ms,
                std::hash<std::string>()(options.client_id + options.host) + options.port) {}

  void Run();
  Status Connect(int64_t& renew_at);
  void WaitConnected(int64_t renew_at, std::string& why);
  void Drop(bool politely);
  bool Sleep(int64_t ms);
  void Tell(bool is_connected, const std::string& why);
  void Lost(const std::string& why);

  const Options options;
  Backoff backoff;

  // Guards the pointer: a publisher holds it shared, so a connection is never destroyed under one, nor
  // on Paho's thread.
  std::shared_mutex connection_mutex;
  std::unique_ptr<Connection> connection;
  std::atomic<bool> connected{false};

  std::mutex mutex;
  std::condition_variable changed;
  bool stop = false;
  bool lost = false;
  std::string lost_why;

  bool told = false, told_connected = false;  // on the client's thread only
  std::thread thread;
};

Client::Client(Options options) : state_(std::make_unique<State>(std::move(options))) {
  state_->thread = std::thread([state = state_.get()] { state->Run(); });
}

Client::~Client() { Stop(); }

void Client::Stop() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  if (state_->thread.joinable()) state_->thread.join();
}

bool Client::connected() const { return state_->connected; }

Status Client::Publish(const std::string& topic, std::string_view payload, int qos) {
  std::shared_lock lock(state_->connection_mutex);
  Connection* connection = state_->connection.get();
  if (connection == nullptr || !state_->connected) return {Code::kUnavailable, "not connected"};
  if (++connection->in_flight.count > state_->options.max_in_flight) {
    --connection->in_flight.count;
    return {Code::kResourceExhausted, "too much under way to the broker"};
  }
  try {
    connection->client.publish(
        ::mqtt::make_message(topic, payload.data(), payload.size(), qos, false), nullptr,
        connection->in_flight);
  } catch (const std::exception& e) {
    --connection->in_flight.count;
    return {Code::kUnavailable, e.what()};
  }
  return Status::Ok();
}

void Client::State::Run() {
  for (;;) {
    int64_t renew_at = 0;
    const Status status = Connect(renew_at);
    if (status.ok()) {
      backoff.Reset();
      Tell(true, "");
      std::string why;
      WaitConnected(renew_at, why);
      const bool renewing = why.empty();
      Drop(true);
      if (!renewing) Tell(false, why);
      if (!Sleep(renewing ? 0 : backoff.NextMs())) break;
    } else {
      Drop(false);
      Tell(false, status.message());
      if (!Sleep(backoff.NextMs())) break;
    }
  }
  Drop(true);
}

Status Client::State::Connect(int64_t& renew_at) {
  {
    std::lock_guard lock(mutex);
    lost = false;
  }
  Credentials credentials;
  if (options.credentials) {
    auto fresh = options.credentials();
    if (!fresh.ok()) return fresh.status();
    credentials = std::move(*fresh);
    renew_at = credentials.renew_unix_ms;
  }
  const std::string address = options.host + ":" + std::to_string(options.port);
  try {
    auto fresh = std::make_unique<Connection>("tcp://" + address, options.client_id);
    ::mqtt::async_client& client = fresh->client;
    client.set_connection_lost_handler(
        [this](const std::string& cause) { Lost(cause.empty() ? "connection lost" : cause); });
    client.set_message_callback([this](::mqtt::const_message_ptr message) {
      if (message && options.on_message) {
        options.on_message(message->get_topic(), message->get_payload_str());
      }
    });
    {
      std::unique_lock lock(connection_mutex);
      connection = std::move(fresh);
    }
    ::mqtt::connect_options connect;
    connect.set_mqtt_version(MQTTVERSION_3_1_1);
    connect.set_clean_session(true);
    connect.set_automatic_reconnect(false);
    connect.set_keep_alive_interval(options.keep_alive_s);
    connect.set_connect_timeout(options.connect_timeout_s);
    if (!credentials.user.empty()) {
      connect.set_user_name(credentials.user);
      connect.set_password(credentials.password);
    }
    const auto limit = milliseconds(1000 * options.connect_timeout_s + 1000);
    if (!client.connect(std::move(connect))->wait_for(limit)) {
      return {Code::kUnavailable, address + ": no answer to CONNECT"};
    }
    for (const auto& [filter, qos] : options.subscriptions) {
      auto token = client.subscribe(filter, qos);
      if (!token->wait_for(limit)) return {Code::kUnavailable, address + ": no SUBACK"};
      const auto response = token->get_subscribe_response();
      for (const auto code : response.get_reason_codes()) {
        if (static_cast<int>(code) >= 0x80) {
          return {Code::kPermissionDenied, address + ": subscription refused: " + filter};
        }
      }
    }
  } catch (const std::exception& e) {
    return {Code::kUnavailable, address + ": " + e.what()};
  }
  connected = true;
  return Status::Ok();
}

// Until the connection is lost (`why` says how), or it is time to renew, or to stop (`why` empty).
void Client::State::WaitConnected(int64_t renew_at, std::string& why) {
  std::unique_lock lock(mutex);
  while (!stop && !lost) {
    int64_t wait_ms = 60'000;
    if (renew_at != 0) {
      wait_ms = std::min(wait_ms, renew_at - SystemNow().unix_ms);
      if (wait_ms <= 0) return;
    }
    changed.wait_for(lock, milliseconds(wait_ms));
  }
  if (lost) why = lost_why;
}

void Client::State::Drop(bool politely) {
  connected = false;
  std::unique_ptr<Connection> old;
  {
    std::unique_lock lock(connection_mutex);
    old = std::move(connection);
  }
  if (!old) return;
  try {
    if (politely && old->client.is_connected()) {
      old->client.disconnect(1000)->wait_for(milliseconds(2000));
    }
    old->client.disable_callbacks();
  } catch (const std::exception&) {
    // It goes either way.
  }
}

// False: stop.
bool Client::State::Sleep(int64_t ms) {
  std::unique_lock lock(mutex);
  changed.wait_for(lock, milliseconds(ms), [this] { return stop; });
  return !stop;
}

void Client::State::Lost(const std::string& why) {
  {
    std::lock_guard lock(mutex);
    lost = true;
    lost_why = why;
  }
  connected = false;
  changed.notify_all();
}

void Client::State::Tell(bool is_connected, const std::string& why) {
  if (told && told_connected == is_connected) return;
  told = true;
  told_connected = is_connected;
  if (options.on_state) options.on_state(is_connected, why);
}

}  // namespace nightjar::mqtt
