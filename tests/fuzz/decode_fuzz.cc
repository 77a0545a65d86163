// Payloads of clients: all three messages, in both encodings.
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>

#include "common/wire/codec.h"
#include "common/wire/limits.h"
#include "tests/fuzz/check.h"

namespace {

using namespace nightjar;
namespace pb = google::protobuf;

void CheckReason(const Status& status) {
  FUZZ_CHECK(status.code() == Code::kInvalidArgument);
  FUZZ_CHECK(!status.message().empty() && status.message().size() < 200);
  for (const char c : status.message()) FUZZ_CHECK(c >= ' ' && c <= '~');
}

// A decoded message means the same after a round through either encoding.
template <typename Message>
void CheckRound(const Message& message, Result<Message> (*decode)(std::string_view)) {
  const std::string bytes = message.SerializeAsString();
  // A few protobuf messages begin like JSON (protocol.md: that is JSON then).
  if (DetectEncoding(bytes) == Encoding::kProtobuf) {
    const Result<Message> again = decode(bytes);
    FUZZ_CHECK(again.ok());
    FUZZ_CHECK(pb::util::MessageDifferencer::Equals(message, *again));
  }
  std::string json;
  FUZZ_CHECK(pb::util::MessageToJsonString(message, &json).ok());
  if (json.size() > limits::kPacket) return;
  const Result<Message> again = decode(json);
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(pb::util::MessageDifferencer::Equals(message, *again));
}

void CheckSend(std::string_view payload) {
  const uint64_t salvaged = SalvageClientMsgId(payload);
  const Result<v1::Send> send = DecodeSend(payload);
  if (!send.ok()) return CheckReason(send.status());
  FUZZ_CHECK(salvaged == send->client_msg_id());
  if (const Status status = ValidateSend(*send); status.ok()) {
    FUZZ_CHECK(send->text().size() <= limits::kText);
    FUZZ_CHECK(send->client_msg_id() <= limits::kMaxClientMsgId);
  } else {
    CheckReason(status);
  }
  CheckRound(*send, DecodeSend);
}

void CheckRequest(std::string_view payload) {
  const std::string salvaged = SalvageRequestId(payload);
  FUZZ_CHECK(salvaged.size() <= limits::kRequestId);
  const Result<v1::Request> request = DecodeRequest(payload);
  if (!request.ok()) return CheckReason(request.status());
  FUZZ_CHECK(salvaged == request->request_id() || request->request_id().size() > limits::kRequestId);
  if (const Status status = ValidateRequest(*request); !status.ok()) CheckReason(status);
  CheckRound(*request, DecodeRequest);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view payload(reinterpret_cast<const char*>(data), size);
  CheckSend(payload);
  CheckRequest(payload);
  if (const Result<v1::Ack> ack = DecodeAck(payload); ack.ok()) {
    CheckRound(*ack, DecodeAck);
  } else {
    CheckReason(ack.status());
  }
  return 0;
}
