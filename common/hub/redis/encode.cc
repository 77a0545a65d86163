#include "common/hub/redis/encode.h"

#include <algorithm>

#include "common/hub/keys.h"
#include "common/wire/limits.h"
#include "common/wire/names.h"
#include "nightjar/v1/hub.pb.h"

namespace nightjar::hub {
namespace {

constexpr size_t kReasonMost = 1000;
constexpr size_t kPartsMost = 9;  // of a template; a digit says how many

char Digit(uint64_t n) { return static_cast<char>('0' + n); }

Reply Malformed(std::string_view what) {
  return Failure{Failure::Kind::kInternal, "malformed call: " + std::string(what)};
}

template <typename DeniedReply>
Reply Denied() {
  DeniedReply reply;
  reply.outcome = DeniedReply::Outcome::kDenied;
  return reply;
}

bool ValidBroker(std::string_view broker) {
  return !keys::BrokerId(broker).empty() && broker.size() <= 128 &&
         std::all_of(broker.begin(), broker.end(), [](char c) { return c > ' ' && c < 127; });
}

// As the functions look for it in a user's list of brokers.
std::string Lines(const BrokerName& broker) { return '\n' + broker + '\n'; }

std::string SessionsKey(uint32_t partition, const BrokerName& broker) {
  return keys::Join(keys::kSessions, keys::BrokerTail(partition, broker));
}

std::string MarkRecord(const std::string& chat, const std::string& uid, MsgId id) {
  v1::JournalRecord record;
  v1::MarkMoved& mark = *record.mutable_mark();
  mark.set_chat_id(chat);
  mark.set_uid(uid);
  mark.set_msg_id(id);
  return record.SerializeAsString();
}

}  // namespace

// One overload per call. nullopt: the command is complete.
struct Encoder::Visitor {
  Encoder& encoder;
  CommandWriter& c;

  std::string TailOf(std::string_view id) const { return keys::Tail(id, encoder.partitions_); }
  std::string PartOf(std::string_view id) const {
    return keys::PartitionTail(PartitionOf(id, encoder.partitions_));
  }
  std::string Sessions(const std::string& uid, const BrokerName& broker) const {
    return SessionsKey(PartitionOf(uid, encoder.partitions_), broker);
  }
  void Parts(const EntryTemplate& parts) {
    for (const std::string& part : parts) c.Arg(part);
  }
  bool UidsOk(const std::vector<std::string>& uids) const {
    return std::all_of(uids.begin(), uids.end(), [](const auto& uid) { return ValidUid(uid); });
  }

  std::optional<Reply> operator()(const Send& send) {
    const auto chat = ParseChatId(send.chat);
    if (!chat) return Denied<SendReply>();
    if (!ValidUid(send.author) || !ValidDevice(send.device) || !ValidBroker(send.broker)) {
      return Malformed("send");
    }
    std::vector<std::string> pair;
    if (chat->direct) pair.push_back(chat->low);
    if (chat->direct && chat->low != chat->high) pair.push_back(chat->high);
    const bool few = send.members.size() <= limits::kInlineMembers && UidsOk(send.members);
    const std::vector<std::string> none;
    const std::vector<std::string>& members = chat->direct ? pair : few ? send.members : none;
    const auto author = std::find(members.begin(), members.end(), send.author);
    const uint64_t author_at =
        author == members.end() ? 0 : static_cast<uint64_t>(author - members.begin()) + 1;
    const std::string tail = TailOf(send.chat);
    if (send.shared.size() > kPartsMost || send.own.size() > kPartsMost) return Malformed("send");
    const std::string shape = {chat->direct ? 'd' : 'g', Digit(author_at),
                               Digit(send.shared.size()), Digit(send.own.size()),
                               Digit(send.by_task)};
    c.Function("nj_send", keys::Join(keys::kChat, tail))
        .Arg(PartOf(send.chat))
        .Arg(send.chat)
        .Arg(send.author)
        .Arg(send.device)
        .Arg(send.client_msg_id)
        .Arg(std::max(send.received_ms, encoder.ids_from_ms_))
        .Arg(Lines(send.broker))
        .Arg(shape)
        .Arg(encoder.journal_max_)
        .Arg(encoder.tasks_max_);
    if (!chat->direct) c.Arg(tail).Arg(send.version).Arg(uint64_t{send.text_bytes});
    Parts(send.shared);
    Parts(send.own);
    for (const std::string& uid : members) c.Arg(TailOf(uid));
    return std::nullopt;
  }

