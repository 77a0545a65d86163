// In the end: are the promises kept, and is nothing left over?
#include <fmt/format.h>

#include <algorithm>

#include "common/wire/names.h"
#include "tests/contract/hub/print.h"
#include "tests/worlds/world.h"

namespace nightjar::worlds {

void World::Check() {
  CheckJournal();
  CheckUsers();
  CheckSessions();
  CheckPresence();
  CheckEngines();
  CheckBrokers();
  CheckHistory();
  oracle_.Finish(TrueNow());
}

// Store and journal hold exactly what was accepted, in order.
void World::CheckJournal() {
  for (const auto& [chat, messages] : ledger_.accepted()) {
    const auto page = keeper_->store().History({chat, 0, 0, 1'000'000});
    if (!page.ok()) {
      Break("G1", chat + " cannot be read: " + page.status().message());
      continue;
    }
    auto it = messages.begin();
    for (const v1::Message& message : page->messages) {
      if (it == messages.end() || it->first != message.msg_id() ||
          it->second.author != message.author()) {
        Break("G1", fmt::format("the store of {} differs at {}", chat,
                                hub::contract::IdText(message.msg_id())));
        break;
      }
      ++it;
    }
    if (it != messages.end() && page->messages.size() < messages.size()) {
      Break("G1", fmt::format("{} of {} messages of {} are stored", page->messages.size(),
                              messages.size(), chat));
    }
  }
}

void World::CheckUsers() {
  for (const auto& [uid, user] : state().users) {
    const bool person = std::find(people_.begin(), people_.end(), uid) != people_.end();
    bool due = false;
    for (const auto& [p, partition] : state().partitions) due = due || partition.due.count(uid) > 0;
    if (person && due) Break("G7", uid + " is connected and due for push");
    if (!person && !user.inbox.empty() && user.owed == 0) {
      Break("G7", uid + " never came, and owes no push");
    }
    if (!person && user.owed > 0 && !due) Break("G7", uid + " owes a push and is not due");
    if (!person) continue;
    if (user.owed != 0) Break("G7", uid + " has everything and still owes a push");
    for (const auto& [device, at] : user.devices) {
      if (at.acked > user.head()) Break("hub", uid + " acknowledged more than there is");
    }
    if (!user.tails.empty()) Break("hub", uid + " has a tail that nobody subscribed");
  }
  for (const auto& [id, chat] : state().chats) {
    const auto accepted = ledger_.accepted().find(id);
    for (const auto& [uid, mark] : chat.delivered) {
      const auto user = state().users.find(uid);
      if (mark > chat.last) Break("G5", fmt::format("{}'s mark in {} is beyond its end", uid, id));
      if (user == state().users.end() || user->second.devices.empty()) {
        Break("G5", fmt::format("{} has a mark in {} and no device", uid, id));
      }
    }
    (void)accepted;
  }
}

// Routes and session records are those of the living connections, one for one.
void World::CheckSessions() {
  std::map<std::string, hub::fake::Route> live;
  for (const auto& broker : brokers_) {
    for (const auto& [id, conn] : broker->sessions()) {
      if (live.count(conn->client_id) > 0) {
        Break("routes", conn->client_id + " is connected to two brokers");
      }
      live[conn->client_id] = {broker->name(), id};
    }
  }
  for (const auto& [uid, user] : state().users) {
    for (const auto& [device, at] : user.devices) {
      const auto it = live.find(uid + ":" + device);
      if (at.route && (it == live.end() || it->second != *at.route)) {
        Break("routes", fmt::format("{}:{} has the route {}/{}, which is no living session", uid,
                                    device, at.route->broker, at.route->session));
      }
      if (!at.route && it != live.end()) {
        Break("routes", fmt::format("{}:{} is connected and has no route", uid, device));
      }
    }
  }
  for (const auto& [id, records] : state().sessions) {
    for (const auto& [element, record] : records) {
      const auto it = live.find(record.uid + ":" + record.device);
      if (it == live.end() || it->second != hub::fake::Route{record.broker, record.session}) {
        Break("routes", "a session record is left over: " + element);
      }
    }
    size_t of_broker = 0;
    for (const auto& [client, route] : live) of_broker += route.broker.starts_with(id + "#");
    if (records.size() != of_broker) {
      Break("routes",
            fmt::format("{} records and {} sessions of {}", records.size(), of_broker, id));
    }
  }
}

void World::CheckPresence() {
  for (const auto& [uid, user] : state().users) {
    if (user.online != (user.routes() > 0)) {
      Break("G6", fmt::format("{} is shown {} and has {} devices connected", uid,
                              user.online ? "online" : "offline", user.routes()));
    }
  }
  for (const auto& phone : phones_) {
    for (const std::string& uid : phone->watched()) {
      const auto seen = phone->seen_online().find(uid);
      const auto user = state().users.find(uid);
      const bool online = user != state().users.end() && user->second.online;
      if (seen == phone->seen_online().end()) {
        Break("G6", phone->name() + " watches " + uid + " and was told nothing");
      } else if (seen->second != online) {
        Break("G6", fmt::format("{} sees {} as {}, who is not", phone->name(), uid,
                                seen->second ? "online" : "offline"));
      }
    }
  }
}

void World::CheckEngines() {
  for (const auto& broker : brokers_) {
    const core::Engine::Stats stats = broker->engine().stats();
    if (stats.store_requests != 0) Break("engine", "requests to the store are left over");
    if (stats.hub_calls > broker->line().size()) {
      Break("engine", fmt::format("{} calls are waited for, {} are under way", stats.hub_calls,
                                  broker->line().size()));
    }
    const size_t sessions = broker->sessions().size() + (broker->service() ? 1 : 0);
    if (stats.sessions != sessions) {
      Break("engine", fmt::format("{} sessions are kept, {} live", stats.sessions, sessions));
    }
  }
}

void World::CheckHistory() {
  for (const std::string& chat : oracle_.Chats()) {
    std::string reader;
    const auto known = state().chats.find(chat);
    if (known == state().chats.end()) continue;
    for (const std::string& uid : people_) {
      if (known->second.IsMember(uid)) reader = uid;
    }
    if (reader.empty()) continue;
    oracle_.HistoryBegins(chat);
    const bool read = keeper_->ReadAll(
        reader, chat, [&](const v1::History& page) { oracle_.HistoryPage(chat, page); });
    if (!read) Break("history", chat + " cannot be read by " + reader);
    oracle_.HistoryEnds(chat, TrueNow());
  }
}

}  // namespace nightjar::worlds
