// Frames for devices that cannot take everything: cutting texts and shortening lists.
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <type_traits>
#include <vector>

#include "common/wire/codec.h"
#include "common/wire/limits.h"

namespace nightjar {
namespace {

namespace pb = google::protobuf;
using pb::FieldDescriptor;

std::string ToJson(const pb::Message& message) {
  pb::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string json;
  if (!pb::util::MessageToJsonString(message, &json, options).ok()) json = "{}";
  return json;
}

size_t SizeOf(const pb::Message& message, Encoding encoding) {
  return encoding == Encoding::kProtobuf ? message.ByteSizeLong() : ToJson(message).size();
}

bool IsCharacterStart(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

// The longest prefix of `text` of at most `size` bytes that ends between characters.
std::string_view Prefix(std::string_view text, size_t size) {
  if (size >= text.size()) return text;
  while (size > 0 && !IsCharacterStart(text[size])) --size;
  return text.substr(0, size);
}

// Shortens message.text as far as needed for `whole`, which contains it, to fit. The encoded size
// grows with the text, so the cut is searched by halving.
void CutText(v1::Message& message, const pb::Message& whole, Encoding encoding, size_t most) {
  if (message.text().empty()) return;
  const std::string text = message.text();
  message.set_truncated(true);
  message.clear_text();
  const size_t bare = SizeOf(whole, encoding);
  if (bare >= most) return;
  size_t fits = 0;
  size_t above = std::min(text.size(), most - bare) + 1;  // a byte of text takes at least a byte
  while (above - fits > 1) {
    const size_t middle = fits + (above - fits) / 2;
    message.set_text(std::string(Prefix(text, middle)));
    (SizeOf(whole, encoding) <= most ? fits : above) = middle;
  }
  message.set_text(std::string(Prefix(text, fits)));
}

// Names go last: a frame that does not say which chat it is of helps nobody.
bool IsName(const FieldDescriptor* field) {
  static constexpr std::string_view kNames[] = {"chat_id", "author", "device", "by", "uid",
                                                "request_id", "created_by"};
  return std::find(std::begin(kNames), std::end(kNames), field->name()) != std::end(kNames);
}

struct Longest {
  pb::Message* owner = nullptr;
  const FieldDescriptor* field = nullptr;
  size_t size = 0;

  void Offer(pb::Message* message, const FieldDescriptor* candidate, size_t bytes) {
    if (bytes > size) *this = {message, candidate, bytes};
  }
};

// What EmptyFields empties, in this order.
enum class Kind { kContent, kName, kInner };

// The field of most bytes anywhere in `message`: a string or list (among names or among the rest), or
// a message inside.
void FindLongest(pb::Message* message, Kind kind, Longest& longest) {
  const pb::Reflection* reflection = message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->is_repeated()) {
      size_t bytes = 0;
      for (int i = 0; i < reflection->FieldSize(*message, field); ++i) {
        if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
          bytes += 2 + reflection->GetRepeatedString(*message, field, i).size();
        } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
          bytes += 2 + reflection->GetRepeatedMessage(*message, field, i).ByteSizeLong();
        }
      }
      if (kind == Kind::kContent) longest.Offer(message, field, bytes);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      pb::Message* inner = reflection->MutableMessage(message, field);
      FindLongest(inner, kind, longest);
      if (kind == Kind::kInner) longest.Offer(message, field, 1 + inner->ByteSizeLong());
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING &&
               kind == (IsName(field) ? Kind::kName : Kind::kContent)) {
      longest.Offer(message, field, reflection->GetString(*message, field).size());
    }
  }
}

// Empties fields inside `part` until `whole`, which contains it, fits. False if that is not enough.
bool EmptyFields(pb::Message& part, const pb::Message& whole, Encoding encoding, size_t most) {
  for (const Kind kind : {Kind::kContent, Kind::kName, Kind::kInner}) {
    while (true) {
      if (SizeOf(whole, encoding) <= most) return true;
      Longest longest;
      FindLongest(&part, kind, longest);
      if (longest.field == nullptr) break;
      longest.owner->GetReflection()->ClearField(longest.owner, longest.field);
    }
  }
  return SizeOf(whole, encoding) <= most;
}

