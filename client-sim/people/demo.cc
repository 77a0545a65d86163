#include "client-sim/people/demo.h"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

namespace nightjar::client {

struct Demo::Person {
  Person(std::string uid, std::unique_ptr<Link> link, uint64_t seed)
      : device(std::move(uid), "phone", std::move(link), seed) {}
  Device device;
  DeviceId judged_as = 0;
  bool away = false;  // by the script
  bool catching_up = false;
  uint64_t head = 0;  // what the inbox held on coming back
  std::vector<std::string> missed;
};

Demo::Demo(Script script, uint64_t seed, const MakeLink& make_link, Terminal* terminal,
           OracleOptions judge)
    : script_(std::move(script)), terminal_(terminal), oracle_(judge) {
  for (const auto& uid : script_.people) {
    people_.push_back(std::make_unique<Person>(uid, make_link(uid, "phone"), ++seed));
    people_.back()->judged_as = oracle_.Expect(uid, "phone");
  }
  // The first one watches everybody, the second one the first.
  auto& first = people_[0]->device.brain();
  for (size_t i = 1; i < script_.people.size(); ++i) first.Watch(script_.people[i]);
  people_[1]->device.brain().Watch(script_.people[0]);
}

Demo::~Demo() = default;

Demo::Person& Demo::Find(const std::string& uid) {
  return **std::find_if(people_.begin(), people_.end(),
                        [&](const auto& p) { return p->device.brain().uid() == uid; });
}

void Demo::Step(Now now) {
  if (stage_ends_ms_ == 0) {
    stage_ends_ms_ = now.mono_ms + kStartLimitMs;
    for (auto& person : people_) person->device.GoOnline(now);
  }
  std::vector<Happening> happened;
  for (auto& person : people_) {
    happened.clear();
    person->device.Step(now, happened);
    for (const auto& happening : happened) Saw(*person, happening, now);
    CountMissed(*person, now);
  }
  ShowDelivered(now);
  Advance(now);
}

void Demo::Advance(Now now) {
  switch (stage_) {
    case Stage::kConnecting: {
      const bool all = std::all_of(people_.begin(), people_.end(),
                                   [](const auto& p) { return p->device.online(); });
      if (!all) {
        if (now.mono_ms >= stage_ends_ms_) {
          std::string missing;
          for (const auto& person : people_) {
            if (person->device.online()) continue;
            missing += " " + person->device.brain().uid();
          }
          GiveUp("connected, but never told where they stand, or not connected at all:" + missing,
                 now);
        }
        return;
      }
      terminal_->Note(now.unix_ms,
                      fmt::format("{} are connected", fmt::join(script_.people, ", ")));
      v1::Request request;
      request.mutable_create_chat()->set_title(script_.group_title);
      for (size_t i = 1; i < script_.people.size(); ++i) {
        request.mutable_create_chat()->add_members(script_.people[i]);
      }
      group_request_ = people_[0]->device.brain().Ask(std::move(request), now);
      stage_ = Stage::kGathering;
      return;
    }
    case Stage::kGathering:
      if (!group_id_.empty()) {
        began_ms_ = now.mono_ms;
        stage_ = Stage::kTalking;
      } else if (now.mono_ms >= stage_ends_ms_) {
        GiveUp("the group was not created", now);
      }
      return;
    case Stage::kTalking:
      while (next_beat_ < script_.beats.size() &&
             now.mono_ms >= began_ms_ + script_.beats[next_beat_].at_ms) {
        Do(script_.beats[next_beat_++], now);
      }
      if (next_beat_ < script_.beats.size()) return;
      stage_ = Stage::kSettling;
      stage_ends_ms_ = now.mono_ms + kSettleLimitMs;
      return;
    case Stage::kSettling: {
      const bool quiet = std::all_of(people_.begin(), people_.end(), [](const auto& p) {
        return p->device.brain().unanswered() == 0 && p->device.brain().asking() == 0;
      });
      if ((quiet && oracle_.Settled()) || now.mono_ms >= stage_ends_ms_) stage_ = Stage::kDone;
      return;
    }
    case Stage::kDone:
      return;
  }
}

void Demo::Do(const Beat& beat, Now now) {
  Person& person = Find(beat.who);
  DeviceBrain& brain = person.device.brain();
  uint64_t id = 0;
  switch (beat.kind) {
    case Beat::Kind::kDirect:
      id = brain.SendToUser(beat.to, beat.text, now);
      break;
    case Beat::Kind::kGroup:
      id = brain.SendToChat(group_id_, beat.text, now);
      break;
    case Beat::Kind::kLeave:
      person.away = true;
      person.device.GoOffline(now);
      terminal_->Note(now.unix_ms, beat.who + " loses the network");
      return;
    case Beat::Kind::kReturn:
      person.away = false;
      person.catching_up = true;
      person.missed.clear();
      person.device.GoOnline(now);
      terminal_->Note(now.unix_ms, beat.who + " comes back");
      return;
  }
  sent_at_ms_[{beat.who, id}] = now.mono_ms;
}

void Demo::Saw(Person& person, const Happening& happening, Now now) {
  const std::string& uid = person.device.brain().uid();
  oracle_.Took(person.judged_as, happening, now);
  std::visit(
      [&](const auto& h) {
        using T = std::decay_t<decltype(h)>;
        if constexpr (std::is_same_v<T, SendAccepted>) OnAccepted(person, h, now);
        if constexpr (std::is_same_v<T, PresenceSeen>) OnPresence(person, h.presence, now);
        if constexpr (std::is_same_v<T, Synced>) person.head = h.head;
        if constexpr (std::is_same_v<T, MessageCame>) {
          if (person.catching_up) {
            person.missed.push_back(h.message.author() + ": " + h.message.text());
          }
        }
        if constexpr (std::is_same_v<T, SendRefused>) {
          terminal_->Bad(now.unix_ms,
                         fmt::format("{} was refused \"{}\": {}", uid, h.text, h.error.message()));
        }
        if constexpr (std::is_same_v<T, WentDown>) {
          if (!person.away) terminal_->Bad(now.unix_ms, uid + ": " + h.reason);
        }
        if constexpr (std::is_same_v<T, ServerFault>) terminal_->Bad(now.unix_ms, h.what);
        if constexpr (std::is_same_v<T, Answered>) {
          if (h.response.request_id() != group_request_) return;
          group_id_ = h.response.chat().chat_id();
          if (group_id_.empty()) {
            return GiveUp("the group was refused: " + h.response.error().message(), now);
          }
          terminal_->Note(now.unix_ms, fmt::format("{} opens the group \"{}\" for all five", uid,
                                                   script_.group_title));
        }
      },
      happening);
}

void Demo::OnAccepted(Person& person, const SendAccepted& accepted, Now now) {
  const std::string& uid = person.device.brain().uid();
  if (const auto sent = sent_at_ms_.find({uid, accepted.client_msg_id});
      sent != sent_at_ms_.end()) {
    accept_ms_.push_back(now.mono_ms - sent->second);
    sent_at_ms_.erase(sent);
  }
  Said said{uid,        script_.group_title, accepted.text, accepted.chat_id, accepted.msg_id,
            now.mono_ms};
  if (accepted.chat_id != group_id_) said.where = script_.people[uid == script_.people[0] ? 1 : 0];
  terminal_->Message(now.unix_ms, said.who, said.where, said.text);
  said_.push_back(std::move(said));
}

void Demo::OnPresence(const Person& person, const v1::Presence& presence, Now now) {
  (void)person;
  const auto [known, fresh] = presence_.emplace(presence.uid(), false);
  if (known->second == presence.online()) return;
  known->second = presence.online();
  terminal_->Presence(now.unix_ms, presence.uid(), presence.online());
}

void Demo::ShowDelivered(Now now) {
  for (auto it = said_.begin(); it != said_.end();) {
    const auto& brain = Find(it->who).device.brain();
    auto owed = oracle_.Recipients(it->chat_id, it->msg_id);
    std::erase(owed, it->who);
    const bool all = std::all_of(owed.begin(), owed.end(), [&](const std::string& uid) {
      return brain.Mark(it->chat_id, uid) >= it->msg_id;
    });
    if (owed.empty() || !all) {
      ++it;
      continue;
    }
    const std::string whom = owed.size() == 1 ? *owed.begin() : fmt::format("all {}", owed.size());
    terminal_->Delivered(now.unix_ms, it->who, it->where, whom, it->text);
    it = said_.erase(it);
  }
}

void Demo::CountMissed(Person& person, Now now) {
  if (!person.catching_up || !person.device.online()) return;
  if (person.device.brain().cursor().held() < person.head) return;
  person.catching_up = false;
  terminal_->Note(now.unix_ms, fmt::format("{} gets what was missed, {} messages:",
                                           person.device.brain().uid(), person.missed.size()));
  for (const auto& line : person.missed) terminal_->Note(now.unix_ms, "   " + line);
}

void Demo::GiveUp(std::string why, Now now) {
  terminal_->Bad(now.unix_ms, why);
  gave_up_ = std::move(why);
  stage_ = Stage::kDone;
}

bool Demo::Conclude(Now now) {
  for (auto& person : people_) {
    person->away = true;
    person->device.GoOffline(now);
  }
  oracle_.Finish(now);
  std::vector<std::string> faults;
  for (const auto& broken : oracle_.violations()) {
    faults.push_back(fmt::format("{}: {}\n{}", broken.promise, broken.what, broken.story));
  }
  if (!gave_up_.empty()) faults.insert(faults.begin(), gave_up_);
  const Tally tally = oracle_.Count();
  if (tally.refused > 0) faults.push_back(fmt::format("{} messages were refused", tally.refused));
  size_t unanswered = 0;
  for (const auto& person : people_) unanswered += person->device.brain().unanswered();
  if (unanswered > 0) faults.push_back(fmt::format("{} messages were never answered", unanswered));

  std::sort(accept_ms_.begin(), accept_ms_.end());
  const int64_t median = accept_ms_.empty() ? 0 : accept_ms_[accept_ms_.size() / 2];
  terminal_->Plain("");
  terminal_->Plain(fmt::format(
      "{} messages accepted (half of them within {} ms), {} of {} deliveries made, {} of {} "
      "delivered marks up to date, {} repeats dropped.",
      tally.accepted, median, tally.delivered, tally.owed, tally.marks, tally.marks_owed,
      tally.repeats));
  if (faults.empty()) {
    terminal_->Plain("Everything accepted was delivered to everybody, exactly once, in one order.");
    return true;
  }
  terminal_->Plain(fmt::format("{} things went wrong:", faults.size()));
  for (const auto& fault : faults) terminal_->Plain("  ✗ " + fault);
  return false;
}

int64_t Demo::NextDeadline() const {
  int64_t next = stage_ends_ms_;
  if (stage_ == Stage::kTalking && next_beat_ < script_.beats.size()) {
    next = began_ms_ + script_.beats[next_beat_].at_ms;
  }
  for (const auto& person : people_) next = std::min(next, person->device.NextDeadline());
  return next;
}

}  // namespace nightjar::client
