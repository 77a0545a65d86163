#include "common/hub/split/parts.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "common/wire/names.h"

namespace nightjar::hub {
namespace {

Reply WrongReply() {
  return Failure{Failure::Kind::kInternal,
                 "a part of a call was answered by another kind of reply"};
}

std::vector<std::string> Once(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::vector<std::string> MembersOf(const Send& c) {
  const auto chat = ParseChatId(c.chat);
  return chat && chat->direct ? chat->Members() : c.members;
}
std::vector<std::string> MembersOf(const CreateChat& c) { return c.members; }

std::vector<std::string> UidsOf(const Heads& c) {
  std::vector<std::string> uids;
  for (const Heads::Of& of : c.sessions) uids.push_back(of.uid);
  return uids;
}

// The partition of all, 0 of none.
template <typename List, typename Of>
std::optional<uint32_t> Common(const List& list, Of partition_of) {
  std::optional<uint32_t> common;
  for (const auto& item : list) {
    const uint32_t p = partition_of(item);
    if (common.value_or(p) != p) return std::nullopt;
    common = p;
  }
  return common.value_or(0);
}

struct PartitionVisitor {
  uint32_t partitions;

  uint32_t Of(const std::string& id) const { return PartitionOf(id, partitions); }
  std::optional<uint32_t> OfAll(const std::vector<std::string>& ids) const {
    return Common(ids, [this](const std::string& id) { return Of(id); });
  }
  template <typename C>
  std::optional<uint32_t> OfChat(const C& c) const {
    std::vector<std::string> ids = MembersOf(c);
    if (ids.empty()) return std::nullopt;  // whoever they are
    ids.push_back(c.chat);
    return OfAll(ids);
  }

  std::optional<uint32_t> operator()(const Send& c) const {
    return c.by_task ? Of(c.chat) : OfChat(c);
  }
  std::optional<uint32_t> operator()(const CreateChat& c) const {
    return c.by_task ? Of(c.chat) : OfChat(c);
  }
  std::optional<uint32_t> operator()(const UpdateChat& c) const {
    return c.by_task ? std::optional(Of(c.chat)) : std::nullopt;
  }
  std::optional<uint32_t> operator()(const Append& c) const { return OfAll(c.uids); }
  std::optional<uint32_t> operator()(const GetChat& c) const { return Of(c.chat); }
  std::optional<uint32_t> operator()(const GetReceipts& c) const { return OfAll(c.chats); }
  std::optional<uint32_t> operator()(const Ack& c) const {
    return c.marks.empty() ? std::optional(Of(c.uid)) : std::nullopt;
  }
  std::optional<uint32_t> operator()(const MoveMark& c) const { return Of(c.chat); }
  std::optional<uint32_t> operator()(const TellMark& c) const { return Of(c.author); }
  std::optional<uint32_t> operator()(const Heads& c) const { return OfAll(UidsOf(c)); }
  std::optional<uint32_t> operator()(const GetPresence& c) const { return OfAll(c.uids); }
  std::optional<uint32_t> operator()(const Watch& c) const { return OfAll(c.uids); }
  std::optional<uint32_t> operator()(const Lease& c) const { return OfPartitions(c.partitions); }
  std::optional<uint32_t> operator()(const ReadLog& c) const { return OfPartitions(c.partitions); }
  std::optional<uint32_t> operator()(const TrimLog& c) const {
    return Common(c.partitions, [](const TrimLog::Upto& upto) { return upto.partition; });
  }
  std::optional<uint32_t> operator()(const Fence& c) const { return OfPartitions(c.partitions); }
  std::optional<uint32_t> operator()(const Rebuild& c) const { return OfPartitions(c.partitions); }
  std::optional<uint32_t> operator()(const RestoreChat& c) const { return Of(c.record.chat); }
  std::optional<uint32_t> operator()(const auto& c) const {
    if constexpr (requires { c.uid; }) {
      return Of(c.uid);
    } else if constexpr (requires { c.partition; }) {
      return c.partition;
    } else {
      return 0;  // what brokers say of themselves, and Info
    }
  }
  static std::optional<uint32_t> OfPartitions(const std::vector<uint32_t>& all) {
    return Common(all, [](uint32_t p) { return p; });
  }
};

struct NamesVisitor {
  using Names = std::vector<std::string>;
  template <typename C>
  Names OfChat(const C& c) const {
    Names names = c.by_task ? Names{} : MembersOf(c);
    names.push_back(c.chat);
    return names;
  }
  Names operator()(const Send& c) const { return OfChat(c); }
  Names operator()(const CreateChat& c) const { return OfChat(c); }
  Names operator()(const UpdateChat& c) const { return {c.chat}; }
  Names operator()(const Append& c) const { return c.uids; }
  Names operator()(const GetChat& c) const { return {c.chat}; }
  Names operator()(const GetReceipts& c) const { return c.chats; }
  Names operator()(const MoveMark& c) const { return {c.chat}; }
  Names operator()(const TellMark&) const { return {}; }  // changes nothing
  Names operator()(const Heads& c) const { return UidsOf(c); }
  Names operator()(const RestoreChat& c) const { return {c.record.chat}; }
  Names operator()(const GetPresence& c) const { return c.uids; }
  Names operator()(const Watch& c) const { return c.uids; }
  Names operator()(const auto& c) const {
    if constexpr (requires { c.uid; }) {
      return {c.uid};
    } else {
      return {};
    }
  }
};

// ---- splitting a list, by the partition of its items ------------------------------------------

// Places in the list, a group a partition: groups in the order of their first items, items in
// theirs.
using Groups = std::vector<std::vector<size_t>>;

template <typename Item, typename Of>
Groups GroupsOf(const std::vector<Item>& items, Of partition_of) {
  Groups groups;
  std::map<uint32_t, size_t> known;
  for (size_t i = 0; i < items.size(); ++i) {
    const auto [group, is_new] = known.emplace(partition_of(items[i]), groups.size());
    if (is_new) groups.emplace_back();
    groups[group->second].push_back(i);
  }
  return groups;
}

Parts Whole(Call call) {
  return {{std::move(call)}, [](std::vector<Reply> replies) { return std::move(replies[0]); }};
}

// `call` with its list taken apart; `items` takes what was in it.
template <typename C, typename Item>
std::vector<Call> CallsOf(C& call, std::vector<Item> C::*list, const Groups& groups,
                          std::vector<Item>& items) {
  items = std::move(call.*list);
  std::vector<Call> calls;
  for (const auto& group : groups) {
    C part = call;
    (part.*list).clear();
    for (const size_t i : group) (part.*list).push_back(items[i]);
    calls.push_back(std::move(part));
  }
  return calls;
}

// Calls whose reply has one result for each item of their list.
template <typename R, typename C, typename Item, typename Result, typename Of>
Parts Parallel(C call, std::vector<Item> C::*list, std::vector<Result> R::*results,
               Of partition_of) {
  const Groups groups = GroupsOf(call.*list, partition_of);
  if (groups.size() < 2) return Whole(std::move(call));
  std::vector<Item> items;
  Parts parts;
  parts.calls = CallsOf(call, list, groups, items);
  parts.join = [groups, results, count = items.size()](std::vector<Reply> replies) -> Reply {
    std::vector<Result> all(count);
    for (size_t g = 0; g < groups.size(); ++g) {
      R* part = std::get_if<R>(&replies[g]);
      if (part == nullptr || (part->*results).size() != groups[g].size()) return WrongReply();
      for (size_t k = 0; k < groups[g].size(); ++k) all[groups[g][k]] = (part->*results)[k];
    }
    R whole = std::get<R>(std::move(replies[0]));
    whole.*results = std::move(all);
    return whole;
  };
  return parts;
}

// Calls whose reply has at most one result for each item of their list, and says of which
// (`key_of`).
template <typename R, typename C, typename Item, typename Result, typename Of, typename KeyOf>
Parts Sparse(C call, std::vector<Item> C::*list, std::vector<Result> R::*results, Of partition_of,
             KeyOf key_of) {
  const Groups groups = GroupsOf(call.*list, partition_of);
  if (groups.size() < 2) return Whole(std::move(call));
  std::vector<Item> items;
  Parts parts;
  parts.calls = CallsOf(call, list, groups, items);
  parts.join = [groups, results, items, key_of](std::vector<Reply> replies) -> Reply {
    std::vector<Result*> found(items.size());
    for (size_t g = 0; g < groups.size(); ++g) {
      R* part = std::get_if<R>(&replies[g]);
      if (part == nullptr) return WrongReply();
      auto next = (part->*results).begin();
      for (const size_t i : groups[g]) {
        if (next == (part->*results).end() || key_of(*next) != items[i]) continue;
        found[i] = &*next++;
      }
      if (next != (part->*results).end()) return WrongReply();
    }
    R whole;
    for (Result* result : found) {
      if (result != nullptr) (whole.*results).push_back(std::move(*result));
    }
    return whole;
  };
  return parts;
}

// Deliveries in the order of the recipients.
Reply JoinAppend(const std::vector<std::string>& uids, size_t messages,
                 std::vector<Reply> replies) {
  std::map<std::string_view, size_t> place;
  for (size_t i = 0; i < uids.size(); ++i) place.emplace(uids[i], i);
  AppendReply whole;
  whole.deliveries.resize(messages);
  for (Reply& reply : replies) {
    AppendReply* part = std::get_if<AppendReply>(&reply);
    if (part == nullptr || part->deliveries.size() != messages) return WrongReply();
    for (size_t m = 0; m < messages; ++m) {
      auto& all = whole.deliveries[m];
      std::move(part->deliveries[m].begin(), part->deliveries[m].end(), std::back_inserter(all));
    }
  }
  for (auto& of : whole.deliveries) {
    std::stable_sort(of.begin(), of.end(), [&](const Delivery& a, const Delivery& b) {
      return place[a.uid] < place[b.uid];
    });
  }
  return whole;
}

struct SplitVisitor {
  uint32_t partitions;

  auto OfId() const {
    return [p = partitions](const std::string& id) { return PartitionOf(id, p); };
  }
  template <typename C>
  Parts OfChat(C c) const {
    c.by_task = c.by_task || !PartitionVisitor{partitions}(c);
    return Whole(std::move(c));
  }
  Parts operator()(Send&& c) const { return OfChat(std::move(c)); }
  Parts operator()(CreateChat&& c) const { return OfChat(std::move(c)); }
  Parts operator()(UpdateChat&& c) const { return OfChat(std::move(c)); }
  Parts operator()(Append&& c) const {
    const Groups groups = GroupsOf(c.uids, OfId());
    if (groups.size() < 2) return Whole(std::move(c));
    std::vector<std::string> uids;
    Parts parts;
    parts.calls = CallsOf(c, &Append::uids, groups, uids);
    parts.join = [uids, messages = c.messages.size()](std::vector<Reply> replies) {
      return JoinAppend(uids, messages, std::move(replies));
    };
    return parts;
  }
  Parts operator()(GetReceipts&& c) const {
    return Sparse(std::move(c), &GetReceipts::chats, &GetReceiptsReply::chats, OfId(),
                  [](const GetReceiptsReply::Chat& chat) { return chat.chat; });
  }
  Parts operator()(Heads&& c) const {
    return Parallel(std::move(c), &Heads::sessions, &HeadsReply::sessions,
                    [of = OfId()](const Heads::Of& session) { return of(session.uid); });
  }
  Parts operator()(GetPresence&& c) const {
    return Parallel(std::move(c), &GetPresence::uids, &GetPresenceReply::states, OfId());
  }
  Parts operator()(Watch&& c) const {
    return Parallel(std::move(c), &Watch::uids, &WatchReply::states, OfId());
  }
  Parts operator()(Lease&& c) const {
    return Parallel(std::move(c), &Lease::partitions, &LeaseReply::tokens,
                    [](uint32_t p) { return p; });
  }
  Parts operator()(TrimLog&& c) const {
    return Parallel(std::move(c), &TrimLog::partitions, &TrimLogReply::held,
                    [](const TrimLog::Upto& upto) { return upto.partition; });
  }
  Parts operator()(ReadLog&& c) const {
    const auto self = [](uint32_t p) { return p; };
    // To each its share, so that all of them stay within the bound but for one element each.
    const size_t count = GroupsOf(c.partitions, self).size();
    if (count > 1) c.bytes = std::max<uint32_t>(c.bytes / static_cast<uint32_t>(count), 1);
    return Sparse(std::move(c), &ReadLog::partitions, &ReadLogReply::slices, self,
                  [](const LogSlice& slice) { return slice.partition; });
  }
  Parts operator()(Fence&& c) const { return ByPartition(std::move(c)); }
  Parts operator()(Rebuild&& c) const { return ByPartition(std::move(c)); }
  Parts operator()(auto&& c) const { return Whole(std::move(c)); }

  // Calls with a list of partitions that are answered by Done.
  template <typename C>
  static Parts ByPartition(C c) {
    const Groups groups = GroupsOf(c.partitions, [](uint32_t p) { return p; });
    if (groups.size() < 2) return Whole(std::move(c));
    std::vector<uint32_t> all;
    Parts parts;
    parts.calls = CallsOf(c, &C::partitions, groups, all);
    parts.join = [](std::vector<Reply> replies) -> Reply {
      const bool done = std::all_of(replies.begin(), replies.end(), [](const Reply& reply) {
        return std::holds_alternative<Done>(reply);
      });
      return done ? Reply(Done{}) : WrongReply();
    };
    return parts;
  }
};

}  // namespace

std::optional<uint32_t> PartitionOfCall(const Call& call, uint32_t partitions) {
  return std::visit(PartitionVisitor{partitions}, call);
}

std::vector<std::string> NamesOf(const Call& call) {
  return Once(std::visit(NamesVisitor{}, call));
}

Parts Split(Call call, uint32_t partitions) {
  return std::visit([&](auto&& c) { return SplitVisitor{partitions}(std::move(c)); },
                    std::move(call));
}

std::vector<Call> MarksOf(const Ack& ack) {
  std::vector<Call> calls;
  for (const Ack::ChatMark& mark : ack.marks) {
    calls.push_back(MoveMark{ack.uid, mark.chat, mark.msg_id});
  }
  return calls;
}

std::vector<AckReply::Moved> MovedOf(const std::vector<Reply>& replies) {
  std::vector<AckReply::Moved> moved;
  for (size_t i = 0; i < replies.size(); ++i) {
    const MoveMarkReply* reply = std::get_if<MoveMarkReply>(&replies[i]);
    if (reply != nullptr && reply->moved) moved.push_back({static_cast<uint32_t>(i), reply->tell});
  }
  return moved;
}

std::vector<Call> TellsOf(const Ack& ack, const std::vector<AckReply::Moved>& moved) {
  std::vector<Call> calls;
  for (const AckReply::Moved& one : moved) {
    if (!one.tell) continue;
    const Ack::ChatMark& mark = ack.marks[one.mark];
    for (const std::string& author : mark.authors) {
      calls.push_back(TellMark{author, mark.chat, ack.uid, mark.msg_id, ack.broker});
    }
  }
  return calls;
}

}  // namespace nightjar::hub
