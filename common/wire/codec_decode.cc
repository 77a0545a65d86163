// Bytes from clients: decoding, and reading what can be read of what cannot be decoded.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/wire_format_lite.h>

#include <type_traits>

#include "common/wire/codec.h"
#include "common/wire/json_check.h"
#include "common/wire/limits.h"

namespace nightjar {
namespace {

namespace pb = google::protobuf;

constexpr std::string_view kWhiteSpace = " \t\r\n";

Status DecodeJson(std::string_view payload, pb::Message& message) {
  if (Status status = CheckJson(payload, message.GetDescriptor()); !status.ok()) return status;
  pb::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = pb::util::JsonStringToMessage(
      pb::StringPiece(payload.data(), payload.size()), &message, options);
  if (status.ok()) return Status::Ok();
  // protobuf's own reason quotes what was sent, which must not get into a log: only the path of the
  // field, "(create_chat.title): ...", is taken from it.
  const std::string reason = status.message().ToString();
  if (reason.find("oneof") != std::string::npos) {
    return {Code::kInvalidArgument, "two fields are given of which only one may be"};
  }
  const size_t end = reason.find(')');
  if (!reason.starts_with('(') || end == std::string::npos || end > 80) {
    return {Code::kInvalidArgument, "JSON does not fit the message"};
  }
  return {Code::kInvalidArgument, "field " + reason.substr(1, end - 1) + ": a value of the wrong kind"};
}

Status DecodeInto(std::string_view payload, pb::Message& message) {
  if (payload.size() > limits::kPacket) {
    return {Code::kInvalidArgument, "payload of more than 64 KiB"};
  }
  // Otherwise protobuf writes a line to stderr for each piece of bad UTF-8 that anybody sends.
  pb::LogSilencer silence;
  if (DetectEncoding(payload) == Encoding::kJson) return DecodeJson(payload, message);
  if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return {Code::kInvalidArgument,
            "not a protobuf " + message.GetDescriptor()->name() + ", or text that is not UTF-8"};
  }
  return Status::Ok();
}

template <typename T>
Result<T> Decode(std::string_view payload) {
  T message;
  if (Status status = DecodeInto(payload, message); !status.ok()) return status;
  // Unknown fields would be stored and sent on. Send and Ack have no messages inside.
  if constexpr (std::is_same_v<T, v1::Request>) {
    message.DiscardUnknownFields();
  } else {
    T::GetReflection()->MutableUnknownFields(&message)->Clear();
  }
  return message;
}

// Calls take(stream, tag) for each top-level field until the bytes go wrong; take() says whether it
// has read the field's value itself.
template <typename Take>
void WalkFields(std::string_view payload, Take take) {
  using pb::internal::WireFormatLite;
  if (payload.size() > limits::kPacket) payload = payload.substr(0, limits::kPacket);
  pb::io::CodedInputStream stream(reinterpret_cast<const uint8_t*>(payload.data()),
                                  static_cast<int>(payload.size()));
  while (const uint32_t tag = stream.ReadTag()) {
    if (WireFormatLite::GetTagFieldNumber(tag) == 0) return;
    if (take(stream, tag)) continue;
    if (!WireFormatLite::SkipField(&stream, tag)) return;
  }
}

bool IsUtf8(const std::string& text) {
  return pb::internal::WireFormatLite::VerifyUtf8String(
      text.data(), static_cast<int>(text.size()), pb::internal::WireFormatLite::PARSE, "");
}

}  // namespace

Encoding DetectEncoding(std::string_view payload) {
  const size_t first = payload.find_first_not_of(kWhiteSpace);
  return first != std::string_view::npos && payload[first] == '{' ? Encoding::kJson
                                                                  : Encoding::kProtobuf;
}

Result<v1::Send> DecodeSend(std::string_view payload) { return Decode<v1::Send>(payload); }
Result<v1::Ack> DecodeAck(std::string_view payload) { return Decode<v1::Ack>(payload); }
Result<v1::Request> DecodeRequest(std::string_view payload) {
  return Decode<v1::Request>(payload);
}

uint64_t SalvageClientMsgId(std::string_view payload) {
  if (DetectEncoding(payload) == Encoding::kJson) {
    return SalvageJsonField(payload.substr(0, limits::kPacket), "clientMsgId", "client_msg_id")
        .number.value_or(0);
  }
  constexpr uint32_t kTag = v1::Send::kClientMsgIdFieldNumber << 3;  // a varint
  uint64_t id = 0;
  WalkFields(payload, [&id](pb::io::CodedInputStream& stream, uint32_t tag) {
    if (tag != kTag) return false;
    uint64_t value = 0;
    if (stream.ReadVarint64(&value)) id = value;
    return true;
  });
  return id;
}

std::string SalvageRequestId(std::string_view payload) {
  std::string id;
  if (DetectEncoding(payload) == Encoding::kJson) {
    id = SalvageJsonField(payload.substr(0, limits::kPacket), "requestId", "request_id")
             .text.value_or("");
  } else {
    constexpr uint32_t kTag = (v1::Request::kRequestIdFieldNumber << 3) | 2;  // a string
    WalkFields(payload, [&id](pb::io::CodedInputStream& stream, uint32_t tag) {
      if (tag != kTag) return false;
      uint32_t size = 0;
      std::string value;
      if (stream.ReadVarint32(&size) && size <= limits::kPacket &&
          stream.ReadString(&value, static_cast<int>(size))) {
        id = std::move(value);
      }
      return true;
    });
  }
  const pb::LogSilencer silence;
  if (id.size() > limits::kRequestId || !IsUtf8(id)) return {};
  return id;
}

}  // namespace nightjar