// How many items, from the first or from the last on, take at most `room` bytes. Looks at no more
// items than that, so that a long page costs what its frame can hold.
template <typename Items>
int CountFitting(const Items& items, bool from_last, Encoding encoding, size_t room) {
  size_t used = 0;
  for (int i = 0; i < items.size(); ++i) {
    const auto& item = items.Get(from_last ? items.size() - 1 - i : i);
    size_t size = 0;
    if constexpr (std::is_same_v<std::decay_t<decltype(item)>, std::string>) {
      // A JSON string is measured inside a message, for its escapes: {"uids":["..."],"more":false}
      v1::MemberList one;
      const size_t around = SizeOf(one, encoding);
      one.add_uids(item);
      size = SizeOf(one, encoding) - around + (encoding == Encoding::kJson ? 1 : 0);
    } else {
      size = SizeOf(item, encoding);
      // A comma; or the tag and the length.
      size += encoding == Encoding::kJson ? 1 : 1 + (size < 128 ? 1 : size < 16384 ? 2 : 3);
    }
    used += size;
    if (used > room) return i;
  }
  return items.size();
}

// Tag-and-length growth of the messages around a list, in protobuf; JSON has none.
constexpr size_t kFrameSlack = 16;

// Leaves of `items` what fits into the frame, at least one; true if any had to go. REQUIRES: `items` is inside `frame`.
template <typename Items>
bool Shorten(Items& items, bool keep_last, const v1::ServerFrame& frame, Encoding encoding,
             size_t most) {
  Items all;
  all.Swap(&items);
  const size_t around = SizeOf(frame, encoding) + kFrameSlack;
  const size_t room = most > around ? most - around : 0;
  int count = CountFitting(all, keep_last, encoding, room);
  count = std::max(count, std::min(1, all.size()));
  const bool shortened = count < all.size();
  if (keep_last) {
    all.DeleteSubrange(0, all.size() - count);
  } else {
    all.DeleteSubrange(count, all.size() - count);
  }
  items.Swap(&all);
  return shortened;
}

// Makes the frame of one last item fit by cutting the item.
bool CutItem(v1::Message& message, const v1::ServerFrame& frame, Encoding encoding, size_t most) {
  if (SizeOf(frame, encoding) <= most) return true;
  CutText(message, frame, encoding, most);
  if (SizeOf(frame, encoding) <= most) return true;
  message.set_truncated(true);
  return EmptyFields(message, frame, encoding, most);
}

bool FitView(v1::ChatView& view, const v1::ServerFrame& frame, Encoding encoding, size_t most) {
  pb::RepeatedPtrField<v1::Message> messages;
  messages.Swap(view.mutable_messages());
  for (int step = 0; step < 3 && SizeOf(frame, encoding) > most / 2; ++step) {
    if (step == 0) view.clear_presence();
    if (step == 1) view.clear_delivered();
    if (step == 2 && view.has_chat()) view.mutable_chat()->clear_members();
  }
  messages.Swap(view.mutable_messages());
  if (Shorten(*view.mutable_messages(), true, frame, encoding, most)) view.set_more(true);
  if (SizeOf(frame, encoding) <= most) return true;
  if (view.messages_size() == 1) {
    if (CutItem(*view.mutable_messages(0), frame, encoding, most)) return true;
  }
  return EmptyFields(*view.mutable_chat(), frame, encoding, most);
}

bool FitHistory(v1::History& history, const v1::ServerFrame& frame, Encoding encoding, size_t most,
                KeepMessages keep) {
  if (Shorten(*history.mutable_messages(), keep == KeepMessages::kNewest, frame, encoding, most)) {
    history.set_more(true);
  }
  return history.messages_size() != 1
             ? SizeOf(frame, encoding) <= most
             : CutItem(*history.mutable_messages(0), frame, encoding, most);
}

bool FitChats(v1::ChatList& chats, const v1::ServerFrame& frame, Encoding encoding, size_t most) {
  if (Shorten(*chats.mutable_chats(), false, frame, encoding, most)) chats.set_more(true);
  if (SizeOf(frame, encoding) <= most) return true;
  if (chats.chats_size() != 1) return false;
  v1::ChatSummary& only = *chats.mutable_chats(0);
  only.mutable_chat()->clear_members();
  if (only.has_last_message() && SizeOf(frame, encoding) > most) {
    CutText(*only.mutable_last_message(), frame, encoding, most);
  }
  return EmptyFields(only, frame, encoding, most);
}

