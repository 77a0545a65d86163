#include "tests/contract/hub/print.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace nightjar::hub::contract {

namespace {

// "name=value " for each; the overloads below say how values look.
std::string Text(bool v) { return v ? "true" : "false"; }
std::string Text(uint32_t v) { return std::to_string(v); }
std::string Text(uint64_t v) { return std::to_string(v); }
std::string Text(int64_t v) { return std::to_string(v); }
std::string Text(const std::string& v) { return '"' + Escape(v) + '"'; }
std::string Text(const std::optional<std::string>& v) { return v ? Text(*v) : "-"; }
std::string Text(Role v) { return std::to_string(static_cast<int>(v)); }
std::string Text(Log v) { return v == Log::kJournal ? "journal" : "tasks"; }
std::string Text(const Delivery& v) { return v.uid + "@" + std::to_string(v.seq); }
std::string Text(const Member& v) {
  return fmt::format("{}[{}..{}]", v.uid, IdText(v.joined), IdText(v.left));
}
std::string Text(const Mark& v) { return v.uid + ":" + IdText(v.msg_id); }
std::string Text(const AckReply::Moved& v) {
  return std::to_string(v.mark) + (v.tell ? "(tell)" : "");
}
std::string Text(const SessionRecord& v) { return SessionElement(v); }
std::string Text(const PresenceState& v) {
  return fmt::format("{}:{}@{}", v.uid, v.online ? "on" : "off", v.last_active_ms);
}
std::string Text(const TrimLog::Upto& v) {
  return fmt::format("p{} token {} upto {}", v.partition, v.token, v.upto);
}
std::string Text(const std::pair<std::string, MsgId>& v) {
  return v.first + ":" + IdText(v.second);
}
std::string Text(const ChatRecord& v) {
  return fmt::format("{{{} direct={} title={} at={} by={} last={} version={} n={} retired={}}}",
                     v.chat, v.direct, Text(v.title), v.created_ms, v.created_by,
                     IdText(v.last_msg_id), v.version, v.member_count, v.retired);
}
std::string Text(const DeadLetter& v) {
  return fmt::format("{} {} {}", v.at_ms, Text(v.reason), Text(v.record));
}
std::string Text(const RestoreChat::Floor& v) {
  return v.uid + ":" + std::to_string(v.client_msg_id);
}
std::string Text(const RestoreChat::Window& v) {
  std::string text = v.uid + "/" + v.device;
  for (const auto& [client_msg_id, id] : v.sent) {
    text += fmt::format(" {}:{}", client_msg_id, IdText(id));
  }
  return text;
}
std::string Text(const RestoreUser::Push& v) { return v.device + ":" + Text(v.registration); }
std::string Text(const RestoreUser::Mute& v) {
  return fmt::format("{}{}:{}", v.chat, v.device, v.until_ms);
}
std::string Text(const std::vector<bool>& values) {
  std::string text = "[";
  for (const bool v : values) text += v ? " true" : " false";
  return text + " ]";
}
std::string Text(const Heads::Of& v) { return fmt::format("{}/{}/{}", v.uid, v.device, v.session); }
std::string Text(const HeadsReply::Stand& v) {
  constexpr const char* kRoutes[] = {"mine", "none", "other"};
  return fmt::format("{}/{}:{}", v.epoch, v.head, kRoutes[static_cast<size_t>(v.route)]);
}
template <typename T>
std::string Text(const std::vector<T>& values);
std::string Text(const Ack::ChatMark& v) {
  return v.chat + ":" + IdText(v.msg_id) + Text(v.authors);
}
std::string Text(const Append::Message& v) {
  return fmt::format("{}/{}/{} {} {}", IdText(v.msg_id), v.author, v.author_device, Text(v.shared),
                     Text(v.own));
}
std::string Text(const GetReceiptsReply::Chat& v) { return v.chat + Text(v.marks); }
std::string Text(const LogSlice& v) {
  return fmt::format("p{} {}..{} {}", v.partition, v.first, v.end, Text(v.records));
}
template <typename T>
std::string Text(const std::vector<T>& values) {
  std::string text = "[";
  for (const auto& v : values) text += " " + Text(v);
  return text + " ]";
}

// Fields(names, values...): "Call{a=1 b=2}" from a comma-separated list of names.
template <typename... T>
std::string Fields(std::string_view title, std::string_view names, const T&... values) {
  std::string text(title);
  text += "{";
  const auto one = [&](const std::string& value) {
    const size_t comma = names.find(',');
    text += fmt::format(" {}={}", names.substr(0, comma), value);
    names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
  };
  (one(Text(values)), ...);
  return text + " }";
}

struct CallPrinter {
  std::string operator()(const Send& c) const {
    return Fields("Send",
                  "chat,author,device,client_msg_id,received_ms,version,members,text_bytes,shared,"
                  "own,broker,by_task",
                  c.chat, c.author, c.device, c.client_msg_id, c.received_ms, c.version, c.members,
                  c.text_bytes, c.shared, c.own, c.broker, c.by_task);
  }
  std::string operator()(const Append& c) const {
    return Fields("Append", "chat,messages,uids,broker", c.chat, c.messages, c.uids, c.broker);
  }
  std::string operator()(const CreateChat& c) const {
    return Fields(
        "CreateChat", "chat,creator,device,title,members,received_ms,change,broker,by_task", c.chat,
        c.creator, c.device, c.title, c.members, c.received_ms, c.change, c.broker, c.by_task);
  }
  std::string operator()(const UpdateChat& c) const {
    return Fields(
        "UpdateChat", "chat,by,version,title,add,remove,received_ms,change,broker,by_task", c.chat,
        c.by, c.version, c.title, c.add, c.remove, c.received_ms, c.change, c.broker, c.by_task);
  }
  std::string operator()(const GetChat& c) const {
    return Fields("GetChat", "chat,known_version,members", c.chat, c.known_version, c.members);
  }
  std::string operator()(const GetReceipts& c) const {
    return Fields("GetReceipts", "uid,chats", c.uid, c.chats);
  }
  std::string operator()(const UserChats& c) const { return Fields("UserChats", "uid", c.uid); }
  std::string operator()(const Login& c) const {
    return Fields("Login", "uid,device,broker,session,name,email", c.uid, c.device, c.broker,
                  c.session, c.name, c.email);
  }
  std::string operator()(const Logout& c) const {
    return Fields("Logout", "uid,device,broker,session", c.uid, c.device, c.broker, c.session);
  }
  std::string operator()(const Tail& c) const {
    return Fields("Tail", "uid,broker,count", c.uid, c.broker, c.count);
  }
  std::string operator()(const ListSessions& c) const {
    return Fields("ListSessions", "broker,partition,after,limit", c.broker, c.partition, c.after,
                  c.limit);
  }
  std::string operator()(const ReadInbox& c) const {
    return Fields("ReadInbox", "uid,from,count,bytes", c.uid, c.from, c.count, c.bytes);
  }
  std::string operator()(const Ack& c) const {
    return Fields("Ack", "uid,device,epoch,seq,marks,broker", c.uid, c.device, c.epoch, c.seq,
                  c.marks, c.broker);
  }
  std::string operator()(const MoveMark& c) const {
    return Fields("MoveMark", "uid,chat,msg_id", c.uid, c.chat, IdText(c.msg_id));
  }
  std::string operator()(const TellMark& c) const {
    return Fields("TellMark", "author,chat,uid,msg_id,broker", c.author, c.chat, c.uid,
                  IdText(c.msg_id), c.broker);
  }
  std::string operator()(const Heads& c) const {
    return Fields("Heads", "sessions,broker", c.sessions, c.broker);
  }
  std::string operator()(const GetDevice& c) const {
    return Fields("GetDevice", "uid,device", c.uid, c.device);
  }
  std::string operator()(const SetPresence& c) const {
    return Fields("SetPresence", "uid,online,broker", c.uid, c.online, c.broker);
  }
  std::string operator()(const GetPresence& c) const {
    return Fields("GetPresence", "uids", c.uids);
  }
  std::string operator()(const Watch& c) const {
    return Fields("Watch", "uids,broker,on", c.uids, c.broker, c.on);
  }
  std::string operator()(const Beat& c) const {
    return Fields("Beat", "broker,first,may_clear,ttl_ms,epoch,known,clearing", c.broker, c.first,
                  c.may_clear, c.ttl_ms, c.epoch, c.known, c.clearing);
  }
  std::string operator()(const Gone& c) const {
    return Fields("Gone", "broker,clean", c.broker, c.clean);
  }
  std::string operator()(const Fence& c) const {
    return Fields("Fence", "broker,partitions", c.broker, c.partitions);
  }
  std::string operator()(const PutPush& c) const {
    return Fields("PutPush", "uid,device,registration,journal", c.uid, c.device, c.registration,
                  c.journal);
  }
  std::string operator()(const PutMute& c) const {
    return Fields("PutMute", "uid,device,chat,until_ms,journal", c.uid, c.device, c.chat,
                  c.until_ms, c.journal);
  }
  std::string operator()(const Lease& c) const {
    return Fields("Lease", "role,owner,partitions,ttl_ms", c.role, c.owner, c.partitions, c.ttl_ms);
  }
  std::string operator()(const ReadLog& c) const {
    return Fields("ReadLog", "log,partitions,from,count,bytes", c.log, c.partitions, c.from,
                  c.count, c.bytes);
  }
  std::string operator()(const TrimLog& c) const {
    return Fields("TrimLog", "log,partitions", c.log, c.partitions);
  }
  std::string operator()(const PutDeadLetter& c) const {
    return Fields("PutDeadLetter", "partition,record,reason", c.partition, c.record, c.reason);
  }
  std::string operator()(const ListDeadLetters& c) const {
    return Fields("ListDeadLetters", "partition,from,count,bytes", c.partition, c.from, c.count,
                  c.bytes);
  }
  std::string operator()(const DropDeadLetter& c) const {
    return Fields("DropDeadLetter", "partition,letter", c.partition, c.letter);
  }
  std::string operator()(const RestoreChat& c) const {
    return Fields("RestoreChat", "record,first_id,members,delivered,windows,floors", c.record,
                  IdText(c.first_id), c.members, c.delivered, c.windows, c.floors);
  }
  std::string operator()(const RestoreUser& c) const {
    return Fields("RestoreUser", "uid,name,email,chats,push,mutes", c.uid, c.name, c.email, c.chats,
                  c.push, c.mutes);
  }
  std::string operator()(const Rebuild& c) const {
    return Fields("Rebuild", "partitions,closed", c.partitions, c.closed);
  }
  std::string operator()(const Retire& c) const {
    return Fields("Retire", "partition,chats,uids,idle_since_ms", c.partition, c.chats, c.uids,
                  c.idle_since_ms);
  }
  std::string operator()(const Info&) const { return "Info{}"; }
};

struct ReplyPrinter {
  std::string operator()(const Failure& r) const {
    return Fields("Failure", "kind,message", static_cast<uint32_t>(r.kind), r.message);
  }
  std::string operator()(const SendReply& r) const {
    return Fields("SendReply", "outcome,msg_id,deliveries,task,version,members",
                  static_cast<uint32_t>(r.outcome), IdText(r.msg_id), r.deliveries, r.task,
                  r.version, r.members);
  }
  std::string operator()(const AppendReply& r) const {
    return Fields("AppendReply", "deliveries", r.deliveries);
  }
  std::string operator()(const ChangeReply& r) const {
    return Fields("ChangeReply", "outcome,msg_id,record,deliveries,task",
                  static_cast<uint32_t>(r.outcome), IdText(r.msg_id), r.record, r.deliveries,
                  r.task);
  }
  std::string operator()(const GetChatReply& r) const {
    return Fields("GetChatReply", "found,record,members_included,members", r.found, r.record,
                  r.members_included, r.members);
  }
  std::string operator()(const GetReceiptsReply& r) const {
    return Fields("GetReceiptsReply", "chats", r.chats);
  }
  std::string operator()(const UserChatsReply& r) const {
    return Fields("UserChatsReply", "chats", r.chats);
  }
  std::string operator()(const LoginReply& r) const {
    if (r.cleared) return "LoginReply{ cleared }";
    return Fields("LoginReply", "epoch,start,head,resync,previous_broker,previous_session,online",
                  r.epoch, r.start, r.head, r.resync, r.previous_broker, r.previous_session,
                  r.online);
  }
  std::string operator()(const LogoutReply& r) const {
    return Fields("LogoutReply", "removed,routes,online", r.removed, r.routes, r.online);
  }
  std::string operator()(const ListSessionsReply& r) const {
    return Fields("ListSessionsReply", "sessions,next", r.sessions, r.next);
  }
  std::string operator()(const ReadInboxReply& r) const {
    return Fields("ReadInboxReply", "first,head,entries", r.first, r.head, r.entries);
  }
  std::string operator()(const AckReply& r) const {
    return Fields("AckReply", "outcome,acked,moved", static_cast<uint32_t>(r.outcome), r.acked,
                  r.moved);
  }
  std::string operator()(const MoveMarkReply& r) const {
    return Fields("MoveMarkReply", "moved,tell", r.moved, r.tell);
  }
  std::string operator()(const HeadsReply& r) const {
    return Fields("HeadsReply", "sessions", r.sessions);
  }
  std::string operator()(const GetDeviceReply& r) const {
    return Fields("GetDeviceReply", "epoch,head,acked", r.epoch, r.head, r.acked);
  }
  std::string operator()(const SetPresenceReply& r) const {
    return Fields("SetPresenceReply", "changed,state", r.changed, r.state);
  }
  std::string operator()(const GetPresenceReply& r) const {
    return Fields("GetPresenceReply", "states", r.states);
  }
  std::string operator()(const WatchReply& r) const {
    return Fields("WatchReply", "states", r.states);
  }
  std::string operator()(const BeatReply& r) const {
    constexpr const char* kOutcomes[] = {"alive", "cleared", "taken"};
    return Fields("BeatReply", "outcome,epoch,version,brokers,clear",
                  std::string(kOutcomes[static_cast<size_t>(r.outcome)]), r.epoch, r.version,
                  r.brokers, r.clear);
  }
  std::string operator()(const LeaseReply& r) const {
    return Fields("LeaseReply", "tokens", r.tokens);
  }
  std::string operator()(const ReadLogReply& r) const {
    return Fields("ReadLogReply", "slices", r.slices);
  }
  std::string operator()(const TrimLogReply& r) const {
    return Fields("TrimLogReply", "held", r.held);
  }
  std::string operator()(const ListDeadLettersReply& r) const {
    return Fields("ListDeadLettersReply", "total,letters", r.total, r.letters);
  }
  std::string operator()(const RetireReply& r) const {
    return Fields("RetireReply", "chats,users,entries", r.chats, r.users, r.entries);
  }
  std::string operator()(const InfoReply& r) const {
    return Fields("InfoReply", "layout,partitions,epoch", r.layout, r.partitions, r.epoch);
  }
  std::string operator()(const Done&) const { return "Done{}"; }
};

struct RelayedPrinter {
  std::string operator()(const RelayedEntry& r) const {
    return Fields("Entry", "entry,deliveries", r.entry, r.deliveries);
  }
  std::string operator()(const RelayedMark& r) const {
    return Fields("Mark", "author,chat,uid,msg_id", r.author, r.chat, r.uid, IdText(r.msg_id));
  }
  std::string operator()(const PresenceState& r) const { return Fields("Presence", "state", r); }
  std::string operator()(const RelayedKick& r) const {
    return Fields("Kick", "uid,device,session,broker", r.uid, r.device, r.session, r.broker);
  }
  std::string operator()(const RelayedTask& r) const {
    return Fields("Task", "partition", r.partition);
  }
};

}  // namespace

std::string Escape(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", byte);
    }
  }
  return text;
}

std::string IdText(MsgId id) {
  if (id == 0) return "0";
  return fmt::format("{}+{}", MsgIdMs(id), id & ((1u << kMsgIdSequenceBits) - 1));
}

std::string Print(const Call& call) { return std::visit(CallPrinter{}, call); }
std::string Print(const Reply& reply) { return std::visit(ReplyPrinter{}, reply); }
std::string Print(const Relayed& relayed) { return std::visit(RelayedPrinter{}, relayed); }

bool SameReply(const Reply& a, const Reply& b) {
  const auto* fa = std::get_if<Failure>(&a);
  const auto* fb = std::get_if<Failure>(&b);
  if (fa && fb) return fa->kind == fb->kind;
  return a == b;
}

}  // namespace nightjar::hub::contract