  std::optional<Reply> operator()(const Append& append) {
    if (append.uids.empty() || append.messages.empty()) {
      return AppendReply{.deliveries = std::vector<std::vector<Delivery>>(append.messages.size())};
    }
    if (!UidsOk(append.uids) || !ValidBroker(append.broker) ||
        append.messages.size() > kAppendMessages) {
      return Malformed("append");
    }
    c.Function("nj_append", keys::Join(keys::kUser, TailOf(append.uids.front())))
        .Arg(append.chat)
        .Arg(Lines(append.broker))
        .Arg(uint64_t{append.messages.size()});
    for (const Append::Message& message : append.messages) {
      const auto author = std::find(append.uids.begin(), append.uids.end(), message.author);
      const bool has = !message.author.empty() && author != append.uids.end();
      c.Arg(MsgIdBytes(message.msg_id))
          .Arg(message.author_device)
          .Arg(message.shared)
          .Arg(message.own)
          .Arg(has ? static_cast<uint64_t>(author - append.uids.begin()) + 1 : uint64_t{0});
    }
    for (const std::string& uid : append.uids) c.Arg(TailOf(uid));
    return std::nullopt;
  }

  std::optional<Reply> operator()(const CreateChat& create) {
    const auto chat = ParseChatId(create.chat);
    if (!chat || chat->direct) return Denied<ChangeReply>();
    if (!UidsOk(create.members) || !ValidBroker(create.broker)) return Malformed("create_chat");
    std::vector<std::string> members = create.members;
    std::sort(members.begin(), members.end());
    const std::string tail = TailOf(create.chat);
    c.Function("nj_create", keys::Join(keys::kChat, tail))
        .Arg(tail)
        .Arg(PartOf(create.chat))
        .Arg(create.chat)
        .Arg(create.creator)
        .Arg(create.title)
        .Arg(std::max(create.received_ms, encoder.ids_from_ms_))
        .Arg(Lines(create.broker))
        .Arg(encoder.journal_max_)
        .Arg(encoder.tasks_max_)
        .Arg(create.by_task ? "1" : "0")
        .Arg(uint64_t{create.change.size()});
    Parts(create.change);
    for (const std::string& uid : members) Member(uid);
    return std::nullopt;
  }
  void Member(const std::string& uid) {
    c.Arg(uid).Arg(uint64_t{PartitionOf(uid, encoder.partitions_)});
  }

  std::optional<Reply> operator()(const UpdateChat& update) {
    const auto chat = ParseChatId(update.chat);
    if (!chat || chat->direct) return Denied<ChangeReply>();
    if (!UidsOk(update.add) || !UidsOk(update.remove) || !ValidBroker(update.broker)) {
      return Malformed("update_chat");
    }
    const std::string tail = TailOf(update.chat);
    c.Function("nj_update", keys::Join(keys::kChat, tail))
        .Arg(tail)
        .Arg(PartOf(update.chat))
        .Arg(update.chat)
        .Arg(update.by)
        .Arg(update.version)
        .Arg(update.title ? "t" : "")
        .Arg(update.title.value_or(""))
        .Arg(std::max(update.received_ms, encoder.ids_from_ms_))
        .Arg(Lines(update.broker))
        .Arg(encoder.journal_max_)
        .Arg(encoder.tasks_max_)
        .Arg(update.by_task ? "1" : "0")
        .Arg(uint64_t{update.change.size()})
        .Arg(uint64_t{update.add.size()})
        .Arg(uint64_t{update.remove.size()});
    Parts(update.change);
    for (const std::string& uid : update.add) Member(uid);
    for (const std::string& uid : update.remove) c.Arg(uid);
    return std::nullopt;
  }

  std::optional<Reply> operator()(const GetChat& get) {
    const auto chat = ParseChatId(get.chat);
    if (!chat) return GetChatReply{};
    const std::string tail = TailOf(get.chat);
    c.Function("nj_chat", keys::Join(keys::kChat, tail))
        .Arg(tail)
        .Arg(get.known_version)
        .Arg(get.members ? "m" : "")
        .Arg(chat->direct ? "d" : "g");
    return std::nullopt;
  }

