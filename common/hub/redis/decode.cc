#include "common/hub/redis/decode.h"

#include <algorithm>
#include <charconv>

#include "common/hub/redis/encode.h"
#include "common/wire/names.h"

namespace nightjar::hub {
namespace {

// An array reply, read by index. Once anything is not as asked for, ok() is false and values are
// empty.
class Items {
 public:
  explicit Items(const redisReply& raw) : raw_(raw), ok_(raw.type == REDIS_REPLY_ARRAY) {}

  bool ok() const { return ok_; }
  size_t size() const { return ok_ ? raw_.elements : 0; }
  bool Fail() {
    ok_ = false;
    return false;
  }
  const redisReply* At(size_t i) {
    if (ok_ && i < raw_.elements && raw_.element[i] != nullptr) return raw_.element[i];
    ok_ = false;
    return nullptr;
  }
  std::string_view Text(size_t i) {
    const redisReply* item = At(i);
    if (item != nullptr && item->type == REDIS_REPLY_STRING) return {item->str, item->len};
    ok_ = false;
    return {};
  }
  std::string String(size_t i) { return std::string(Text(i)); }
  uint64_t Number(size_t i) {
    const redisReply* item = At(i);
    if (item == nullptr) return 0;
    if (item->type == REDIS_REPLY_INTEGER && item->integer >= 0) {
      return static_cast<uint64_t>(item->integer);
    }
    uint64_t value = 0;
    const std::string_view text = Text(i);  // hash fields are strings
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    // Empty: a field that is not there, 0.
    if (!text.empty() && (error != std::errc() || end != text.data() + text.size())) ok_ = false;
    return value;
  }
  bool Flag(size_t i) { return Number(i) != 0; }
  MsgId Id(size_t i) {
    const std::string_view text = Text(i);
    if (text.size() == 8) return MsgIdFromBytes(text.data());
    if (!text.empty()) ok_ = false;
    return 0;
  }

