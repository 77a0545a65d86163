#include "tests/unit/persister/reader_world.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "common/wire/codec.h"
#include "common/wire/names.h"

namespace nightjar::persist {

MsgId ReaderWorld::Say(const std::string& from, const std::string& chat, const std::string& text,
                       int64_t ms) {
  hub.now_ms += ms;
  hub::Send send;
  send.chat = chat;
  send.author = from;
  send.device = "phone";
  send.client_msg_id = ++client_msg_id_;
  send.received_ms = hub.now_ms;
  if (const auto name = ParseChatId(chat); name && name->direct) {
    send.members = {name->low};
    if (name->high != name->low) send.members.push_back(name->high);
  }
  v1::Message message;
  message.set_chat_id(chat);
  message.set_author(from);
  message.set_text(text);
  send.shared = MessageTemplate(message);
  message.set_device("phone");
  message.set_client_msg_id(send.client_msg_id);
  send.own = MessageTemplate(message);
  auto reply = std::get<hub::SendReply>(hub.Do(send));
  if (reply.outcome == hub::SendReply::Outcome::kStale) {
    send.version = reply.version;
    send.members = reply.members;
    reply = std::get<hub::SendReply>(hub.Do(send));
  }
  return reply.outcome == hub::SendReply::Outcome::kAccepted ? reply.msg_id : 0;
}

void ReaderWorld::Create(const std::string& chat, const std::vector<std::string>& members) {
  hub::CreateChat create;
  create.chat = chat;
  create.creator = members.front();
  create.device = "phone";
  create.title = "title";
  create.members = members;
  create.received_ms = ++hub.now_ms;
  v1::ChatChange change;
  change.set_kind(v1::ChatChange::CREATED);
  change.set_by(members.front());
  change.mutable_chat()->set_chat_id(chat);
  change.mutable_chat()->set_title("title");
  for (const auto& uid : members) change.add_added(uid);
  create.change = ChangeTemplate(change);
  const auto reply = std::get<hub::ChangeReply>(hub.Do(create));
  ASSERT_EQ(reply.outcome, hub::ChangeReply::Outcome::kDone);
}

void ReaderWorld::Remove(const std::string& chat, const std::string& by, const std::string& uid) {
  const auto now = std::get<hub::GetChatReply>(hub.Do(hub::GetChat{.chat = chat, .members = true}));
  hub::UpdateChat update;
  update.chat = chat;
  update.by = by;
  update.device = "phone";
  update.version = now.record.version;
  update.remove = {uid};
  update.received_ms = ++hub.now_ms;
  v1::ChatChange change;
  change.set_kind(v1::ChatChange::MEMBERS_CHANGED);
  change.set_by(by);
  change.mutable_chat()->set_chat_id(chat);
  change.mutable_chat()->set_title(now.record.title);
  change.mutable_chat()->set_created_ms(now.record.created_ms);
  change.mutable_chat()->set_created_by(now.record.created_by);
  change.add_removed(uid);
  update.change = ChangeTemplate(change);
  const auto reply = std::get<hub::ChangeReply>(hub.Do(update));
  ASSERT_EQ(reply.outcome, hub::ChangeReply::Outcome::kDone);
}

void ReaderWorld::Persist(size_t most, bool trim) {
  for (uint32_t p = 0; p < kReaderPartitions; ++p) {
    hub::ReadLog read;
    read.partitions = {p};
    read.count = static_cast<uint32_t>(most);
    read.bytes = 1 << 30;
    const auto log = std::get<hub::ReadLogReply>(hub.Do(read));
    for (const auto& slice : log.slices) {
      std::vector<v1::JournalRecord> records;
      for (const auto& bytes : slice.records) {
        ASSERT_TRUE(records.emplace_back().ParseFromString(bytes));
      }
      ASSERT_TRUE(store.Put(records).ok());
      if (!trim) continue;
      const auto lease = std::get<hub::LeaseReply>(
          hub.Do(hub::Lease{.role = hub::Role::kPersist, .owner = "test", .partitions = {p}}));
      hub::TrimLog cut;
      cut.partitions = {{p, lease.tokens.at(0), slice.first + slice.records.size()}};
      ASSERT_TRUE(std::get<hub::TrimLogReply>(hub.Do(cut)).held.at(0));
    }
  }
}

v1::Response ReaderWorld::Ask(const std::string& uid, const std::string& text_format) {
  v1::Request request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text_format, &request)) << text_format;
  request.set_request_id("r1");
  v1::Response response = reader.Answer(uid, request);
  EXPECT_EQ(response.request_id(), "r1");
  return response;
}

std::vector<MsgId> Ids(const google::protobuf::RepeatedPtrField<v1::Message>& messages) {
  std::vector<MsgId> ids;
  for (const auto& message : messages) ids.push_back(message.msg_id());
  return ids;
}

}  // namespace nightjar::persist