  std::optional<Reply> operator()(const GetReceipts& get) {
    if (get.chats.empty()) return GetReceiptsReply{};
    if (!ValidUid(get.uid)) return Malformed("receipts");
    c.Function("nj_receipts", keys::Join(keys::kChat, TailOf(get.chats.front()))).Arg(get.uid);
    for (const std::string& id : get.chats) {
      const auto chat = ParseChatId(id);
      const bool direct = chat && chat->direct && (chat->low == get.uid || chat->high == get.uid);
      // A chat that uid cannot be in still takes its place: as a group without this member.
      c.Arg(TailOf(id)).Arg(direct ? chat->low : "").Arg(direct ? chat->high : "");
    }
    return std::nullopt;
  }

  std::optional<Reply> operator()(const UserChats& get) {
    const std::string tail = TailOf(get.uid);
    c.Function("nj_user_chats", keys::Join(keys::kUser, tail)).Arg(tail);
    return std::nullopt;
  }

  std::optional<Reply> operator()(const Login& login) {
    if (!ValidUid(login.uid) || !ValidDevice(login.device) || !ValidBroker(login.broker)) {
      return Malformed("login");
    }
    const std::string tail = TailOf(login.uid);
    c.Function("nj_login", keys::Join(keys::kUser, tail))
        .Arg(tail)
        .Arg(PartOf(login.uid))
        .Arg(login.uid)
        .Arg(login.device)
        .Arg(login.session)
        .Arg(login.broker)
        .Arg(Sessions(login.uid, login.broker))
        .Arg(login.name)
        .Arg(login.email);
    return std::nullopt;
  }

  std::optional<Reply> operator()(const Logout& logout) {
    if (!ValidUid(logout.uid) || !ValidDevice(logout.device) || !ValidBroker(logout.broker)) {
      return Malformed("logout");
    }
    const std::string tail = TailOf(logout.uid);
    c.Function("nj_logout", keys::Join(keys::kUser, tail))
        .Arg(tail)
        .Arg(PartOf(logout.uid))
        .Arg(logout.uid)
        .Arg(logout.device)
        .Arg(logout.session)
        .Arg(logout.broker)
        .Arg(Sessions(logout.uid, logout.broker));
    return std::nullopt;
  }

  std::optional<Reply> operator()(const Tail& tail) {
    if (!ValidUid(tail.uid) || !ValidBroker(tail.broker)) return Malformed("tail");
    c.Function(tail.count > 0 ? "nj_tail" : "nj_tail_off",
               keys::Join(keys::kUser, TailOf(tail.uid)))
        .Arg(tail.uid)
        .Arg(tail.broker)
        .Arg(Sessions(tail.uid, tail.broker))
        .Arg(uint64_t{tail.count});
    return std::nullopt;
  }

  std::optional<Reply> operator()(const ListSessions& list) {
    c.Function("nj_sessions", SessionsKey(list.partition, list.broker))
        .Arg(list.after)
        .Arg(uint64_t{std::max(list.limit, 1u)});
    return std::nullopt;
  }

  std::optional<Reply> operator()(const ReadInbox& read) {
    const std::string tail = TailOf(read.uid);
    c.Function("nj_inbox", keys::Join(keys::kUser, tail))
        .Arg(tail)
        .Arg(std::max<uint64_t>(read.from, 1))
        .Arg(uint64_t{read.count})
        .Arg(uint64_t{read.bytes});
    return std::nullopt;
  }

  std::optional<Reply> operator()(const Ack& ack) {
    if (!ValidUid(ack.uid) || !ValidDevice(ack.device)) return Malformed("ack");
    const std::string tail = TailOf(ack.uid);
    c.Function("nj_ack", keys::Join(keys::kUser, tail))
        .Arg(tail)
        .Arg(ack.uid)
        .Arg(ack.device)
        .Arg(ack.epoch)
        .Arg(ack.seq)
        .Arg(keys::BrokerId(ack.broker));
    for (const Ack::ChatMark& mark : ack.marks) {
      MarkOf(ack.uid, mark.chat, mark.msg_id);
      c.Arg(uint64_t{mark.authors.size()});
      for (const std::string& author : mark.authors) c.Arg(TailOf(author));
    }
    return std::nullopt;
  }

