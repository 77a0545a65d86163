// Who lives in a world, and what they choose.
#include <algorithm>

#include "common/wire/names.h"
#include "tests/worlds/world.h"

namespace nightjar::worlds {

void World::AddPhone(const std::string& uid, const std::string& device, bool starts_online) {
  Phone::Manners manners;
  manners.json = dice_.Chance(shape_.json_permille);
  manners.brief = dice_.Chance(shape_.brief_permille);
  if (dice_.Chance(shape_.small_frames_permille)) {
    // Smaller frames lose names and authors, which the judge would take for altered ones.
    manners.max_frame = static_cast<uint32_t>(dice_.Between(800, 2500));
  }
  manners.clock_off_ms = dice_.Chance(200) ? dice_.Between(-100'000, 100'000) : 0;
  manners.starts_online = starts_online;
  judged_.push_back(oracle_.Expect(uid, device));
  const int number = static_cast<int>(phones_.size());
  phones_.push_back(std::make_unique<Phone>(*this, number, uid, device, manners));
  phones_.back()->Begin();
}

void World::MakePeople() {
  for (int i = 0; i < shape_.people; ++i) people_.push_back("u" + std::to_string(i));
  for (int i = 0; i < shape_.names; ++i) names_.push_back("x" + std::to_string(i));
  for (const std::string& uid : people_) {
    AddPhone(uid, "d0", dice_.Chance(850));
    if (dice_.Chance(shape_.second_device_permille)) AddPhone(uid, "d1", dice_.Chance(700));
  }
  MakeGroups();
}

// The first ones, made by hand at the hub as the engine would make them.
void World::MakeGroups() {
  scheduler_.After(dice_.Between(1, 2000), [this] {
    for (int i = 0; i < shape_.groups; ++i) {
      v1::Request request;
      v1::CreateChat& create = *request.mutable_create_chat();
      create.set_title("group " + std::to_string(i));
      const bool large = i == 0 && shape_.large_group;
      for (const std::string& uid : people_) {
        if (large || dice_.Chance(700)) create.add_members(uid);
      }
      for (const std::string& uid : names_) {
        if (large || dice_.Chance(200)) create.add_members(uid);
      }
      dice_.Of(phones_)->Ask(std::move(request));
    }
  });
  if (!shape_.new_devices) return;
  for (int64_t n = dice_.Between(1, 3); n > 0; --n) {
    scheduler_.After(dice_.Below(shape_.busy_ms), [this, n] {
      if (settling_) return;
      coverage_.Hit(Point::kNewDevice);
      AddPhone(SomePerson(), "n" + std::to_string(n), true);
    });
  }
}

const std::string& World::SomePerson() { return dice_.Of(people_); }

std::string World::SomeName() { return dice_.Of(names_); }

std::vector<std::string> World::SomePeople() {
  std::vector<std::string> some;
  for (const std::string& uid : people_) {
    if (dice_.Chance(500)) some.push_back(uid);
  }
  for (const std::string& uid : names_) {
    if (dice_.Chance(300)) some.push_back(uid);
  }
  return some;
}

size_t World::Groups() const {
  return static_cast<size_t>(std::count_if(Told().chats.begin(), Told().chats.end(),
                                           [](const auto& chat) { return !chat.second.direct; }));
}

std::string World::SomeGroup(const std::string& uid) {
  std::vector<std::string> groups;
  for (const auto& [id, chat] : Told().chats) {
    if (!chat.direct && chat.IsMember(uid)) groups.push_back(id);
  }
  return groups.empty() ? "" : dice_.Of(groups);
}

std::string World::SomeChat(const std::string& uid) {
  if (dice_.Chance(550)) {
    const std::string group = SomeGroup(uid);
    if (!group.empty()) return group;
  }
  // Now and then into a group that has never had, or has no more, this person.
  if (dice_.Chance(30)) {
    for (const auto& [id, chat] : Told().chats) {
      if (!chat.direct) return id;
    }
  }
  return DirectChatId(uid, dice_.Chance(850) ? SomePerson() : SomeName());
}

}  // namespace nightjar::worlds
