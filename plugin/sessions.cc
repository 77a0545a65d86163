#include "plugin/sessions.h"

#include <utility>

namespace nightjar::plugin {

Session& Sessions::Add(mosquitto* client, std::string_view client_id) {
  auto owned = std::make_unique<Session>();
  Session& session = *owned;
  session.id = next_id_++;
  session.client = client;
  session.client_id = client_id;
  by_client_[client] = std::move(owned);
  by_id_[session.id] = &session;
  if (const auto before = newest_.find(session.client_id); before != newest_.end()) {
    session.replaced = before->second->id;
    newest_.erase(before);  // its key lives in the older session
  }
  newest_[session.client_id] = &session;
  return session;
}

Session* Sessions::FindClient(const mosquitto* client) const {
  const auto found = by_client_.find(client);
  return found == by_client_.end() ? nullptr : found->second.get();
}

Session* Sessions::Find(core::SessionId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

bool Sessions::Current(const Session& session) const {
  const auto found = newest_.find(session.client_id);
  return found != newest_.end() && found->second == &session;
}

std::vector<Session*> Sessions::Connected() const {
  std::vector<Session*> all;
  all.reserve(by_id_.size());
  for (const auto& [id, session] : by_id_) all.push_back(session);
  return all;
}

void Sessions::Unlink(Session& session) {
  by_id_.erase(session.id);
  if (!Current(session)) return;
  newest_.erase(session.client_id);
  // A takeover that failed after all leaves the one before in place.
  if (Session* const before = Find(session.replaced)) newest_[before->client_id] = before;
}

void Sessions::MarkGone(Session& session) {
  if (session.gone) return;
  session.gone = true;
  Unlink(session);
  gone_.push_back(session.client);
}

void Sessions::Remove(Session& session) {
  if (!session.gone) Unlink(session);
  by_client_.erase(session.client);
}

void Sessions::Sweep() {
  for (const mosquitto* const client : gone_) {
    const auto found = by_client_.find(client);
    // The pointer may stand for a new connection by now.
    if (found != by_client_.end() && found->second->gone) by_client_.erase(found);
  }
  gone_.clear();
}

}  // namespace nightjar::plugin