  void MarkOf(const std::string& uid, const std::string& chat_id, MsgId id) {
    const auto chat = ParseChatId(chat_id);
    const bool direct = chat && chat->direct && (chat->low == uid || chat->high == uid);
    c.Arg(direct ? "d" : "g")
        .Arg(TailOf(chat_id))
        .Arg(PartOf(chat_id))
        .Arg(MsgIdBytes(id))
        .Arg(MarkRecord(chat_id, uid, id));
  }
  std::optional<Reply> operator()(const MoveMark& mark) {
    if (!ValidUid(mark.uid)) return Malformed("mark");
    c.Function("nj_mark", keys::Join(keys::kChat, TailOf(mark.chat))).Arg(mark.uid);
    MarkOf(mark.uid, mark.chat, mark.msg_id);
    return std::nullopt;
  }
  std::optional<Reply> operator()(const TellMark& tell) {
    if (!ValidUid(tell.author) || !ValidUid(tell.uid)) return Malformed("tell_mark");
    const std::string tail = TailOf(tell.author);
    c.Function("nj_tell_mark", keys::Join(keys::kUser, tail))
        .Arg(tail)
        .Arg(TailOf(tell.chat))
        .Arg(tell.uid)
        .Arg(MsgIdBytes(tell.msg_id))
        .Arg(keys::BrokerId(tell.broker));
    return std::nullopt;
  }

  std::optional<Reply> operator()(const Heads& heads) {
    if (heads.sessions.empty()) return HeadsReply{};
    c.Function("nj_heads", keys::Join(keys::kUser, TailOf(heads.sessions.front().uid)));
    for (const Heads::Of& of : heads.sessions) {
      c.Arg(TailOf(of.uid))
          .Arg("r:" + of.device)
          .Arg(std::to_string(of.session) + ' ' + heads.broker);
    }
    return std::nullopt;
  }
  std::optional<Reply> operator()(const GetPresence& get) {
    if (get.uids.empty()) return GetPresenceReply{};
    c.Function("nj_presence", keys::Join(keys::kUser, TailOf(get.uids.front())));
    for (const std::string& uid : get.uids) c.Arg(TailOf(uid));
    return std::nullopt;
  }
  std::optional<Reply> operator()(const Watch& watch) {
    if (watch.uids.empty()) return WatchReply{};
    if (!UidsOk(watch.uids) || !ValidBroker(watch.broker)) return Malformed("watch");
    c.Function(watch.on ? "nj_watch" : "nj_watch_off",
               keys::Join(keys::kUser, TailOf(watch.uids.front())))
        .Arg(keys::BrokerId(watch.broker));
    for (const std::string& uid : watch.uids) c.Arg(TailOf(uid));
    return std::nullopt;
  }

  std::optional<Reply> operator()(const Beat& beat) {
    if (!ValidBroker(beat.broker) || beat.ttl_ms <= 0) return Malformed("beat");
    c.Function("nj_beat", keys::kBrokers)
        .Arg(beat.broker)
        .Arg(beat.first ? "1" : "0")
        .Arg(beat.may_clear ? "1" : "0")
        .Arg(beat.ttl_ms)
        .Arg(beat.epoch)
        .Arg(beat.known);
    for (const BrokerName& name : beat.clearing) c.Arg(name);
    return std::nullopt;
  }
  std::optional<Reply> operator()(const Gone& gone) {
    if (!ValidBroker(gone.broker)) return Malformed("gone");
    c.Function("nj_gone", keys::kBrokers).Arg(gone.broker).Arg(gone.clean ? "1" : "0");
    return std::nullopt;
  }
  std::optional<Reply> operator()(const Fence& fence) {
    if (fence.partitions.empty()) return Done{};
    if (!ValidBroker(fence.broker)) return Malformed("fence");
    c.Function("nj_fence", keys::Join(keys::kFenced, keys::PartitionTail(fence.partitions.front())))
        .Arg(fence.broker);
    for (const uint32_t p : fence.partitions) c.Arg(keys::PartitionTail(p));
    return std::nullopt;
  }

  std::optional<Reply> operator()(const GetDevice& get) {
    const std::string tail = TailOf(get.uid);
    c.Function("nj_device", keys::Join(keys::kUser, tail)).Arg(tail).Arg(get.device);
    return std::nullopt;
  }

