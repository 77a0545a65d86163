// Frames for clients, and the byte templates from which the hub makes entries.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/util/json_util.h>

#include <array>

#include "common/wire/codec.h"

namespace nightjar {
namespace {

namespace pb = google::protobuf;

constexpr char kVarint = 0, kFixed64 = 1, kBytes = 2;

constexpr char Tag(int field, char type) { return static_cast<char>((field << 3) | type); }

void AppendVarint(std::string& out, uint64_t value) {
  std::array<uint8_t, 10> bytes;
  const uint8_t* end = pb::io::CodedOutputStream::WriteVarint64ToArray(value, bytes.data());
  out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(end - bytes.data()));
}

std::string EncodeMessage(const pb::Message& message, Encoding encoding) {
  if (encoding == Encoding::kProtobuf) return message.SerializeAsString();
  pb::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string json;
  // Fails only for types whose descriptors are unknown, which generated ones never are.
  if (!pb::util::MessageToJsonString(message, &json, options).ok()) json = "{}";
  return json;
}

constexpr size_t kIdField = 1 + sizeof(MsgId);  // a tag and a fixed64

}  // namespace

std::string Encode(const v1::ServerFrame& frame, Encoding encoding) {
  return EncodeMessage(frame, encoding);
}
std::string Encode(const v1::Presence& presence, Encoding encoding) {
  return EncodeMessage(presence, encoding);
}

std::string EncodeEntry(std::string_view entry, uint64_t seq, uint32_t skipped,
                        Encoding encoding) {
  if (encoding == Encoding::kProtobuf) {
    std::string out;
    out.reserve(entry.size() + 17);
    if (seq != 0) {
      out.push_back(Tag(v1::ServerFrame::kSeqFieldNumber, kVarint));
      AppendVarint(out, seq);
    }
    if (skipped != 0) {
      out.push_back(Tag(v1::ServerFrame::kSkippedFieldNumber, kVarint));
      AppendVarint(out, skipped);
    }
    out.append(entry);
    return out;
  }
  v1::ServerFrame frame;
  const pb::LogSilencer silence;
  if (!frame.ParseFromArray(entry.data(), static_cast<int>(entry.size()))) frame.clear_body();
  frame.set_seq(seq);
  frame.set_skipped(skipped);
  return EncodeMessage(frame, encoding);
}

EntryTemplate MessageTemplate(const v1::Message& message) {
  v1::Message rest = message;
  rest.clear_msg_id();
  const std::string tail = rest.SerializeAsString();
  std::string front(1, Tag(v1::ServerFrame::kMessageFieldNumber, kBytes));
  AppendVarint(front, kIdField + tail.size());
  front.push_back(Tag(v1::Message::kMsgIdFieldNumber, kFixed64));
  return {std::move(front), tail};
}

EntryTemplate ChangeTemplate(const v1::ChatChange& change) {
  v1::ChatChange rest = change;
  v1::Chat chat = rest.chat();
  chat.clear_last_msg_id();
  rest.clear_msg_id();
  rest.clear_chat();
  const std::string tail = rest.SerializeAsString();

  // The chat with its last_msg_id moved to its end, where the second id is to come.
  std::string middle(1, Tag(v1::ChatChange::kChatFieldNumber, kBytes));
  const std::string chat_bytes = chat.SerializeAsString();
  AppendVarint(middle, chat_bytes.size() + kIdField);
  middle.append(chat_bytes).push_back(Tag(v1::Chat::kLastMsgIdFieldNumber, kFixed64));

  std::string front(1, Tag(v1::ServerFrame::kChatChangeFieldNumber, kBytes));
  AppendVarint(front, kIdField + middle.size() + sizeof(MsgId) + tail.size());
  front.push_back(Tag(v1::ChatChange::kMsgIdFieldNumber, kFixed64));
  return {std::move(front), std::move(middle), tail};
}

std::string JoinEntry(const EntryTemplate& parts, MsgId id) {
  const std::string bytes = MsgIdBytes(id);
  std::string entry;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) entry.append(bytes);
    entry.append(parts[i]);
  }
  return entry;
}

}  // namespace nightjar
