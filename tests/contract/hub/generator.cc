#include "tests/contract/hub/generator.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/hub/keys.h"
#include "common/wire/codec.h"
#include "common/wire/limits.h"
#include "common/wire/names.h"
#include "nightjar/v1/hub.pb.h"

namespace nightjar::hub::contract {

Generator::Generator(uint64_t seed, Mix mix, const Bounds& bounds) : random_(seed), mix_(mix) {
  main_uids_ = {"al", "bo", "cy", "di", "ed"};
  names_.uids = main_uids_;
  for (const char* uid : {"fa", "gu", "hi", "io", "ju", "a.l"}) names_.uids.push_back(uid);
  names_.devices = {"p", "q", "r"};
  if (mix == Mix::kWindows || mix == Mix::kSessions) {
    for (int i = 0; i < 16; ++i) names_.devices.push_back("x" + std::to_string(i));
  }
  groups_ = {GroupChatId("al", "p", "1"), GroupChatId("al", "p", "2")};
  names_.chats = {DirectChatId("al", "bo"), DirectChatId("cy", "cy"), groups_[0], groups_[1]};
  names_.brokers = {"m#1", "n#1", "m#2", "o#1"};
  if (mix == Mix::kBrokers) {
    for (const char* more : {"n#2", "n#3", "o#2", "q#1", "q#2", "r#1"})
      names_.brokers.push_back(more);
  }
  names_.partitions = bounds.partitions;
  owners_ = {"one", "m#1", "n#1", "o#1"};
}

std::vector<std::string> Generator::Shuffled(std::vector<std::string> of) {
  for (size_t i = of.size(); i > 1; --i) std::swap(of[i - 1], of[Below(static_cast<uint32_t>(i))]);
  return of;
}

EntryTemplate Generator::Template(size_t parts) {
  EntryTemplate t{"t" + std::to_string(++text_)};
  if (Chance(20)) t[0] += std::string("\0\xff\n", 3) + std::string(Below(3) * 60, 'x');
  while (t.size() < parts) t.push_back(Chance(50) ? "" : "\n}:,");
  return t;
}

std::vector<uint32_t> Generator::SomePartitions() {
  std::vector<uint32_t> some;
  for (uint32_t p = 0; p < names_.partitions; ++p) {
    if (Chance(80)) some.push_back(p);
  }
  if (some.empty()) some.push_back(Partition());
  if (Chance(20)) std::reverse(some.begin(), some.end());
  return some;
}

Step Generator::Next(const fake::HubState& state, int64_t clock) {
  Step step;
  const uint32_t dice = Below(200);
  if (dice < 140)
    step.advance_ms = 0;
  else if (dice < 170)
    step.advance_ms = 1 + Below(50);
  else if (dice < 188)
    step.advance_ms = Below(8000);
  else if (dice < 196)
    step.advance_ms = -static_cast<int64_t>(Below(3000));
  else if (dice < 198)
    step.advance_ms = limits::kInboxMs / 2;
  else
    step.advance_ms = limits::kInboxMs + Below(3);
  step.raise_epoch = Chance(1) && Chance(40);
  step.lose_everything = Chance(1) && Chance(20);
  if (mix_ == Mix::kBrokers && Chance(6)) {
    step.listen = {std::string(keys::BrokerId(Pick(names_.brokers))), Below(3)};
  }
  step.call = Any(state, clock + step.advance_ms);
  return step;
}

BrokerName Generator::Broker(const fake::HubState& state) {
  if (state.living.empty() || !Chance(92)) return Pick(names_.brokers);
  auto broker = state.living.begin();
  std::advance(broker, Below(static_cast<uint32_t>(state.living.size())));
  return broker->first;
}

Call Generator::Any(const fake::HubState& state, int64_t clock) {
  // send, append, create, update, login, logout, ack, tail, presence, lease, trim, setting, read,
  // beat, watch
  constexpr std::array<std::array<int, 15>, 5> kWeights = {{
      {26, 6, 4, 6, 10, 8, 12, 3, 5, 4, 5, 3, 8, 5, 2},
      {85, 0, 1, 2, 2, 1, 2, 0, 0, 1, 2, 0, 4, 1, 0},
      {24, 24, 3, 12, 8, 4, 5, 2, 1, 9, 9, 1, 3, 3, 0},
      {14, 2, 2, 2, 32, 14, 10, 6, 10, 0, 1, 2, 5, 5, 3},
      {14, 2, 2, 1, 22, 8, 4, 4, 10, 2, 1, 0, 5, 32, 8},
  }};
  const auto& weights = kWeights[static_cast<size_t>(mix_)];
  int total = 0;
  for (const int w : weights) total += w;
  int dice = static_cast<int>(Below(static_cast<uint32_t>(total)));
  size_t kind = 0;
  while (dice >= weights[kind]) dice -= weights[kind++];
  switch (kind) {
    case 0:
      return MakeSend(state, clock);
    case 1:
      return MakeAppend(state, clock);
    case 2:
      return MakeCreate(state, clock);
    case 3:
      return MakeUpdate(state, clock);
    case 4:
      return MakeLogin(state, clock);
    case 5:
      return MakeLogout(state, clock);
    case 6:
      return MakeAck(state, clock);
    case 7:
      return Tail{Uid(), Broker(state), Below(3)};
    case 8:
      return SetPresence{Uid(), Chance(50), Broker(state), clock};
    case 9:
      return Lease{static_cast<Role>(Below(3)), Pick(owners_), SomePartitions(),
                   Chance(15) ? 0 : 1 + Below(8000)};
    case 10:
      return MakeTrim(state);
    case 11:
      return MakeSetting(clock);
    case 12:
      return MakeRead(state);
    case 13:
      return MakeBeat(state);
    default: {
      auto uids = Shuffled(names_.uids);
      uids.resize(Below(5));
      return Watch{uids, Broker(state), Chance(75)};
    }
  }
}

// Of those that live, of those that begin, of those that have been away; and who leaves.
Call Generator::MakeBeat(const fake::HubState& state) {
  if (Chance(10)) {
    auto dying = state.dying.begin();
    if (!state.dying.empty()) std::advance(dying, Below(static_cast<uint32_t>(state.dying.size())));
    const BrokerName& broker =
        !state.dying.empty() && Chance(60) ? dying->first : Pick(names_.brokers);
    if (Chance(30)) return Fence{broker, SomePartitions()};
    return Gone{broker, Chance(60)};
  }
  Beat beat;
  beat.broker = Chance(50) ? Broker(state) : Pick(names_.brokers);
  beat.first = Chance(state.living.count(beat.broker) > 0 ? 10 : 80);
  beat.may_clear = Chance(50);
  beat.ttl_ms = Chance(80) ? 3000 : 1 + Below(8000);
  beat.epoch = Chance(95) ? state.epoch : state.epoch - Below(2);
  beat.known = Chance(60) ? state.living_version : Below(4);
  for (const auto& [name, until] : state.dying) {
    if (Chance(40)) beat.clearing.push_back(name);
  }
  if (Chance(10)) beat.clearing.push_back(Pick(names_.brokers));
  return beat;
}

Call Generator::MakeSend(const fake::HubState& state, int64_t clock) {
  Send s;
  s.chat = Chance(97) ? Pick(names_.chats) : Pick(std::vector<std::string>{"", "d:al", "g:zz"});
  if (mix_ == Mix::kFanOut && Chance(80)) s.chat = groups_[0];
  if (mix_ == Mix::kWindows && Chance(80)) s.chat = names_.chats[0];
  s.author = Uid();
  s.device = Pick(names_.devices);
  if (mix_ == Mix::kWindows) {  // one device with full windows, one user with many devices
    s.author = Chance(75) ? "al" : "bo";
    if (Chance(40)) s.device = names_.devices[0];
  }
  // Ids from a short, slowly moving range: repeats, gaps, and what has left the window.
  const uint32_t range = mix_ == Mix::kWindows ? 22 : 8;
  s.client_msg_id = Chance(8) ? 0 : 1 + text_ / 8 + Below(range);
  s.received_ms = clock + (Chance(70) ? 0 : static_cast<int64_t>(Below(40'000)) - 25'000);
  s.text_bytes = Chance(90) ? 100 : limits::kTextBigChat + 1;
  s.shared = Template(2);
  s.own = Template(2);
  s.broker = Broker(state);
  s.by_task = ByTask();
  const auto name = ParseChatId(s.chat);
  const auto chat = state.chats.find(s.chat);
  if (name && name->direct) {
    s.members = {name->low};
    if (name->high != name->low) s.members.push_back(name->high);
  } else if (chat != state.chats.end()) {
    // A caller that knows the version knows the members of it.
    const auto present = chat->second.PresentMembers();
    const bool knows = Chance(85);
    s.version = knows ? chat->second.version : chat->second.version + Below(3) - 1;
    if (present.size() <= limits::kInlineMembers) s.members = Shuffled(present);
    if (s.version != chat->second.version) s.members = {s.author, "fa"};
    if (!present.empty() && Chance(70)) s.author = Pick(present);
  }
  return s;
}

namespace {

// Tasks of the chat that the one at `first` is of, from there on.
std::vector<Append::Message> MessagesFrom(const std::deque<std::string>& records, size_t first,
                                          size_t most) {
  std::vector<Append::Message> messages;
  std::string chat;
  for (size_t i = first; i < records.size() && messages.size() < most; ++i) {
    v1::FanOutTask task;
    if (!task.ParseFromString(records[i])) continue;
    if (chat.empty()) chat = task.chat_id();
    if (task.chat_id() != chat) continue;
    messages.push_back(
        {task.msg_id(), task.author(), task.author_device(), task.shared(), task.own()});
  }
  return messages;
}

}  // namespace

// Mostly a step of the oldest task, for some of the people; also by somebody who is late.
Call Generator::MakeAppend(const fake::HubState& state, int64_t clock) {
  std::vector<std::string> uids = Shuffled(names_.uids);
  uids.resize(1 + Below(static_cast<uint32_t>(uids.size())));
  const auto partition = state.partitions.find(Partition());
  if (partition != state.partitions.end() && !partition->second.tasks.records.empty()) {
    const auto& records = partition->second.tasks.records;
    v1::FanOutTask task;
    const size_t first = Chance(70) ? 0 : Below(static_cast<uint32_t>(records.size()));
    if (task.ParseFromString(records[first])) {
      return Append{task.chat_id(), MessagesFrom(records, first, 1 + Below(4)), uids,
                    Broker(state)};
    }
  }
  Append append{Pick(names_.chats), {}, uids, Broker(state)};
  MsgId id = MakeMsgId(clock - Below(2000), Below(3));
  for (uint32_t count = 1 + Below(3); count > 0; --count, id += 1 + Below(3)) {
    const bool change = Chance(50);
    append.messages.push_back({id, change ? "" : Uid(), change ? "" : Pick(names_.devices),
                               JoinEntry(Template(2), id), JoinEntry(Template(2), id)});
  }
  return append;
}

Call Generator::MakeCreate(const fake::HubState& state, int64_t clock) {
  std::vector<std::string> members = Shuffled(names_.uids);
  const bool big = mix_ == Mix::kFanOut || Chance(20);
  members.resize(big ? 8 + Below(4) : 1 + Below(5));
  return CreateChat{Chance(95) ? Pick(groups_) : Pick(names_.chats),
                    members[0],
                    Pick(names_.devices),
                    Chance(50) ? "" : "t" + std::to_string(text_),
                    members,
                    clock - Below(3000),
                    Template(3),
                    Broker(state),
                    ByTask()};
}

Call Generator::MakeUpdate(const fake::HubState& state, int64_t clock) {
  UpdateChat u;
  u.chat = Chance(95) ? Pick(groups_) : Pick(names_.chats);
  u.by = Uid();
  u.device = Pick(names_.devices);
  u.received_ms = clock - Below(3000);
  u.change = Template(3);
  u.broker = Broker(state);
  u.by_task = ByTask();
  if (Chance(40)) u.title = Chance(30) ? "" : "t" + std::to_string(text_);
  const auto chat = state.chats.find(u.chat);
  if (chat == state.chats.end()) return u;
  const auto present = chat->second.PresentMembers();
  if (!present.empty() && Chance(85)) u.by = Pick(present);
  u.version = Chance(85) ? chat->second.version : chat->second.version + 1;
  for (const auto& uid : Shuffled(names_.uids)) {
    if (!Chance(30)) continue;
    (chat->second.IsMember(uid) ? u.remove : u.add).push_back(uid);
  }
  return u;
}

Call Generator::MakeLogin(const fake::HubState& state, int64_t clock) {
  Login l;
  l.uid = mix_ == Mix::kSessions && Chance(60) ? "al" : Uid();
  l.device = Pick(names_.devices);
  l.broker = Broker(state);
  l.session = Chance(90) ? ++session_ : session_;
  l.now_ms = clock;
  if (Chance(15)) l.name = "N" + std::to_string(Below(2));
  if (Chance(15)) l.email = "E" + std::to_string(Below(2));
  return l;
}

// Mostly of a session that is there, or was recorded.
Call Generator::MakeLogout(const fake::HubState& state, int64_t clock) {
  std::vector<SessionRecord> known;
  for (const auto& [broker, sessions] : state.sessions) {
    for (const auto& [element, record] : sessions) {
      if (!record.device.empty()) known.push_back(record);
    }
  }
  if (!known.empty() && Chance(90)) {
    const auto& r = Pick(known);
    return Logout{r.uid, r.device, r.broker, r.session, clock};
  }
  return Logout{Uid(), Pick(names_.devices), Pick(names_.brokers), Below(20), clock};
}

Call Generator::MakeAck(const fake::HubState& state, int64_t clock) {
  Ack a;
  a.uid = Uid();
  a.device = Pick(names_.devices);
  a.epoch = Chance(96) ? state.epoch : state.epoch + Below(3) - 1;
  a.now_ms = clock;
  a.broker = Broker(state);
  if (const auto user = state.users.find(a.uid); user != state.users.end()) {
    const uint64_t head = user->second.head();
    a.seq = Chance(50) ? head : head - std::min<uint64_t>(head, Below(8)) + (Chance(5) ? 9 : 0);
    if (!user->second.devices.empty() && Chance(85)) {
      auto device = user->second.devices.begin();
      std::advance(device, Below(static_cast<uint32_t>(user->second.devices.size())));
      a.device = device->first;
    }
  }
  for (const auto& chat : Shuffled(names_.chats)) {
    if (!Chance(40)) continue;
    const auto known = state.chats.find(chat);
    const MsgId last = known == state.chats.end() ? MakeMsgId(clock, 0) : known->second.last;
    auto authors = Shuffled(names_.uids);
    authors.resize(Below(3));
    a.marks.push_back({chat, last - Below(3), authors});
    if (Chance(10)) a.marks.push_back({chat, last, authors});
  }
  if (Chance(3)) a.marks.push_back({"nonsense", 1, {"al"}});
  if (a.marks.empty() || !Chance(15)) return a;
  const Ack::ChatMark& mark = a.marks.front();  // a part of it alone
  if (Chance(60)) return MoveMark{a.uid, mark.chat, mark.msg_id};
  return TellMark{Uid(), mark.chat, a.uid, mark.msg_id, a.broker};
}

Call Generator::MakeTrim(const fake::HubState& state) {
  TrimLog t;
  t.log = Chance(60) ? Log::kTasks : Log::kJournal;
  const Role role = t.log == Log::kTasks ? Role::kFanOut : Role::kPersist;
  for (const uint32_t p : SomePartitions()) {
    TrimLog::Upto upto{p, Below(3), Below(6)};
    const auto partition = state.partitions.find(p);
    if (partition != state.partitions.end()) {
      const auto lease = partition->second.leases.find(role);
      if (lease != partition->second.leases.end() && Chance(85)) upto.token = lease->second.counter;
      const auto& log = t.log == Log::kTasks ? partition->second.tasks : partition->second.journal;
      if (Chance(90)) {
        upto.upto = log.base + Below(static_cast<uint32_t>(log.records.size()) + 3);
        if (Chance(10) && upto.upto > 2) upto.upto -= 2;
      }
    }
    t.partitions.push_back(upto);
  }
  return t;
}

Call Generator::MakeSetting(int64_t clock) {
  const std::string journal = "j" + std::to_string(++text_);
  switch (Below(3)) {
    case 0:
      return PutPush{Uid(), Pick(names_.devices), Chance(70) ? "r" + std::to_string(Below(3)) : "",
                     journal};
    case 1:
      return PutMute{Uid(), Pick(names_.devices), Chance(60) ? Pick(names_.chats) : "",
                     static_cast<int64_t>(Below(3)) - 1, journal};
    default:
      return PutDeadLetter{Partition(), journal, "because", clock};
  }
}

Call Generator::MakeRead(const fake::HubState& state) {
  switch (Below(9)) {
    case 0:
      return GetChat{Pick(names_.chats), Below(4), Chance(70)};
    case 1:
      return GetReceipts{Uid(), Shuffled(names_.chats)};
    case 2:
      return UserChats{Uid()};
    case 3:
      return ListSessions{Pick(names_.brokers), Partition(), Chance(50) ? "" : Uid() + ":",
                          Below(4)};
    case 4: {
      const auto user = state.users.find(Uid());
      const uint64_t base = user == state.users.end() ? 0 : user->second.base;
      return ReadInbox{Uid(), base + Below(12), Below(20), Below(400)};
    }
    case 5:
      return GetDevice{Uid(), Pick(names_.devices)};
    case 6: {
      const uint32_t p = Partition();
      const Log log = Chance(50) ? Log::kJournal : Log::kTasks;
      if (Chance(50)) return ReadLog{log, SomePartitions(), 0, Below(20), Below(500)};
      return ReadLog{log, {p}, Below(40), 1 + Below(20), 1 + Below(500)};
    }
    case 7:
      return GetPresence{Shuffled(names_.uids)};
    default: {
      Heads heads{{}, Broker(state)};
      for (const auto& [id, sessions] : state.sessions) {
        for (const auto& [element, record] : sessions) {
          if (Chance(50)) heads.sessions.push_back({record.uid, record.device, record.session});
        }
      }
      heads.sessions.push_back({Uid(), Pick(names_.devices), Below(9)});
      return heads;
    }
  }
}

bool RepeatSafe(const Call& call) {
  // Without an id a send is another one. Settings and dead letters go onto lists each time.
  if (const auto* send = std::get_if<Send>(&call)) return send->client_msg_id != 0;
  // Who may clear claims others with each beat.
  if (const auto* beat = std::get_if<Beat>(&call)) return !beat->may_clear;
  return !std::holds_alternative<PutPush>(call) && !std::holds_alternative<PutMute>(call) &&
         !std::holds_alternative<PutDeadLetter>(call);
}

}  // namespace nightjar::hub::contract