  std::optional<Reply> operator()(const SetPresence& set) {
    if (!ValidUid(set.uid) || !ValidBroker(set.broker)) return Malformed("set_presence");
    c.Function("nj_set_presence", keys::Join(keys::kUser, TailOf(set.uid)))
        .Arg(set.uid)
        .Arg(set.online ? "1" : "0")
        .Arg(set.broker)
        .Arg(Sessions(set.uid, set.broker));
    return std::nullopt;
  }

  std::optional<Reply> operator()(const PutPush& put) {
    return Push(put.uid, RegistrationField(put.device), put.registration, put.journal);
  }
  std::optional<Reply> operator()(const PutMute& put) {
    return Push(put.uid, MuteField(put.chat, put.device),
                put.until_ms == 0 ? "" : std::to_string(put.until_ms), put.journal);
  }
  static std::string RegistrationField(const std::string& device) { return "r:" + device; }
  static std::string MuteField(const std::string& chat, const std::string& device) {
    return chat.empty() ? "m:" + device : "c:" + chat;
  }
  std::optional<Reply> Push(const std::string& uid, const std::string& field,
                            const std::string& value, const std::string& journal) {
    const std::string tail = TailOf(uid);
    c.Function("nj_push", keys::Join(keys::kUser, tail))
        .Arg(tail)
        .Arg(PartOf(uid))
        .Arg(field)
        .Arg(value)
        .Arg(journal)
        .Arg(encoder.journal_max_);
    return std::nullopt;
  }

  std::optional<Reply> operator()(const Lease& lease) {
    if (lease.partitions.empty()) return LeaseReply{};
    c.Function("nj_lease", PartKey(lease.partitions.front()))
        .Arg(keys::RoleName(lease.role))
        .Arg(lease.owner)
        .Arg(lease.ttl_ms);
    for (const uint32_t p : lease.partitions) {
      c.Arg(keys::PartitionTail(p));
      c.Arg(p < encoder.epochs_.size() ? encoder.epochs_[p] : 0);
    }
    return std::nullopt;
  }
  std::optional<Reply> operator()(const ReadLog& read) {
    if (read.partitions.empty()) return ReadLogReply{};
    c.Function("nj_read_log", PartKey(read.partitions.front()))
        .Arg(LogName(read.log))
        .Arg(read.from)
        .Arg(uint64_t{read.count})
        .Arg(uint64_t{read.bytes});
    for (const uint32_t p : read.partitions) c.Arg(keys::PartitionTail(p));
    return std::nullopt;
  }
  std::optional<Reply> operator()(const TrimLog& trim) {
    if (trim.partitions.empty()) return TrimLogReply{};
    const Role role = trim.log == Log::kJournal ? Role::kPersist : Role::kFanOut;
    c.Function("nj_trim_log", PartKey(trim.partitions.front().partition))
        .Arg(LogName(trim.log))
        .Arg(keys::RoleName(role));
    for (const TrimLog::Upto& p : trim.partitions) {
      c.Arg(keys::PartitionTail(p.partition)).Arg(p.token).Arg(p.upto);
    }
    return std::nullopt;
  }
  static std::string PartKey(uint32_t partition) {
    return keys::Join(keys::kPart, keys::PartitionTail(partition));
  }
  static std::string_view LogName(Log log) { return log == Log::kJournal ? "j" : "t"; }

  std::optional<Reply> operator()(const PutDeadLetter& put) {
    c.Function("nj_dead_letter", DeadKey(put.partition))
        .Arg(put.now_ms)
        .Arg(put.reason.substr(0, kReasonMost))
        .Arg(put.record);
    return std::nullopt;
  }

  std::optional<Reply> operator()(const ListDeadLetters& list) {
    c.Function("nj_dead_letters", DeadKey(list.partition))
        .Arg(list.from)
        .Arg(uint64_t{list.count})
        .Arg(uint64_t{list.bytes});
    return std::nullopt;
  }
  std::optional<Reply> operator()(const DropDeadLetter& drop) {
    c.Function("nj_drop_dead_letter", DeadKey(drop.partition))
        .Arg(drop.letter.at_ms)
        .Arg(drop.letter.reason)
        .Arg(drop.letter.record);
    return std::nullopt;
  }
  static std::string DeadKey(uint32_t partition) {
    return keys::Join(keys::kDead, keys::PartitionTail(partition));
  }

