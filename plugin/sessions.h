// Which connection of the broker is which session of the core. Connections are known by pointer,
// which the broker uses again, and by client id, which a takeover has twice for a moment; sessions
// are numbers that are handed out once.
//
// Threads: one owner.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plugin/core/event.h"

struct mosquitto;

namespace nightjar::plugin {

struct Session {
  core::SessionId id = 0;
  mosquitto* client = nullptr;  // the broker's; not looked into after `gone`
  std::string client_id;
  core::SessionId replaced = 0;  // the session of the same client id before this one; 0: none
  bool gone = false;             // disconnected; stays until the sweep, for its last will
};

class Sessions {
 public:
  // REQUIRES: FindClient(client) is null.
  Session& Add(mosquitto* client, std::string_view client_id);

  // Gone ones too.
  Session* FindClient(const mosquitto* client) const;
  // Null for gone ones.
  Session* Find(core::SessionId id) const;
  // Is it this session that the broker means by the client id? Only then may anything be addressed
  // to it.
  bool Current(const Session& session) const;

  // Disconnected. Its id finds nothing from now on, its pointer still does.
  void MarkGone(Session& session);
  // Forget it altogether: a connection that was refused.
  void Remove(Session& session);
  // Forget those marked gone.
  void Sweep();

  // Those that are connected, in no order.
  std::vector<Session*> Connected() const;
  size_t size() const { return by_id_.size(); }

 private:
  void Unlink(Session& session);

  core::SessionId next_id_ = 1;
  std::unordered_map<const mosquitto*, std::unique_ptr<Session>> by_client_;
  std::unordered_map<core::SessionId, Session*> by_id_;
  std::unordered_map<std::string_view, Session*>
      newest_;  // by client id; keys live in the sessions
  std::vector<const mosquitto*> gone_;
};

}  // namespace nightjar::plugin
