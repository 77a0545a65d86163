// What a message costs on the wire, byte by byte, with the server's own codec: docs/client-sim.md,
// "Bytes", has the table that this prints (and checks), and what follows from it.
#include <gtest/gtest.h>

#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "client-sim/swarm/mqtt_codec.h"
#include "common/wire/codec.h"
#include "common/wire/names.h"

namespace nightjar {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr MsgId kMsgId = MakeMsgId(1'790'000'000'000, 3);
constexpr uint64_t kUnixMs = 1'790'000'000'000;
constexpr uint64_t kSeq = 1000;  // two bytes, as from the 128th entry to the 16,383rd

struct Part {
  std::string what;
  size_t bytes;
};
struct Packet {
  std::string name;
  std::vector<Part> parts;
  size_t bytes = 0;  // of TCP payload
};

// The fields of `message`, each at what it takes to have it: tag, length, value.
void Split(const Message& message, const std::string& prefix, std::vector<Part>& parts) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    std::unique_ptr<Message> without(message.New());
    without->CopyFrom(message);
    without->GetReflection()->ClearField(without.get(), field);
    const size_t bytes = message.ByteSizeLong() - without->ByteSizeLong();
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      parts.push_back({prefix + field->name(), bytes});
      continue;
    }
    const Message& inner = field->is_repeated()
                               ? message.GetReflection()->GetRepeatedMessage(message, field, 0)
                               : message.GetReflection()->GetMessage(message, field);
    parts.push_back({prefix + field->name() + " (tag, length)", bytes - inner.ByteSizeLong()});
    Split(inner, prefix + field->name() + ".", parts);
  }
}

Packet Publish(const std::string& name, const std::string& topic, const Message& message,
               const std::string& payload) {
  Packet packet{name, {}, 0};
  std::string wire;
  swarm::PutPublish(wire, topic, payload, 0, 0);
  packet.bytes = wire.size();
  const size_t topic_bytes = 2 + topic.size();
  packet.parts = {{"MQTT header", wire.size() - topic_bytes - payload.size()},
                  {"topic \"" + topic + "\"", topic_bytes}};
  Split(message, "", packet.parts);
  return packet;
}

struct Talk {
  std::string author = "u122", reader = "u123";  // as in ./nj bench
  std::string text = std::string(100, 'x');
  uint64_t client_msg_id = kUnixMs;
  bool ack_rides = false;

  std::string chat() const { return DirectChatId(author, reader); }

  Packet Send() const {
    v1::Send send;
    send.set_client_msg_id(client_msg_id);
    send.set_chat_id(chat());
    send.set_text(text);
    if (ack_rides) {
      send.set_ack(kSeq);
      send.set_epoch(1);
    }
    return Publish("Send", "s", send, send.SerializeAsString());
  }
  Packet Accepted() const {
    v1::ServerFrame frame;
    frame.mutable_accepted()->set_client_msg_id(client_msg_id);
    frame.mutable_accepted()->set_msg_id(kMsgId);
    return Publish("Accepted", "i", frame, Encode(frame, Encoding::kProtobuf));
  }
  // As the server makes it of a stored entry.
  Packet Entry(uint32_t skipped) const {
    v1::ServerFrame frame;
    frame.mutable_message()->set_chat_id(chat());
    frame.mutable_message()->set_author(author);
    frame.mutable_message()->set_text(text);
    const EntryTemplate shared = MessageTemplate(frame.message());
    const std::string payload =
        EncodeEntry(JoinEntry(shared, kMsgId), kSeq, skipped, Encoding::kProtobuf);
    frame.mutable_message()->set_msg_id(kMsgId);
    frame.set_seq(kSeq);
    frame.set_skipped(skipped);
    EXPECT_EQ(payload.size(), frame.ByteSizeLong());
    return Publish("message", "i", frame, payload);
  }
  Packet Ack() const {
    v1::Ack ack;
    ack.set_seq(kSeq);
    ack.set_epoch(1);
    return Publish("Ack", "a", ack, ack.SerializeAsString());
  }
  Packet Delivered() const {
    v1::ServerFrame frame;
    frame.mutable_delivered()->set_chat_id(chat());
    frame.mutable_delivered()->add_marks()->set_uid(reader);
    frame.mutable_delivered()->mutable_marks(0)->set_msg_id(kMsgId);
    return Publish("delivered", "i", frame, Encode(frame, Encoding::kProtobuf));
  }
  // Closes the author's own sequence when nothing else comes to them within half a second.
  Packet Closing() const {
    v1::ServerFrame frame;
    frame.set_seq(kSeq);
    frame.set_skipped(1);
    return Publish("closing frame", "i", frame, Encode(frame, Encoding::kProtobuf));
  }