  std::optional<Reply> operator()(const RestoreChat& restore) {
    const ChatRecord& record = restore.record;
    const auto chat = ParseChatId(record.chat);
    if (!chat || (chat->direct && !restore.members.empty())) return Malformed("restore chat");
    const std::string tail = TailOf(record.chat);
    c.Function("nj_restore_chat", keys::Join(keys::kChat, tail))
        .Arg(tail)
        .Arg(uint64_t{restore.members.size()})
        .Arg(uint64_t{restore.delivered.size()})
        .Arg(uint64_t{restore.windows.size()})
        .Arg(record.title)
        .Arg(record.created_ms)
        .Arg(record.created_by)
        .Arg(MsgIdBytes(record.last_msg_id))
        .Arg(MsgIdBytes(restore.first_id))
        .Arg(uint64_t{chat->direct ? chat->Members().size() : 0});
    for (const hub::Member& member : restore.members) {
      if (!ValidUid(member.uid)) return Malformed("restore chat");
      c.Arg(member.uid)
          .Arg(MsgIdBytes(member.joined) + MsgIdBytes(member.left) +
               std::to_string(PartitionOf(member.uid, encoder.partitions_)));
    }
    for (const Mark& mark : restore.delivered) {
      if (!ValidUid(mark.uid)) return Malformed("restore chat");
      c.Arg(mark.uid).Arg(MsgIdBytes(mark.msg_id));
    }
    for (const RestoreChat::Window& window : restore.windows) {
      if (!ValidUid(window.uid) || !ValidDevice(window.device)) return Malformed("restore chat");
      std::string pairs;
      for (const auto& [client_msg_id, msg_id] : window.sent) {
        pairs += MsgIdBytes(client_msg_id) + MsgIdBytes(msg_id);
      }
      c.Arg(window.uid).Arg(window.device).Arg(pairs);
    }
    for (const RestoreChat::Floor& floor : restore.floors) {
      if (!ValidUid(floor.uid)) return Malformed("restore chat");
      c.Arg(floor.uid).Arg(floor.client_msg_id);
    }
    return std::nullopt;
  }
  std::optional<Reply> operator()(const RestoreUser& restore) {
    if (!ValidUid(restore.uid)) return Malformed("restore user");
    const std::string tail = TailOf(restore.uid);
    c.Function("nj_restore_user", keys::Join(keys::kUser, tail))
        .Arg(tail)
        .Arg(PartOf(restore.uid))
        .Arg(restore.name)
        .Arg(restore.email)
        .Arg(uint64_t{restore.chats.size()});
    for (const auto& [chat, id] : restore.chats) c.Arg(chat).Arg(MsgIdBytes(id));
    for (const RestoreUser::Push& push : restore.push) {
      c.Arg(RegistrationField(push.device)).Arg(push.registration);
    }
    for (const RestoreUser::Mute& mute : restore.mutes) {
      c.Arg(MuteField(mute.chat, mute.device)).Arg(std::to_string(mute.until_ms));
    }
    return std::nullopt;
  }
  std::optional<Reply> operator()(const Rebuild& rebuild) {
    if (rebuild.partitions.empty()) return Done{};
    c.Function("nj_rebuild",
               keys::Join(keys::kHub, keys::PartitionTail(rebuild.partitions.front())))
        .Arg(rebuild.closed ? "1" : "0");
    for (const uint32_t p : rebuild.partitions) c.Arg(keys::PartitionTail(p));
    return std::nullopt;
  }
  std::optional<Reply> operator()(const Retire& retire) {
    if (retire.chats.size() + retire.uids.size() > 64) return Malformed("retire");
    c.Function("nj_retire", PartKey(retire.partition))
        .Arg(keys::PartitionTail(retire.partition))
        .Arg(retire.idle_since_ms)
        .Arg(uint64_t{retire.chats.size()});
    for (const auto* names : {&retire.chats, &retire.uids}) {
      for (const std::string& name : *names) {
        if (PartitionOf(name, encoder.partitions_) != retire.partition) return Malformed("retire");
        c.Arg(TailOf(name));
      }
    }
    return std::nullopt;
  }

  std::optional<Reply> operator()(const Info&) {
    c.Function("nj_info", keys::Join(keys::kHub, keys::PartitionTail(0)));
    return std::nullopt;
  }
};

std::optional<Reply> Encoder::Encode(const Call& call, std::string& out) {
  std::optional<Reply> local = std::visit(Visitor{*this, command_}, call);
  if (!local) command_.AppendTo(out);
  return local;
}

}  // namespace nightjar::hub
