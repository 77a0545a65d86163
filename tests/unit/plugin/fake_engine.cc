#include "tests/unit/plugin/fake_engine.h"

#include <utility>

namespace nightjar::test {
namespace {

FakeEngine engine;

std::string Line(const core::Event& event) {
  using namespace core;
  const auto join = [](std::string word, SessionId session, auto... parts) {
    word += " " + std::to_string(session);
    ((word += " " + std::string(parts)), ...);
    return word;
  };
  if (const auto* e = std::get_if<ConnectAsked>(&event)) {
    return join("connect", e->session, e->client_id, e->user, e->password,
                e->clean ? "clean" : "keep");
  }
  if (const auto* e = std::get_if<SubscribeAsked>(&event)) {
    return join("subscribe", e->session, e->filter, std::to_string(e->qos));
  }
  if (const auto* e = std::get_if<Unsubscribed>(&event))
    return join("unsubscribe", e->session, e->filter);
  if (const auto* e = std::get_if<Published>(&event)) {
    return join("published", e->session, e->topic, e->payload, std::to_string(e->qos));
  }
  if (const auto* e = std::get_if<PublishAsked>(&event)) return join("ask", e->session, e->topic);
  if (const auto* e = std::get_if<Disconnected>(&event)) return join("gone", e->session);
  if (const auto* e = std::get_if<HubReplied>(&event)) {
    return "replied " + std::to_string(e->token) +
           (std::holds_alternative<hub::Failure>(e->reply) ? " failure" : "");
  }
  if (std::holds_alternative<HubUp>(event)) return "up";
  if (const auto* e = std::get_if<HubDown>(&event)) return "down " + e->reason;
  if (std::holds_alternative<Tick>(event)) return "tick";
  if (std::holds_alternative<RelayUp>(event)) return "relay up";
  if (std::holds_alternative<Drain>(event)) return "drain";
  if (const auto* e = std::get_if<Relayed>(&event)) {
    const auto* kick = std::get_if<hub::RelayedKick>(&e->what);
    return "relayed" + (kick ? " kick " + kick->uid : std::string());
  }
  return "stopping";
}

}  // namespace

FakeEngine& FakeEngine::Get() { return engine; }
FakeEngine& FakeEngine::Reset() {
  engine = {};
  return engine;
}

}  // namespace nightjar::test

namespace nightjar::core {

struct Engine::State {};

Engine::Engine(Config, std::shared_ptr<const KeySet> keys) : state_(new State) {
  test::FakeEngine::Get().keys = std::move(keys);
}
Engine::~Engine() = default;

void Engine::Handle(Event event, Now, Actions& out) {
  out.clear();
  auto& fake = test::FakeEngine::Get();
  fake.events.push_back(test::Line(event));
  if (fake.script) fake.script(event, out);
}

void Engine::SetKeys(std::shared_ptr<const KeySet> keys) {
  test::FakeEngine::Get().keys = std::move(keys);
}

int64_t Engine::NextDeadline() const { return test::FakeEngine::Get().deadline; }
bool Engine::Unfinished() const { return false; }
Engine::Stats Engine::stats() const { return {}; }

}  // namespace nightjar::core
