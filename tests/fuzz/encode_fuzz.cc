// Frames for clients: the input is a ServerFrame and the numbers it is encoded with.
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cstring>

#include "common/wire/codec.h"
#include "common/wire/limits.h"
#include "tests/fuzz/check.h"

namespace {

using namespace nightjar;
namespace pb = google::protobuf;

struct Numbers {
  uint64_t seq = 0;
  uint32_t skipped = 0;
  uint32_t max_frame = 0;
};

bool Same(const pb::Message& a, const pb::Message& b) {
  return pb::util::MessageDifferencer::Equals(a, b);
}

v1::ServerFrame Read(const std::string& bytes, Encoding encoding) {
  v1::ServerFrame frame;
  if (encoding == Encoding::kProtobuf) {
    FUZZ_CHECK(frame.ParseFromString(bytes));  // which also says that all texts are whole UTF-8
  } else {
    FUZZ_CHECK(pb::util::JsonStringToMessage(bytes, &frame).ok());
  }
  return frame;
}

void CheckEntry(v1::ServerFrame frame, const Numbers& numbers, Encoding encoding) {
  frame.clear_seq();
  frame.clear_skipped();
  const std::string entry = frame.SerializeAsString();
  const size_t most = std::max(numbers.max_frame, limits::kMinFrame);
  const std::string whole = EncodeEntry(entry, numbers.seq, numbers.skipped, encoding);
  frame.set_seq(numbers.seq);
  frame.set_skipped(numbers.skipped);
  FUZZ_CHECK(Same(Read(whole, encoding), frame));

  const std::string bytes =
      EncodeEntryFitted(entry, numbers.seq, numbers.skipped, encoding, numbers.max_frame);
  FUZZ_CHECK(bytes.size() <= most);
  const v1::ServerFrame fitted = Read(bytes, encoding);
  FUZZ_CHECK(fitted.seq() == numbers.seq && fitted.skipped() == numbers.skipped);
  if (whole.size() <= most) FUZZ_CHECK(bytes == whole);
  if (!frame.has_message() || whole.size() <= most) return;
  FUZZ_CHECK(fitted.message().truncated());
  FUZZ_CHECK(fitted.message().msg_id() == frame.message().msg_id());
  FUZZ_CHECK(frame.message().text().starts_with(fitted.message().text()));
}

// The ids of what stays of a page are in order, and from the right end.
void CheckPage(const v1::History& given, const v1::History& kept, KeepMessages keep) {
  FUZZ_CHECK(kept.messages_size() <= given.messages_size());
  FUZZ_CHECK(kept.more() == (given.more() || kept.messages_size() < given.messages_size()));
  FUZZ_CHECK((kept.messages_size() > 0) == (given.messages_size() > 0));
  const int first =
      keep == KeepMessages::kNewest ? given.messages_size() - kept.messages_size() : 0;
  for (int i = 0; i < kept.messages_size(); ++i) {
    FUZZ_CHECK(kept.messages(i).msg_id() == given.messages(first + i).msg_id());
  }
}

void CheckResponse(const v1::Response& response, const Numbers& numbers, Encoding encoding) {
  const size_t most = std::max(numbers.max_frame, limits::kMinFrame);
  for (const KeepMessages keep : {KeepMessages::kNewest, KeepMessages::kOldest}) {
    const std::string bytes = EncodeResponseFitted(response, encoding, numbers.max_frame, keep);
    FUZZ_CHECK(bytes.size() <= most);
    const v1::ServerFrame frame = Read(bytes, encoding);
    FUZZ_CHECK(frame.has_response() && frame.seq() == 0 && frame.skipped() == 0);
    const v1::Response& fitted = frame.response();
    if (fitted.has_error() && !response.has_error()) {
      FUZZ_CHECK(fitted.error().code() == v1::INVALID_ARGUMENT);
    } else {
      FUZZ_CHECK(fitted.result_case() == response.result_case());
      if (fitted.has_history()) CheckPage(response.history(), fitted.history(), keep);
    }
  }
}

void CheckTemplates(const v1::ServerFrame& frame, MsgId id) {
  if (frame.has_message()) {
    v1::Message message = frame.message();
    message.set_msg_id(id);
    FUZZ_CHECK(Same(Read(JoinEntry(MessageTemplate(frame.message()), id), Encoding::kProtobuf).message(),
                    message));
  }
  if (frame.has_chat_change()) {
    v1::ChatChange change = frame.chat_change();
    change.set_msg_id(id);
    change.mutable_chat()->set_last_msg_id(id);
    const std::string entry = JoinEntry(ChangeTemplate(frame.chat_change()), id);
    FUZZ_CHECK(Same(Read(entry, Encoding::kProtobuf).chat_change(), change));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 12) return 0;
  Numbers numbers;
  uint16_t max_frame = 0;
  std::memcpy(&max_frame, data, 2);
  std::memcpy(&numbers.skipped, data + 2, 2);
  std::memcpy(&numbers.seq, data + 4, 8);
  numbers.max_frame = max_frame;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 12, size - 12);

  // Whatever an entry holds, its frame is within the bound; no more can be asked of damaged ones.
  const pb::LogSilencer silence;
  const size_t most = std::max(numbers.max_frame, limits::kMinFrame);
  for (const Encoding encoding : {Encoding::kProtobuf, Encoding::kJson}) {
    FUZZ_CHECK(EncodeEntryFitted(bytes, numbers.seq, numbers.skipped, encoding, numbers.max_frame)
                   .size() <= most);
  }
  v1::ServerFrame frame;
  if (!frame.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return 0;
  frame.DiscardUnknownFields();
  for (const Encoding encoding : {Encoding::kProtobuf, Encoding::kJson}) {
    CheckEntry(frame, numbers, encoding);
    FUZZ_CHECK(EncodeFitted(frame, encoding, numbers.max_frame).size() <= most);
    if (frame.has_response()) CheckResponse(frame.response(), numbers, encoding);
  }
  CheckTemplates(frame, numbers.seq);
  return 0;
}
