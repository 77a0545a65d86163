#include "client-sim/device/paho_link.h"

#include <mqtt/async_client.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <random>
#include <utility>

#include "common/base/bounded_queue.h"
#include "common/base/dice.h"

namespace nightjar::client {

Bell::Bell() : event_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
Bell::~Bell() { close(event_); }

void Bell::Ring() {
  const uint64_t one = 1;
  (void)!write(event_, &one, sizeof(one));
}

void Bell::WaitFor(int64_t ms, int also_readable) {
  pollfd files[] = {{event_, POLLIN, 0}, {also_readable, POLLIN, 0}};  // poll() passes over -1
  poll(files, 2, static_cast<int>(ms));
  uint64_t rung = 0;
  (void)!read(event_, &rung, sizeof(rung));
}

namespace {

constexpr size_t kQueue = 10'000;

// A return code of CONNACK, for people.
std::string Refusal(int code) {
  std::string text = "refused by the broker (code " + std::to_string(code);
  if (code == 4) text += ": bad user name or token";
  if (code == 5) text += ": this token does not let this user in";
  return text + ")";
}

// What Paho's thread may touch. It outlives the link as long as a callback is running.
struct Inlet {
  explicit Inlet(Bell* b) : bell(b) {}
  BoundedQueue<LinkEvent> queue{kQueue};
  std::atomic<bool> open{false};
  Bell* bell;

  void Push(LinkEvent event) {
    if (!open.load()) return;
    (void)queue.TryPush(std::move(event));  // full: a gap, made good by a resend
    bell->Ring();
  }
};

class PahoLink final : public Link, private mqtt::callback, private mqtt::iaction_listener {
 public:
  PahoLink(PahoOptions options, Bell* bell)
      : options_(std::move(options)),
        dice_(std::random_device{}()),
        broker_(dice_.Below(options_.brokers.size())),
        inlet_(bell) {}
  ~PahoLink() override { PahoLink::Close(); }

  void Open() override {
    auto token = options_.token();
    if (!token.ok()) return Refuse("no token: " + token.status().message());
    try {
      const PahoOptions::Broker& broker = NextBroker();
      // A fresh client each time: nothing of the old line, queued or half sent, is carried over.
      client_ = std::make_unique<mqtt::async_client>(
          "tcp://" + broker.host + ":" + std::to_string(broker.port),
          options_.uid + ":" + options_.device);
      client_->set_callback(*this);
      mqtt::message will("presence/" + options_.uid + "/" + options_.device, "bye", 0, false);
      auto connect = mqtt::connect_options_builder()
                         .mqtt_version(MQTTVERSION_3_1_1)
                         .clean_session(true)
                         .automatic_reconnect(false)
                         .keep_alive_interval(std::chrono::seconds(options_.keep_alive_s))
                         .connect_timeout(std::chrono::seconds(options_.connect_timeout_s))
                         .user_name(options_.uid)
                         .password(*token)
                         .will(std::move(will))
                         .finalize();
      inlet_.open = true;
      client_->connect(connect, nullptr, *this);
    } catch (const mqtt::exception& e) {
      Refuse(e.what());
    }
  }

  void Close() override {
    inlet_.open = false;
    if (!client_) return;
    try {
      client_->disable_callbacks();
      if (client_->is_connected()) client_->disconnect(100)->wait_for(std::chrono::seconds(1));
    } catch (const mqtt::exception&) {
      // It was gone already, which is what we want.
    }
    client_.reset();
    std::vector<LinkEvent> dropped;
    inlet_.queue.Drain(dropped);
  }

  void Subscribe(const std::string& filter) override {
    Try([&] { client_->subscribe(filter, 0); });
  }

  void Publish(const std::string& topic, const std::string& payload) override {
    Try([&] { client_->publish(topic, payload.data(), payload.size(), 0, false); });
  }

  void Poll(std::vector<LinkEvent>& events) override { inlet_.queue.Drain(events); }

 private:
  const PahoOptions::Broker& NextBroker() {
    const size_t others = options_.brokers.size() - 1;
    if (opened_ && others > 0) broker_ = (broker_ + 1 + dice_.Below(others)) % (others + 1);
    opened_ = true;
    return options_.brokers[broker_];
  }

  template <typename F>
  void Try(F&& f) {
    if (!client_) return;
    try {
      f();
    } catch (const mqtt::exception&) {
      // The line broke meanwhile: connection_lost tells, and the brain repeats what matters.
    }
  }

  void Refuse(const std::string& reason) {
    inlet_.open = true;
    inlet_.Push({LinkEvent::Kind::kDown, "", reason});
  }

  // -- Paho's thread ----------------------------------------------------------------------------
  void on_success(const mqtt::token&) override { inlet_.Push({LinkEvent::Kind::kUp, "", ""}); }
  void on_failure(const mqtt::token& token) override {
    const int rc = token.get_return_code();
    std::string reason =
        rc > 0 ? Refusal(rc) : "no connection (" + mqtt::exception::error_str(rc) + ")";
    inlet_.Push({LinkEvent::Kind::kDown, "", std::move(reason)});
  }
  void connection_lost(const std::string& cause) override {
    inlet_.Push({LinkEvent::Kind::kDown, "", cause.empty() ? "connection lost" : cause});
  }
  void message_arrived(mqtt::const_message_ptr message) override {
    inlet_.Push({LinkEvent::Kind::kArrived, message->get_topic(), message->get_payload_str()});
  }

  PahoOptions options_;
  Dice dice_;
  size_t broker_;
  bool opened_ = false;
  Inlet inlet_;
  std::unique_ptr<mqtt::async_client> client_;
};

}  // namespace

std::unique_ptr<Link> MakePahoLink(PahoOptions options, Bell* bell) {
  return std::make_unique<PahoLink>(std::move(options), bell);
}

}  // namespace nightjar::client