 private:
  const redisReply& raw_;
  bool ok_;
};

// From `at` on: place in `uids` (from 1), seq, place, seq, ...
std::vector<Delivery> Deliveries(Items& items, size_t at, const std::vector<std::string>& uids) {
  std::vector<Delivery> out;
  for (; at < items.size(); at += 2) {
    const uint64_t place = items.Number(at);
    if (place == 0 || place > uids.size()) items.Fail();
    if (!items.ok()) break;
    out.push_back({uids[place - 1], items.Number(at + 1)});
  }
  return out;
}

Reply Read(const Send& send, Items& items) {
  using Outcome = SendReply::Outcome;
  SendReply reply;
  const uint64_t outcome = items.Number(0);
  if (outcome > static_cast<uint64_t>(Outcome::kFull)) items.Fail();
  reply.outcome = static_cast<Outcome>(outcome);
  if (reply.outcome == Outcome::kRepeat) reply.msg_id = items.Id(1);
  if (reply.outcome == Outcome::kStale) {
    reply.version = items.Number(1);
    for (size_t i = 2; i < items.size(); ++i) reply.members.push_back(items.String(i));
    std::sort(reply.members.begin(), reply.members.end());
  }
  if (reply.outcome == Outcome::kAccepted && items.ok()) {
    reply.msg_id = items.Id(1);
    reply.task = items.Flag(2);
    const auto chat = ParseChatId(send.chat);
    reply.deliveries = Deliveries(items, 3, chat && chat->direct ? chat->Members() : send.members);
  }
  return reply;
}

Reply Read(const Append& append, Items& items) {
  AppendReply reply;
  if (items.size() != append.messages.size()) items.Fail();
  for (size_t i = 0; i < items.size(); ++i) {
    const redisReply* inner = items.At(i);
    if (inner == nullptr) break;
    Items pairs(*inner);
    reply.deliveries.push_back(Deliveries(pairs, 0, append.uids));
    if (!pairs.ok()) items.Fail();
  }
  return reply;
}

// title, created, by, last, version, count from `at` on.
ChatRecord Record(const std::string& chat, Items& items, size_t at) {
  ChatRecord record;
  record.chat = chat;
  record.direct = chat.starts_with("d:");
  const redisReply* title = items.At(at);
  record.retired = !record.direct && title != nullptr && title->type == REDIS_REPLY_NIL;
  if (!record.retired) record.title = items.String(at);
  record.created_ms = static_cast<int64_t>(items.Number(at + 1));
  record.created_by = items.String(at + 2);
  record.last_msg_id = items.Id(at + 3);
  record.version = items.Number(at + 4);
  record.member_count = static_cast<uint32_t>(items.Number(at + 5));
  return record;
}

Reply ReadChange(const std::string& chat, Items& items) {
  using Outcome = ChangeReply::Outcome;
  ChangeReply reply;
  const uint64_t outcome = items.Number(0);
  if (outcome > static_cast<uint64_t>(Outcome::kFull)) items.Fail();
  reply.outcome = static_cast<Outcome>(outcome);
  if (reply.outcome == Outcome::kDenied || reply.outcome == Outcome::kFull) return reply;
  reply.msg_id = items.Id(1);
  reply.task = items.Flag(2);
  reply.record = Record(chat, items, 3);
  for (size_t i = 9; items.ok() && i < items.size(); i += 2) {
    reply.deliveries.push_back({items.String(i), items.Number(i + 1)});
  }
  return reply;
}
Reply Read(const CreateChat& create, Items& items) { return ReadChange(create.chat, items); }
Reply Read(const UpdateChat& update, Items& items) { return ReadChange(update.chat, items); }

// A row of members:{p}:<chat>: joined, left, the partition, and after a comma earlier pairs of the
// two.
bool AddTimes(const std::string& uid, std::string_view row, std::vector<Member>& out) {
  if (row.size() < 16) return false;
  const auto add = [&](const char* at) {
    out.push_back({uid, MsgIdFromBytes(at), MsgIdFromBytes(at + 8)});
  };
  add(row.data());
  const size_t comma = row.find(',', 16);
  if (comma == std::string_view::npos) return true;
  const std::string_view before = row.substr(comma + 1);
  for (size_t at = 0; at + 16 <= before.size(); at += 16) add(before.data() + at);
  return before.size() % 16 == 0;
}

Reply Read(const GetChat& get, Items& items) {
  GetChatReply reply;
  if (!items.ok() || items.size() == 0) return reply;
  reply.found = true;
  reply.record = Record(get.chat, items, 0);
  reply.members_included = items.Flag(6);
  if (!reply.members_included) return reply;
  if (reply.record.direct) {
    if (const auto chat = ParseChatId(get.chat)) {
      for (std::string& uid : chat->Members()) {
        reply.members.push_back({std::move(uid), items.Id(7), 0});
      }
    }
    return reply;
  }
  for (size_t i = 7; items.ok() && i < items.size(); i += 2) {
    if (!AddTimes(items.String(i), items.Text(i + 1), reply.members)) items.Fail();
  }
  std::sort(reply.members.begin(), reply.members.end(), [](const Member& a, const Member& b) {
    return std::tie(a.uid, a.joined) < std::tie(b.uid, b.joined);
  });
  return reply;
}

Reply Read(const GetReceipts& get, Items& items) {
  GetReceiptsReply reply;
  for (size_t i = 0; i < items.size(); ++i) {
    const redisReply* inner = items.At(i);
    if (inner == nullptr) break;
    Items marks(*inner);
    const uint64_t place = marks.Number(0);
    if (place == 0 || place > get.chats.size()) marks.Fail();
    GetReceiptsReply::Chat chat;
    for (size_t k = 1; marks.ok() && k < marks.size(); k += 2) {
      chat.marks.push_back({marks.String(k), marks.Id(k + 1)});
    }
    if (!marks.ok()) {
      items.Fail();
      break;
    }
    chat.chat = get.chats[place - 1];
    std::sort(chat.marks.begin(), chat.marks.end(),
              [](const Mark& a, const Mark& b) { return a.uid < b.uid; });
    reply.chats.push_back(std::move(chat));
  }
  return reply;
}

Reply Read(const UserChats&, Items& items) {
  UserChatsReply reply;
  for (size_t i = 0; items.ok() && i < items.size(); i += 2) {
    reply.chats.emplace_back(items.String(i), items.Id(i + 1));
  }
  std::sort(reply.chats.begin(), reply.chats.end());
  return reply;
}

Reply Read(const Login&, Items& items) {
  LoginReply reply;
  reply.cleared = items.ok() && items.size() == 0;
  if (reply.cleared) return reply;
  reply.epoch = items.Number(0);
  reply.start = items.Number(1);
  reply.head = items.Number(2);
  reply.resync = items.Flag(3);
  const std::string_view previous = items.Text(4);  // "<session> <broker>"
  if (!previous.empty()) {
    const size_t space = previous.find(' ');
    const char* end = previous.data() + std::min(space, previous.size());
    const auto parsed = std::from_chars(previous.data(), end, reply.previous_session);
    if (space == std::string_view::npos || parsed.ptr != end) {
      items.Fail();
    } else {
      reply.previous_broker = previous.substr(space + 1);
    }
  }
  reply.online = items.Flag(5);
  return reply;
}

Reply Read(const Logout&, Items& items) {
  LogoutReply reply;
  reply.removed = items.Flag(0);
  reply.routes = static_cast<uint32_t>(items.Number(1));
  reply.online = items.Flag(2);
  return reply;
}

Reply Read(const ListSessions& list, Items& items) {
  ListSessionsReply reply;
  const size_t limit = std::max(list.limit, 1u);
  for (size_t i = 0; i < items.size() && i < limit; ++i) {
    const std::string_view element = items.Text(i);  // uid:device:session:broker
    const size_t a = element.find(':');
    const size_t b = a == std::string_view::npos ? a : element.find(':', a + 1);
    const size_t end = b == std::string_view::npos ? b : element.find(':', b + 1);
    if (end == std::string_view::npos) {
      items.Fail();
      break;
    }
    SessionRecord record;
    record.uid = element.substr(0, a);
    record.device = element.substr(a + 1, b - a - 1);
    std::from_chars(element.data() + b + 1, element.data() + end, record.session);
    record.broker = element.substr(end + 1);
    reply.sessions.push_back(std::move(record));
  }
  if (items.ok() && items.size() > limit) reply.next = items.String(limit - 1);
  return reply;
}

Reply Read(const ReadInbox&, Items& items) {
  ReadInboxReply reply;
  reply.first = items.Number(0);
  reply.head = items.Number(1);
  reply.entries.reserve(items.size());
  for (size_t i = 2; i < items.size(); ++i) {
    const std::string_view entry = items.Text(i);
    if (entry.size() < 8) {
      items.Fail();
      break;
    }
    reply.entries.emplace_back(entry.substr(8));
  }
  return reply;
}

Reply Read(const Ack& ack, Items& items) {
  using Outcome = AckReply::Outcome;
  AckReply reply;
  const uint64_t outcome = items.Number(0);
  if (outcome > static_cast<uint64_t>(Outcome::kUnknownDevice)) items.Fail();
  reply.outcome = static_cast<Outcome>(outcome);
  if (reply.outcome == Outcome::kOtherEpoch || reply.outcome == Outcome::kUnknownDevice) {
    return reply;
  }
  reply.acked = items.Number(1);
  for (size_t i = 2; items.ok() && i < items.size(); i += 2) {
    const uint64_t place = items.Number(i);
    if (place == 0 || place > ack.marks.size()) items.Fail();
    reply.moved.push_back({static_cast<uint32_t>(place - 1), items.Flag(i + 1)});
  }
  return reply;
}

Reply Read(const MoveMark&, Items& items) {
  MoveMarkReply reply;
  reply.moved = items.Flag(0);
  reply.tell = items.Flag(1);
  return reply;
}

Reply Read(const Heads& heads, Items& items) {
  HeadsReply reply;
  if (items.size() != heads.sessions.size() * 3) items.Fail();
  for (size_t i = 0; i < items.size(); i += 3) {
    const uint64_t route = items.Number(i + 2);
    if (route > static_cast<uint64_t>(HeadsReply::Route::kOther)) items.Fail();
    reply.sessions.push_back(
        {items.Number(i), items.Number(i + 1), static_cast<HeadsReply::Route>(route)});
  }
  return reply;
}

Reply Read(const GetDevice&, Items& items) {
  GetDeviceReply reply;
  reply.epoch = items.Number(0);
  reply.head = items.Number(1);
  reply.acked = items.Number(2);
  return reply;
}

Reply Read(const SetPresence& set, Items& items) {
  SetPresenceReply reply;
  reply.changed = items.Flag(0);
  reply.state = {set.uid, items.Flag(1), static_cast<int64_t>(items.Number(2))};
  return reply;
}

// online, last active, online, ... in the order of `uids`.
std::vector<PresenceState> States(Items& items, const std::vector<std::string>& uids) {
  std::vector<PresenceState> states;
  if (items.size() != uids.size() * 2) items.Fail();
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    states.push_back({uids[i / 2], items.Flag(i), static_cast<int64_t>(items.Number(i + 1))});
  }
  return states;
}
Reply Read(const GetPresence& get, Items& items) {
  return GetPresenceReply{States(items, get.uids)};
}
Reply Read(const Watch& watch, Items& items) { return WatchReply{States(items, watch.uids)}; }

Reply Read(const Beat&, Items& items) {
  using Outcome = BeatReply::Outcome;
  BeatReply reply;
  const uint64_t outcome = items.Number(0);
  if (outcome > static_cast<uint64_t>(Outcome::kTaken)) items.Fail();
  reply.outcome = static_cast<Outcome>(outcome);
  reply.epoch = items.Number(1);
  if (reply.outcome != Outcome::kAlive) return reply;
  reply.version = items.Number(2);
  const uint64_t clear = items.Number(3);
  if (items.ok() && clear > items.size() - 4) items.Fail();
  for (size_t i = 4; i < items.size(); ++i) {
    (i < 4 + clear ? reply.clear : reply.brokers).push_back(items.String(i));
  }
  std::sort(reply.brokers.begin(), reply.brokers.end());
  return reply;
}

Reply Read(const Lease& lease, Items& items) {
  LeaseReply reply;
  if (items.size() != lease.partitions.size()) items.Fail();
  for (size_t i = 0; i < items.size(); ++i) reply.tokens.push_back(items.Number(i));
  return reply;
}

Reply Read(const ReadLog& read, Items& items) {
  ReadLogReply reply;
  for (size_t i = 0; i < items.size(); ++i) {
    const redisReply* inner = items.At(i);
    if (inner == nullptr) break;
    Items slice(*inner);
    const uint64_t place = slice.Number(0);
    if (place == 0 || place > read.partitions.size()) slice.Fail();
    LogSlice out;
    out.first = slice.Number(1);
    out.end = slice.Number(2);
    for (size_t k = 3; slice.ok() && k < slice.size(); ++k) out.records.push_back(slice.String(k));
    if (!slice.ok()) {
      items.Fail();
      break;
    }
    out.partition = read.partitions[place - 1];
    reply.slices.push_back(std::move(out));
  }
  return reply;
}

Reply Read(const TrimLog& trim, Items& items) {
  TrimLogReply reply;
  if (items.size() != trim.partitions.size()) items.Fail();
  for (size_t i = 0; i < items.size(); ++i) reply.held.push_back(items.Flag(i));
  return reply;
}

Reply Read(const ListDeadLetters&, Items& items) {
  ListDeadLettersReply reply;
  reply.total = items.Number(0);
  if (items.size() % 3 != 1) items.Fail();
  for (size_t i = 1; items.ok() && i < items.size(); i += 3) {
    reply.letters.push_back(
        {static_cast<int64_t>(items.Number(i)), items.String(i + 1), items.String(i + 2)});
  }
  return reply;
}

Reply Read(const Retire&, Items& items) {
  return RetireReply{static_cast<uint32_t>(items.Number(0)), static_cast<uint32_t>(items.Number(1)),
                     items.Number(2)};
}

Reply Read(const Info&, Items& items) {
  return InfoReply{items.Number(0), static_cast<uint32_t>(items.Number(1)), items.Number(2)};
}

Reply Wrong(const Call& call, std::string_view what) {
  return Failure{Failure::Kind::kInternal,
                 std::string(FunctionOf(call)) + ": " + std::string(what)};
}

// Calls whose reply is a bare number: 1 done, 0 full.
Reply ReadBare(const Call& call, const redisReply& raw) {
  if (raw.type != REDIS_REPLY_INTEGER) return Wrong(call, "a reply of the wrong shape");
  if (raw.integer == 1) return Done{};
  return Failure{Failure::Kind::kFull, "the list is at its bound"};
}

Reply ReadError(const Call& call, std::string_view error) {
  if (!error.starts_with("OOM")) return Wrong(call, error);
  if (std::holds_alternative<Send>(call)) {
    SendReply full;
    full.outcome = SendReply::Outcome::kFull;
    return full;
  }
  if (std::holds_alternative<CreateChat>(call) || std::holds_alternative<UpdateChat>(call)) {
    ChangeReply full;
    full.outcome = ChangeReply::Outcome::kFull;
    return full;
  }
  return Failure{Failure::Kind::kFull, "Redis is at its maxmemory"};
}

}  // namespace

Reply Decode(const Call& call, const redisReply& raw) {
  if (raw.type == REDIS_REPLY_ERROR) return ReadError(call, {raw.str, raw.len});
  return std::visit(
      [&](const auto& typed) -> Reply {
        if constexpr (requires(Items & items) { Read(typed, items); }) {
          Items items(raw);
          Reply reply = Read(typed, items);
          if (!items.ok()) return Wrong(call, "a reply of the wrong shape");
          return reply;
        } else {
          return ReadBare(call, raw);
        }
      },
      call);
}

bool MeansAway(const redisReply& raw) {
  if (raw.type != REDIS_REPLY_ERROR) return false;
  const std::string_view error(raw.str, raw.len);
  for (const std::string_view start :
       {"LOADING", "READONLY", "MISCONF", "MASTERDOWN", "CLUSTERDOWN", "BUSY", "NOREPLICAS",
        "NOAUTH", "NOHUB", "CLOSED", "ERR Function not found"}) {
    if (error.starts_with(start)) return true;
  }
  return false;
}

}  // namespace nightjar::hub
