#include "tests/unit/plugin/fake_broker.h"

#include <mosquitto.h>
#include <mosquitto_broker.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace nightjar::test {
namespace {
FakeBroker broker;
}

FakeBroker& FakeBroker::Get() { return broker; }
FakeBroker& FakeBroker::Reset() {
  broker = {};
  return broker;
}

bool FakeBroker::Logged(const std::string& part) const {
  return std::any_of(log.begin(), log.end(),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

}  // namespace nightjar::test

using nightjar::test::FakeBroker;

extern "C" {

const char* mosquitto_client_id(const mosquitto* client) { return client->id.c_str(); }
bool mosquitto_client_clean_session(const mosquitto* client) { return client->clean; }
void* mosquitto_malloc(size_t size) { return std::malloc(size); }
void mosquitto_free(void* memory) { std::free(memory); }

int mosquitto_broker_publish(const char* clientid, const char* topic, int payloadlen, void* payload,
                             int qos, bool retain, mosquitto_property*) {
  FakeBroker::Get().published.push_back(
      {clientid == nullptr ? "" : clientid, topic,
       std::string(static_cast<const char*>(payload), payload == nullptr ? 0 : payloadlen), qos,
       retain});
  std::free(payload);  // the broker's from here on
  return MOSQ_ERR_SUCCESS;
}

int mosquitto_kick_client_by_clientid(const char* clientid, bool) {
  const std::string id = clientid;
  FakeBroker::Get().kicked.push_back(id);
  if (FakeBroker::Get().on_kick) FakeBroker::Get().on_kick(id);
  return MOSQ_ERR_SUCCESS;
}

void mosquitto_log_printf(int level, const char* format, ...) {
  char line[2048];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  FakeBroker::Get().log.push_back(std::to_string(level) + " " + line);
}

}  // extern "C"