// False if the result cannot be made to fit.
bool FitResult(v1::Response& response, const v1::ServerFrame& frame, Encoding encoding, size_t most,
               KeepMessages keep) {
  switch (response.result_case()) {
    case v1::Response::kChatView:
      return FitView(*response.mutable_chat_view(), frame, encoding, most);
    case v1::Response::kHistory:
      return FitHistory(*response.mutable_history(), frame, encoding, most, keep);
    case v1::Response::kChats:
      return FitChats(*response.mutable_chats(), frame, encoding, most);
    case v1::Response::kMembers: {
      v1::MemberList& members = *response.mutable_members();
      if (Shorten(*members.mutable_uids(), false, frame, encoding, most)) members.set_more(true);
      return SizeOf(frame, encoding) <= most;
    }
    case v1::Response::kChat:
      response.mutable_chat()->clear_members();
      return EmptyFields(*response.mutable_chat(), frame, encoding, most);
    case v1::Response::kError:
      response.mutable_error()->clear_message();
      return SizeOf(frame, encoding) <= most;
    case v1::Response::kReceipts:
    case v1::Response::kPresence:
    case v1::Response::kIdentity:
    case v1::Response::kDone:
    case v1::Response::RESULT_NOT_SET: break;
  }
  return false;
}

void FitBody(v1::ServerFrame& frame, Encoding encoding, size_t most) {
  if (frame.has_message()) CutText(*frame.mutable_message(), frame, encoding, most);
  if (frame.has_delivered()) {
    (void)Shorten(*frame.mutable_delivered()->mutable_marks(), false, frame, encoding, most);
  }
  if (SizeOf(frame, encoding) <= most) return;
  if (frame.has_message()) frame.mutable_message()->set_truncated(true);
  const pb::Reflection* reflection = frame.GetReflection();
  const FieldDescriptor* body = reflection->GetOneofFieldDescriptor(
      frame, v1::ServerFrame::descriptor()->FindOneofByName("body"));
  if (body == nullptr) return;
  if (!EmptyFields(*reflection->MutableMessage(&frame, body), frame, encoding, most)) {
    frame.clear_body();  // not reached by frames of this protocol; the bound holds all the same
  }
}

}  // namespace

std::string EncodeFitted(const v1::ServerFrame& frame, Encoding encoding, uint32_t max_frame) {
  const size_t most = std::max(max_frame, limits::kMinFrame);
  std::string bytes = Encode(frame, encoding);
  if (bytes.size() <= most) return bytes;
  if (frame.has_response()) return EncodeResponseFitted(frame.response(), encoding, max_frame);
  v1::ServerFrame fitted = frame;
  FitBody(fitted, encoding, most);
  return Encode(fitted, encoding);
}

std::string EncodeEntryFitted(std::string_view entry, uint64_t seq, uint32_t skipped,
                              Encoding encoding, uint32_t max_frame) {
  const size_t most = std::max(max_frame, limits::kMinFrame);
  std::string bytes = EncodeEntry(entry, seq, skipped, encoding);
  if (bytes.size() <= most) return bytes;
  v1::ServerFrame frame;
  const pb::LogSilencer silence;
  // An entry that does not decode is our own damage; the sequence goes on without it.
  if (!frame.ParseFromArray(entry.data(), static_cast<int>(entry.size()))) frame.clear_body();
  frame.DiscardUnknownFields();
  frame.set_seq(seq);
  frame.set_skipped(skipped);
  if (SizeOf(frame, encoding) > most) FitBody(frame, encoding, most);
  return Encode(frame, encoding);
}

std::string EncodeResponseFitted(v1::Response response, Encoding encoding, uint32_t max_frame,
                                 KeepMessages keep) {
  const size_t most = std::max(max_frame, limits::kMinFrame);
  v1::ServerFrame frame;
  *frame.mutable_response() = std::move(response);
  v1::Response& inside = *frame.mutable_response();
  std::string bytes;
  // A page far beyond the frame is not encoded just to see that: its wire size says enough, because
  // JSON is never shorter.
  if (inside.ByteSizeLong() <= most) bytes = Encode(frame, encoding);
  if (!bytes.empty() && bytes.size() <= most) return bytes;
  if (!FitResult(inside, frame, encoding, most, keep)) {
    const bool was_error = inside.has_error();
    v1::Error& error = *inside.mutable_error();
    if (!was_error) {
      error.set_code(v1::RESOURCE_EXHAUSTED);
      error.set_message("the answer is larger than max_frame; ask for less");
    }
    // A request id of many escapes leaves no room for itself.
    if (SizeOf(frame, encoding) > most) error.clear_message();
    if (SizeOf(frame, encoding) > most) inside.clear_request_id();
  }
  return Encode(frame, encoding);
}

}  // namespace nightjar