  size_t Sum() const {
    const std::vector<Packet> all = {Send(), Accepted(), Entry(0), Ack(), Delivered()};
    return std::accumulate(all.begin(), all.end(), size_t{0},
                           [](size_t sum, const Packet& packet) { return sum + packet.bytes; });
  }
};

void Print(const Packet& packet) {
  std::printf("%-14s %3zu =", packet.name.c_str(), packet.bytes);
  for (const auto& part : packet.parts) std::printf("  %s %zu", part.what.c_str(), part.bytes);
  std::printf("\n");
}

TEST(Bytes, OfADirectMessageOfAHundredBytesFieldByField) {
  const Talk talk;
  const std::vector<Packet> packets = {talk.Send(), talk.Accepted(),  talk.Entry(0),
                                       talk.Ack(),  talk.Delivered(), talk.Closing()};
  for (const auto& packet : packets) {
    Print(packet);
    size_t sum = 0;
    for (const auto& part : packet.parts) sum += part.bytes;
    // Leaving a field out may make a length one byte shorter: that byte is counted with the field.
    EXPECT_NEAR(static_cast<double>(sum), static_cast<double>(packet.bytes), 2) << packet.name;
  }
  EXPECT_EQ(talk.Send().bytes, 127U);
  EXPECT_EQ(talk.Accepted().bytes, 23U);
  EXPECT_EQ(talk.Entry(0).bytes, 142U);
  EXPECT_EQ(talk.Ack().bytes, 10U);
  EXPECT_EQ(talk.Delivered().bytes, 37U);
  EXPECT_EQ(talk.Closing().bytes, 10U);
  EXPECT_EQ(talk.Sum(), 339U);
}

TEST(Bytes, WhatMovesTheSum) {
  const Talk talk;
  Talk riding = talk;
  riding.ack_rides = true;
  EXPECT_EQ(riding.Send().bytes - talk.Send().bytes, 6U) << "instead of an Ack of 10";
  EXPECT_EQ(talk.Entry(1).bytes - talk.Entry(0).bytes, 2U) << "the reader wrote in between";

  Talk brief = talk;
  brief.author = "a";
  brief.reader = "b";
  EXPECT_EQ(talk.Sum() - brief.Sum(), 8U * 3 + 1)
      << "a character of a uid is sent eight times; and one length fits a byte now";
  Talk counting = talk;
  counting.client_msg_id = 1000;
  EXPECT_EQ(talk.Sum() - counting.Sum(), 2U * 4) << "ids that count from 1, not from Unix ms";

  // One Ack and one delivered for k messages that came within 200 ms.
  const auto at = [](const Talk& t, size_t k) {
    const size_t each = t.Send().bytes + t.Accepted().bytes + t.Entry(0).bytes;
    return each + (t.Ack().bytes + t.Delivered().bytes + k - 1) / k;
  };
  EXPECT_EQ(at(talk, 2), 316U);
  EXPECT_GT(at(talk, 5), 300U);
  EXPECT_EQ(at(talk, 6), 300U);
  EXPECT_LE(at(counting, 3), 300U);
}

// What the same costs by hand over MQTT with QoS 1, as ./nj bench does it.
TEST(Bytes, OfTheSameByHand) {
  std::string wire;
  const std::string text(100, 'x'), receipt(24, 'r');
  for (int hop = 0; hop < 2; ++hop) {  // to the broker, to the reader
    swarm::PutPublish(wire, "inbox/u123", text, 1, 1);
    swarm::PutPuback(wire, 1);
    swarm::PutPublish(wire, "inbox/u122", receipt, 1, 2);
    swarm::PutPuback(wire, 2);
  }
  EXPECT_EQ(wire.size(), 328U);
}

}  // namespace
}  // namespace nightjar
