// The trace in docs/life-of-a-message.md is what the engine does.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/unit/core/world.h"

namespace nightjar::core {
namespace {

std::vector<std::string> TraceOfTheDocument() {
  std::ifstream file(NIGHTJAR_SOURCE_DIR "/docs/life-of-a-message.md");
  std::vector<std::string> lines;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line == "```trace") {
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      lines.push_back(line);
    }
  }
  return lines;
}

// The steps that the document explains below its trace: lines that begin with a number.
size_t StepsOfTheDocument() {
  std::ifstream file(NIGHTJAR_SOURCE_DIR "/docs/life-of-a-message.md");
  size_t steps = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(std::to_string(steps + 1) + ". ")) ++steps;
  }
  return steps;
}

std::string BodyName(const v1::ServerFrame& frame) {
  const auto* field = frame.GetDescriptor()->FindFieldByNumber(frame.body_case());
  return field != nullptr ? field->name() : "nothing";
}

class Tracer {
 public:
  explicit Tracer(std::map<SessionId, std::string> names) : names_(std::move(names)) {}

  void See(const Event& event) {
    if (const auto* it = std::get_if<Published>(&event)) {
      Add("event Published " + std::string(it->topic) + " by " + names_[it->session]);
    } else if (const auto* reply = std::get_if<HubReplied>(&event)) {
      Add(std::string("event HubReplied ") + ReplyName(reply->reply));
    }
  }
  void See(const Action& action) {
    if (const auto* it = std::get_if<PublishTo>(&action)) {
      Add("action PublishTo " + names_[it->session] + " " + it->topic + " " +
          BodyName(Parse({it->topic, it->payload, 0})));
    } else if (const auto* ask = std::get_if<AskHub>(&action)) {
      Add(std::string("action AskHub ") + CallName(ask->call));
    } else if (!std::holds_alternative<LogLine>(action)) {
      Add("action of another kind");
    }
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  static const char* CallName(const hub::Call& call) {
    if (std::holds_alternative<hub::Send>(call)) return "Send";
    if (std::holds_alternative<hub::Ack>(call)) return "Ack";
    return "something else";
  }
  static const char* ReplyName(const hub::Reply& reply) {
    if (std::holds_alternative<hub::SendReply>(reply)) return "SendReply";
    if (std::holds_alternative<hub::AckReply>(reply)) return "AckReply";
    return "something else";
  }
  void Add(const std::string& line) {
    lines_.push_back(std::to_string(lines_.size() + 1) + " " + line);
  }

  std::map<SessionId, std::string> names_;
  std::vector<std::string> lines_;
};

TEST(LifeOfAMessage, IsAsTheDocumentTells) {
  World world;
  world.HubUp();
  world.RunHub();
  const SessionId alice = world.Device("alice", "a"), bob = world.Device("bob", "b");
  Tracer tracer({{alice, "alice"}, {bob, "bob"}});
  world.on_event = [&](const Event& event) { tracer.See(event); };
  world.on_action = [&](const Action& action) { tracer.See(action); };
  world.SendText(alice, 1, "bob", "hello");
  world.RunHub();
  world.Ack(bob, 1);
  world.RunHub();
  EXPECT_EQ(tracer.lines(), TraceOfTheDocument());
  EXPECT_EQ(StepsOfTheDocument(), tracer.lines().size());
}

}  // namespace
}  // namespace nightjar::core
