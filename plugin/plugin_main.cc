// The plugin's three C functions and its table of events. Everything that Mosquitto calls passes
// through here, and nothing throws beyond it.
//
// One binary serves Mosquitto 2.0 and 2.1: the callback structures are the same in both, and events
// that only 2.1 has are registered where the broker knows them.
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "plugin/broker_shell.h"
#include "plugin/startup.h"

using nightjar::core::LogLevel;
using nightjar::plugin::BrokerShell;
using nightjar::plugin::Log;

namespace {

constexpr int kEventConnect = 11;  // MOSQ_EVT_CONNECT and MOSQ_EVT_CLIENT_OFFLINE of 2.1
constexpr int kEventClientOffline = 28;

// What lives from init to cleanup. `newer` brokers (2.1) know kEventClientOffline.
struct Plugin {
  mosquitto_plugin_id_t* identifier = nullptr;
  std::unique_ptr<BrokerShell> shell;
  bool newer = false;
};

// Runs `call`; what it throws (memory) is logged and becomes `fallback`.
template <typename Call>
int Guarded(int fallback, Call call) noexcept {
  try {
    return call();
  } catch (const std::exception& error) {
    mosquitto_log_printf(MOSQ_LOG_ERR, "nightjar: internal error: %s", error.what());
  } catch (...) {
    mosquitto_log_printf(MOSQ_LOG_ERR, "nightjar: internal error");
  }
  return fallback;
}

Plugin& Self(void* userdata) { return *static_cast<Plugin*>(userdata); }

int BasicAuth(int, void* data, void* userdata) {
  return Guarded(MOSQ_ERR_AUTH, [&] {
    return Self(userdata).shell->OnBasicAuth(*static_cast<mosquitto_evt_basic_auth*>(data));
  });
}

int AclCheck(int, void* data, void* userdata) {
  return Guarded(MOSQ_ERR_ACL_DENIED, [&] {
    return Self(userdata).shell->OnAclCheck(*static_cast<mosquitto_evt_acl_check*>(data));
  });
}

int Message(int, void* data, void* userdata) {
  return Guarded(MOSQ_ERR_ACL_DENIED, [&] {
    return Self(userdata).shell->OnMessage(*static_cast<mosquitto_evt_message*>(data));
  });
}

// Also MOSQ_EVT_CLIENT_OFFLINE, whose data begin alike.
int Disconnect(int, void* data, void* userdata) {
  return Guarded(MOSQ_ERR_SUCCESS, [&] {
    Self(userdata).shell->OnDisconnect(static_cast<mosquitto_evt_disconnect*>(data)->client);
    return int{MOSQ_ERR_SUCCESS};
  });
}

int Reload(int, void*, void* userdata) {
  Plugin& self = Self(userdata);
  // 2.0 stops reloading at anything but "defer"; to 2.1 anything but success is an error.
  const int answer = self.newer ? MOSQ_ERR_SUCCESS : MOSQ_ERR_PLUGIN_DEFER;
  return Guarded(answer, [&] {
    self.shell->OnReload();
    return answer;
  });
}

int Tick(int, void*, void* userdata) {
  return Guarded(MOSQ_ERR_SUCCESS, [&] {
    Self(userdata).shell->OnTick();
    return int{MOSQ_ERR_SUCCESS};
  });
}

struct EventEntry {
  int event;
  MOSQ_FUNC_generic_callback callback;
  bool newer_only;
};
constexpr EventEntry kEvents[] = {
    {MOSQ_EVT_BASIC_AUTH, BasicAuth, false}, {MOSQ_EVT_ACL_CHECK, AclCheck, false},
    {MOSQ_EVT_MESSAGE, Message, false},      {MOSQ_EVT_DISCONNECT, Disconnect, false},
    {MOSQ_EVT_RELOAD, Reload, false},        {MOSQ_EVT_TICK, Tick, false},
    {kEventClientOffline, Disconnect, true},
};

int Ignore(int, void*, void*) { return MOSQ_ERR_SUCCESS; }

// Asks the broker by registering for an event that only 2.1 has.
bool IsNewer(mosquitto_plugin_id_t* identifier) {
  if (mosquitto_callback_register(identifier, kEventConnect, Ignore, nullptr, nullptr) !=
      MOSQ_ERR_SUCCESS) {
    return false;
  }
  mosquitto_callback_unregister(identifier, kEventConnect, Ignore, nullptr);
  return true;
}

int Register(Plugin& plugin) {
  for (const EventEntry& entry : kEvents) {
    if (entry.newer_only && !plugin.newer) continue;
    const int error = mosquitto_callback_register(plugin.identifier, entry.event, entry.callback,
                                                  nullptr, &plugin);
    if (error == MOSQ_ERR_SUCCESS) continue;
    Log(LogLevel::kError,
        "this broker cannot call the plugin for event " + std::to_string(entry.event));
    return error;
  }
  return MOSQ_ERR_SUCCESS;
}

void Unregister(const Plugin& plugin) {
  for (const EventEntry& entry : kEvents) {
    if (entry.newer_only && !plugin.newer) continue;
    mosquitto_callback_unregister(plugin.identifier, entry.event, entry.callback, nullptr);
  }
}

nightjar::plugin::OptionLines ToLines(const mosquitto_opt* options, int count) {
  nightjar::plugin::OptionLines lines;
  for (int i = 0; i < count; ++i) {
    lines.emplace_back(options[i].key, options[i].value == nullptr ? "" : options[i].value);
  }
  return lines;
}

int Init(mosquitto_plugin_id_t* identifier, void** userdata, const mosquitto_opt* options,
         int count) {
  auto started = nightjar::plugin::Start(ToLines(options, count));
  if (!started.ok()) {
    Log(LogLevel::kError, "cannot start: " + started.status().message());
    return MOSQ_ERR_INVAL;
  }
  auto plugin = std::make_unique<Plugin>();
  plugin->identifier = identifier;
  plugin->shell = std::move(started.value());
  plugin->newer = IsNewer(identifier);
  if (const int error = Register(*plugin); error != MOSQ_ERR_SUCCESS) return error;
  *userdata = plugin.release();
  return MOSQ_ERR_SUCCESS;
}

}  // namespace

#define NIGHTJAR_EXPORT extern "C" __attribute__((visibility("default")))

NIGHTJAR_EXPORT int mosquitto_plugin_version(int count, const int* versions) {
  for (int i = 0; i < count; ++i) {
    if (versions[i] == MOSQ_PLUGIN_VERSION) return MOSQ_PLUGIN_VERSION;
  }
  return -1;
}

NIGHTJAR_EXPORT int mosquitto_plugin_init(mosquitto_plugin_id_t* identifier, void** userdata,
                                          mosquitto_opt* options, int option_count) {
  return Guarded(MOSQ_ERR_UNKNOWN,
                 [&] { return Init(identifier, userdata, options, option_count); });
}

NIGHTJAR_EXPORT int mosquitto_plugin_cleanup(void* userdata, mosquitto_opt*, int) {
  if (userdata == nullptr) return MOSQ_ERR_SUCCESS;  // init has failed
  return Guarded(MOSQ_ERR_UNKNOWN, [&] {
    const std::unique_ptr<Plugin> plugin(static_cast<Plugin*>(userdata));
    Unregister(*plugin);
    plugin->shell->Stop();
    if (plugin->shell->failed()) {
      // The broker would end with success, and whoever looks after it would not start it again. All
      // that is left for it to do is to close its log and forget its configuration.
      std::fflush(nullptr);
      _exit(1);
    }
    return int{MOSQ_ERR_SUCCESS};
  });
}
