#include "tests/unit/client_sim/judge_world.h"

#include <algorithm>
#include <utility>

#include "common/wire/names.h"

namespace nightjar::client {
namespace {

struct InboxEntry {
  std::string chat;
  uint64_t id = 0;
  bool change = false;
  size_t writer = SIZE_MAX;  // device
};
struct Pending {
  uint64_t client_msg_id = 0;
  std::string chat, text;
  uint64_t id = 0;          // 0: the server has not got it yet
  uint64_t connection = 0;  // on which it was stored
  int tries = 0;
};
struct Device {
  std::string uid, name;
  bool expected = false, known = false, up = false, resynced = false;
  uint64_t epoch = 0, held = 0, acked = 0, connection = 0;
  uint64_t last_client_id = 0;
  std::vector<Pending> pending;
  std::set<std::pair<std::string, uint64_t>> has, answered;
  std::set<std::pair<std::string, uint64_t>> skips;  // own, accepted on this connection
  std::map<std::pair<std::string, std::string>, uint64_t> marks;
  std::map<std::string, bool> shown;
};
struct User {
  std::vector<size_t> devices;
  std::vector<InboxEntry> inbox;  // entry i has seq i + 1
  bool online = false;
  int64_t changed_ms = -1'000'000;  // up or down since
};
struct Chat {
  std::vector<v1::Message> messages;
  std::map<uint64_t, v1::ChatChange> changes;
  std::map<uint64_t, size_t> writers;
  std::set<std::string> members;
  std::map<std::string, uint64_t> marks;
  uint64_t last = 0;
};

class World {
 public:
  World(uint64_t seed, const WorldShape& shape) : dice_(seed), shape_(shape) {
    now_ = {1'000, 1'700'000'000'000};
  }

  Record Play() {
    for (int i = 0; i < shape_.users; ++i) {
      const std::string uid = "u" + std::to_string(i);
      users_[uid];
      AddDevice(uid, "phone");
      if (i == 0 || dice_.Below(3) == 0) AddDevice(uid, "tablet");
    }
    for (size_t i = 0; i < devices_.size(); ++i) {
      Expect(i);
      if (dice_.Below(5) != 0 || i == 0) Connect(i);
    }
    for (int i = 0; i < shape_.steps; ++i) {
      Pass(dice_.Between(0, 120));
      Step();
    }
    Settle();
    for (const auto& [id, chat] : chats_) record_.histories[id] = chat.messages;
    record_.end = now_;
    return std::move(record_);
  }

 private:
  size_t AddDevice(const std::string& uid, const std::string& name) {
    const size_t index = devices_.size();
    devices_.emplace_back();
    devices_.back().uid = uid;
    devices_.back().name = name;
    record_.devices.emplace_back(uid, name);
    users_[uid].devices.push_back(index);
    return index;
  }
  void Expect(size_t device) {
    devices_[device].expected = true;
    Told told;
    told.kind = Told::Kind::kExpect;
    told.device = device;
    told.now = now_;
    record_.told.push_back(std::move(told));
  }
  void Tell(size_t device, Happening happening) {
    record_.told.push_back({Told::Kind::kTook, device, std::move(happening), now_});
  }

  void Pass(int64_t ms) {
    now_.mono_ms += ms;
    now_.unix_ms += ms;
    for (auto& [uid, user] : users_) {
      const bool up = IsUp(user);
      const int64_t since = now_.mono_ms - user.changed_ms;
      if (up != user.online && since >= (up ? 3'000 : 5'000)) {
        user.online = up;
        ShowPresence(uid);
      }
    }
  }
  bool IsUp(const User& user) const {
    return std::any_of(user.devices.begin(), user.devices.end(),
                       [&](size_t d) { return devices_[d].up; });
  }
  void ShowPresence(const std::string& uid) {
    if (devices_[0].up && devices_[0].uid != uid) Show(0, uid);
  }
  void Show(size_t device, const std::string& uid) {
    PresenceSeen seen;
    seen.presence.set_uid(uid);
    seen.presence.set_online(users_[uid].online);
    Tell(device, seen);
  }

  // -- connections -------------------------------------------------------------------------------
  void Connect(size_t index) {
    Device& device = devices_[index];
    User& user = users_[device.uid];
    if (!IsUp(user)) user.changed_ms = now_.mono_ms;
    device.up = true;
    ++device.connection;
    device.skips.clear();
    if (index == 0) {
      for (const auto& [uid, other] : users_) {
        if (uid != device.uid) Show(0, uid);
      }
    }
    Sync(index);
  }
  void Sync(size_t index) {
    Device& device = devices_[index];
    User& user = users_[device.uid];
    bool resync = false;
    uint64_t start = device.acked;
    if (device.epoch != 0 && device.epoch != epoch_) {
      resync = true;
      start = 0;
    } else if (!device.known) {
      start = 0;
      for (const size_t other : user.devices) {
        if (devices_[other].epoch == epoch_) start = std::max(start, devices_[other].acked);
      }
      resync = start > 0;
    }
    device.known = true;
    device.epoch = epoch_;
    device.held = device.acked = start;
    Tell(index, Synced{epoch_, start, user.inbox.size(), resync});
    if (!resync) return;
    for (const auto& [id, chat] : chats_) {
      if (!chat.members.contains(device.uid)) continue;
      View(index, id, chat);
    }
  }
  void View(size_t index, const std::string& id, const Chat& chat) {
    Device& device = devices_[index];
    client::Answered answered;
    auto& view = *answered.response.mutable_chat_view();
    view.mutable_chat()->set_chat_id(id);
    view.mutable_chat()->set_last_msg_id(chat.last);
    view.mutable_chat()->set_member_count(static_cast<uint32_t>(chat.members.size()));
    for (const auto& uid : chat.members) view.mutable_chat()->add_members(uid);
    for (const auto& message : chat.messages) {
      *view.add_messages() = ForDevice(message, device);
      if (!device.has.emplace(id, message.msg_id()).second) continue;
      if (device.answered.contains({id, message.msg_id()})) continue;
      Tell(index, MessageCame{0, ForDevice(message, device)});
    }
    Tell(index, answered);
  }
  static v1::Message ForDevice(v1::Message message, const Device& device) {
    if (message.author() != device.uid) {
      message.clear_client_msg_id();
      message.clear_device();
    }
    return message;
  }
  void Cut(size_t index) {
    Device& device = devices_[index];
    device.up = false;
    if (!IsUp(users_[device.uid])) users_[device.uid].changed_ms = now_.mono_ms;
    Tell(index, WentDown{"cut"});
  }

  // -- sending -----------------------------------------------------------------------------------
  void Write(size_t index) {
    Device& device = devices_[index];
    std::vector<std::string> chats;
    for (const auto& [id, chat] : chats_) {
      if (id[0] == 'g' && chat.members.contains(device.uid)) chats.push_back(id);
    }
    auto other = users_.begin();
    std::advance(other, static_cast<int64_t>(dice_.Below(users_.size())));
    chats.push_back(DirectChatId(device.uid, other->first));
    const std::string chat = chats[dice_.Below(chats.size())];
    Pending pending;
    pending.client_msg_id = device.last_client_id =
        std::max(device.last_client_id + 1, static_cast<uint64_t>(now_.unix_ms));
    pending.chat = chat;
    pending.text = shape_.unique_texts ? "text " + std::to_string(++texts_)
                                       : "text " + std::to_string(dice_.Below(3));
    Tell(index, Wrote{pending.client_msg_id, chat, pending.text});
    device.pending.push_back(std::move(pending));
  }
  Chat& ChatOf(const std::string& id) {
    Chat& chat = chats_[id];
    if (chat.members.empty()) {
      if (const auto name = ParseChatId(id); name && name->direct) {
        chat.members = {name->low, name->high};
      }
    }
    return chat;
  }
  uint64_t NextId(Chat& chat) {
    const auto stamp = static_cast<uint64_t>(now_.unix_ms) << 20;
    return chat.last = std::max(chat.last + 1, stamp);
  }
  // The server gets the oldest send of the device, or its repeat.
  void Arrive(size_t index) {
    Device& device = devices_[index];
    if (!device.up || device.pending.empty()) return;
    Pending& send = device.pending[dice_.Below(device.pending.size())];
    Chat& chat = ChatOf(send.chat);
    ++send.tries;
    if (send.id == 0) {
      if (!chat.members.contains(device.uid)) return Refuse(index, send);
      if (shape_.refusals && dice_.Below(12) == 0) return Refuse(index, send);
      if (dice_.Below(15) == 0) {
        Tell(index, PutOff{send.client_msg_id, v1::UNAVAILABLE});
        return;
      }
      send.id = NextId(chat);
      v1::Message message;
      message.set_msg_id(send.id);
      message.set_chat_id(send.chat);
      message.set_author(device.uid);
      message.set_text(send.text);
      message.set_client_msg_id(send.client_msg_id);
      message.set_device(device.name);
      chat.messages.push_back(message);
      chat.writers[send.id] = index;
      for (const auto& uid : chat.members) {
        size_t known = 0;
        for (const size_t d : users_[uid].devices) known += devices_[d].known;
        if (uid == device.uid && known <= 1) continue;
        users_[uid].inbox.push_back({send.chat, send.id, false, index});
      }
      send.connection = device.connection;
    }
    device.skips.emplace(send.chat, send.id);
    if (dice_.Below(3) == 0) return;  // the answer is still on its way, or lost
    Accept(index, send);
  }
  void Refuse(size_t index, Pending& send) {
    SendRefused refused{send.client_msg_id, send.chat, send.text, {}};
    refused.error.set_code(v1::PERMISSION_DENIED);
    Tell(index, refused);
    Remove(index, send);
  }
  void Accept(size_t index, Pending& send) {
    Device& device = devices_[index];
    Tell(index, SendAccepted{send.client_msg_id, send.id, send.chat, send.text, send.tries});
    device.answered.emplace(send.chat, send.id);
    Remove(index, send);
  }
  void Remove(size_t index, Pending& send) {
    auto& pending = devices_[index].pending;
    pending.erase(pending.begin() + (&send - pending.data()));
  }

  // -- receiving ---------------------------------------------------------------------------------
  void Deliver(size_t index) {
    Device& device = devices_[index];
    if (!device.up) return;
    const User& user = users_[device.uid];
    while (device.held < user.inbox.size()) {
      const InboxEntry& entry = user.inbox[device.held];
      const auto key = std::make_pair(entry.chat, entry.id);
      ++device.held;
      if (entry.writer == index && device.skips.contains(key)) continue;
      const Chat& chat = chats_[entry.chat];
      if (entry.change) {
        if (device.has.insert(key).second) {
          Tell(index, ChatChanged{device.held, chat.changes.at(entry.id)});
        }
        return;
      }
      const auto message = std::find_if(chat.messages.begin(), chat.messages.end(),
                                        [&](const auto& m) { return m.msg_id() == entry.id; });
      if (device.answered.contains(key) || !device.has.insert(key).second) {
        Tell(index, RepeatCame{device.held, entry.chat, entry.id});
      } else {
        Tell(index, MessageCame{device.held, ForDevice(*message, device)});
      }
      return;
    }
  }
  void Ack(size_t index) {
    Device& device = devices_[index];
    if (!device.up || device.acked == device.held) return;
    const User& user = users_[device.uid];
    Tell(index, AckSent{device.held});
    for (uint64_t seq = device.acked; seq < device.held; ++seq) {
      const InboxEntry& entry = user.inbox[seq];
      if (entry.change || devices_[entry.writer].uid == device.uid) continue;
      uint64_t& mark = chats_[entry.chat].marks[device.uid];
      mark = std::max(mark, entry.id);
    }
    device.acked = device.held;
  }
  void TellMarks(size_t index) {
    Device& device = devices_[index];
    if (!device.up) return;
    for (const auto& [id, chat] : chats_) {
      if (!chat.members.contains(device.uid)) continue;
      for (const auto& [uid, mark] : chat.marks) {
        if (uid == device.uid) continue;
        uint64_t& known = device.marks[{id, uid}];
        if (mark <= known) continue;
        known = mark;
        Tell(index, MarkMoved{id, uid, mark});
      }
    }
  }

  // -- groups ------------------------------------------------------------------------------------
  void ChangeGroup() {
    const std::string creator = devices_[0].uid;
    std::string id = "g:aaaaaaaaaaaaaaaaaaaaaaaaa" + std::string(1, char('a' + dice_.Below(2)));
    Chat& chat = chats_[id];
    v1::ChatChange change;
    change.set_by(creator);
    std::set<std::string> told = chat.members;
    if (chat.members.empty()) {
      change.set_kind(v1::ChatChange::CREATED);
      for (const auto& [uid, user] : users_) {
        if (uid == creator || dice_.Below(4) != 0) change.add_added(uid);
      }
    } else {
      change.set_kind(v1::ChatChange::MEMBERS_CHANGED);
      auto other = users_.begin();
      std::advance(other, static_cast<int64_t>(1 + dice_.Below(users_.size() - 1)));
      if (chat.members.contains(other->first)) {
        change.add_removed(other->first);
      } else {
        change.add_added(other->first);
      }
    }
    for (const auto& uid : change.added()) chat.members.insert(uid);
    for (const auto& uid : change.removed()) chat.members.erase(uid);
    told.insert(chat.members.begin(), chat.members.end());
    change.set_msg_id(NextId(chat));
    change.mutable_chat()->set_chat_id(id);
    change.mutable_chat()->set_member_count(static_cast<uint32_t>(chat.members.size()));
    for (const auto& uid : chat.members) change.mutable_chat()->add_members(uid);
    chat.changes[change.msg_id()] = change;
    for (const auto& uid : told) users_[uid].inbox.push_back({id, change.msg_id(), true, SIZE_MAX});
  }

  void NewEpoch() {
    Told told;
    told.kind = Told::Kind::kDisturbed;
    told.now = now_;
    record_.told.push_back(told);
    ++epoch_;
    for (auto& [uid, user] : users_) user.inbox.clear();
    for (Device& device : devices_) device.held = device.acked = 0;
    for (size_t i = 0; i < devices_.size(); ++i) {
      if (devices_[i].up) Sync(i);
    }
  }

  void Step() {
    const size_t index = dice_.Below(devices_.size());
    Device& device = devices_[index];
    const uint64_t what = dice_.Below(1000);
    if (!device.expected) return;
    if (what < 200) return Write(index);
    if (what < 450) return Arrive(index);
    if (what < 750) return Deliver(index);
    if (what < 850) return Ack(index);
    if (what < 900) return TellMarks(index);
    if (what < 950) {
      if (!shape_.cuts) return;
      device.up ? Cut(index) : Connect(index);
      if (!device.up && dice_.Below(2) == 0) {
        Pass(dice_.Between(50, 2'500));
        Connect(index);  // at once: must not show
      }
      return;
    }
    if (what < 980) {
      if (shape_.groups) ChangeGroup();
      return;
    }
    if (what < 996) {
      if (!shape_.late_devices || devices_.size() >= 12) return;
      const std::string uid = device.uid;
      const size_t late = AddDevice(uid, "late" + std::to_string(devices_.size()));
      Expect(late);
      return Connect(late);
    }
    if (shape_.epochs) NewEpoch();
  }

  void Settle() {
    for (size_t i = 0; i < devices_.size(); ++i) {
      if (!devices_[i].up) Connect(i);
    }
    for (size_t i = 0; i < devices_.size(); ++i) {
      while (!devices_[i].pending.empty()) {
        Pass(5);
        Arrive(i);
      }
    }
    Pass(100);
    for (size_t i = 0; i < devices_.size(); ++i) {
      while (devices_[i].held < users_[devices_[i].uid].inbox.size()) Deliver(i);
      Ack(i);
    }
    Pass(100);
    for (size_t i = 0; i < devices_.size(); ++i) TellMarks(i);
    for (int i = 0; i < 80; ++i) Pass(1'000);
  }

  Dice dice_;
  WorldShape shape_;
  Now now_;
  Record record_;
  std::map<std::string, User> users_;
  std::map<std::string, Chat> chats_;
  std::vector<Device> devices_;
  uint64_t epoch_ = 1;
  int texts_ = 0;
};

}  // namespace

Record PlayWorld(uint64_t seed, const WorldShape& shape) { return World(seed, shape).Play(); }

Judged Judge(const Record& record, OracleOptions options) {
  Oracle oracle(options);
  std::vector<DeviceId> ids(record.devices.size());
  for (const Told& told : record.told) {
    switch (told.kind) {
      case Told::Kind::kExpect:
        ids[told.device] =
            oracle.Expect(record.devices[told.device].first, record.devices[told.device].second);
        break;
      case Told::Kind::kTook:
        oracle.Took(ids[told.device], told.happening, told.now);
        break;
      case Told::Kind::kDisturbed:
        oracle.Disturbed(told.now, "Redis was rebuilt", false);
        break;
    }
  }
  Judged judged;
  judged.settled = oracle.Settled();
  judged.outstanding = oracle.Outstanding();
  for (const auto& [chat, messages] : record.histories) {
    oracle.HistoryBegins(chat);
    v1::History page;
    for (const auto& message : messages) {
      *page.add_messages() = message;
      if (page.messages_size() < 7) continue;
      oracle.HistoryPage(chat, page);
      page.Clear();
    }
    oracle.HistoryPage(chat, page);
    oracle.HistoryEnds(chat, record.end);
  }
  oracle.Finish(record.end);
  judged.violations = oracle.violations();
  judged.tally = oracle.Count();
  return judged;
}

}  // namespace nightjar::client
