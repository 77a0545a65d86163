// All sessions and users of this broker, found by id, by uid, and in a line that can be walked in
// steps while it changes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plugin/core/session.h"

namespace nightjar::core {

class Directory {
 public:
  Session* Find(SessionId id);
  User* FindUser(std::string_view uid);
  // REQUIRES: no session `id` yet.
  Session& Add(SessionId id, const std::string& uid, const std::string& device);
  // Its pointers are void afterwards. The user goes with the last session.
  void Remove(Session& session);
  // Another session of the same client id that has not been replaced; or nothing.
  Session* Twin(const Session& session);

  size_t size() const { return sessions_.size(); }
  size_t devices() const;
  std::unordered_map<SessionId, Session>& all() { return sessions_; }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  std::unordered_map<SessionId, Session> sessions_;
  std::unordered_map<std::string, User, Hash, std::equal_to<>> users_;
};

}  // namespace nightjar::core
