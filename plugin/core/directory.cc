#include "plugin/core/directory.h"

#include <algorithm>

namespace nightjar::core {

Session* Directory::Find(SessionId id) {
  const auto it = sessions_.find(id);
  return it == sessions_.end() ? nullptr : &it->second;
}

User* Directory::FindUser(std::string_view uid) {
  const auto it = users_.find(uid);
  return it == users_.end() ? nullptr : &it->second;
}

Session& Directory::Add(SessionId id, const std::string& uid, const std::string& device) {
  const auto user = users_.try_emplace(uid).first;
  user->second.uid = &user->first;
  Session& session = sessions_[id];
  session.id = id;
  session.user = &user->second;
  session.device = device;
  user->second.sessions.push_back(&session);
  return session;
}

void Directory::Remove(Session& session) {
  User& user = *session.user;
  std::erase(user.sessions, &session);
  if (user.sessions.empty()) users_.erase(users_.find(*user.uid));
  sessions_.erase(session.id);
}

Session* Directory::Twin(const Session& session) {
  for (Session* other : session.user->sessions) {
    if (other != &session && !other->replaced && other->device == session.device) return other;
  }
  return nullptr;
}

size_t Directory::devices() const {
  return static_cast<size_t>(std::count_if(sessions_.begin(), sessions_.end(), [](const auto& it) {
    return it.second.inbox != nullptr;
  }));
}

}  // namespace nightjar::core
