// Frames for devices that cannot take everything: cutting texts and shortening lists.
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <initializer_list>
#include <type_traits>
#include <vector>

#include "common/wire/codec.h"
#include "common/wire/limits.h"

namespace nightjar {
namespace {

namespace pb = google::protobuf;
using pb::FieldDescriptor;

// How a frame is printed. Bare JSON leaves out fields with default values: where room is that
// scarce, names are worth more than they.
enum class Form { kProtobuf, kJson, kBareJson };

std::string Print(const pb::Message& message, Form form) {
  if (form == Form::kProtobuf) return message.SerializeAsString();
  pb::util::JsonPrintOptions options;
  options.always_print_primitive_fields = form == Form::kJson;
  std::string json;
  if (!pb::util::MessageToJsonString(message, &json, options).ok()) json = "{}";
  return json;
}

size_t SizeOf(const pb::Message& message, Form form) {
  return form == Form::kProtobuf ? message.ByteSizeLong() : Print(message, form).size();
}

// A frame on its way to fitting into `most` bytes.
struct Fitting {
  Fitting(Encoding encoding, uint32_t max_frame)
      : form(encoding == Encoding::kJson ? Form::kJson : Form::kProtobuf),
        most(std::max(max_frame, limits::kMinFrame)) {}

  size_t Size() const { return SizeOf(frame, form); }
  bool Fits() const { return Size() <= most; }
  // Bare JSON is the next thing to try.
  bool FitsBare() {
    if (Fits()) return true;
    if (form == Form::kJson) form = Form::kBareJson;
    return Fits();
  }
  std::string Print() const { return nightjar::Print(frame, form); }

  v1::ServerFrame frame;
  Form form;
  const size_t most;
};

bool IsCharacterStart(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

// The longest prefix of `text` of at most `size` bytes that ends between characters.
std::string_view Prefix(std::string_view text, size_t size) {
  if (size >= text.size()) return text;
  while (size > 0 && !IsCharacterStart(text[size])) --size;
  return text.substr(0, size);
}

// Shortens message.text, which is inside the frame, as far as needed. The encoded size grows with
// the text, so the cut is searched by halving.
void CutText(v1::Message& message, const Fitting& fit) {
  if (message.text().empty()) return;
  const std::string text = message.text();
  message.set_truncated(true);
  message.clear_text();
  const size_t bare = fit.Size();
  if (bare >= fit.most) return;
  size_t fits = 0;
  size_t above =
      std::min(text.size(), fit.most - bare) + 1;  // a byte of text takes at least a byte
  while (above - fits > 1) {
    const size_t middle = fits + (above - fits) / 2;
    message.set_text(std::string(Prefix(text, middle)));
    (fit.Fits() ? fits : above) = middle;
  }
  message.set_text(std::string(Prefix(text, fits)));
}

// Which chat, which message and which place in the inbox a frame is about is not given up: without
// these it helps nobody, and a sequence without gaps would hide that. Well-formed ones always fit.
bool IsIdentity(const FieldDescriptor* field) {
  static constexpr std::string_view kIdentities[] = {"chat_id", "msg_id", "request_id"};
  return std::find(std::begin(kIdentities), std::end(kIdentities), field->name()) !=
         std::end(kIdentities);
}

bool IsName(const FieldDescriptor* field) {
  static constexpr std::string_view kNames[] = {"author", "device", "by", "uid", "created_by"};
  return std::find(std::begin(kNames), std::end(kNames), field->name()) != std::end(kNames);
}

// Numbers that a device can do without, or finds elsewhere. Not last_msg_id, by which it asks for
// the next page of its chats.
bool IsSpareNumber(const FieldDescriptor* field) {
  static constexpr std::string_view kNumbers[] = {"nightjar.v1.Message.client_msg_id",
                                                  "nightjar.v1.Chat.created_ms",
                                                  "nightjar.v1.Chat.member_count"};
  return std::find(std::begin(kNumbers), std::end(kNumbers), field->full_name()) !=
         std::end(kNumbers);
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
enum class Kind { kContent, kSpareNumber, kName, kIdentity };

// The field of most bytes of this kind anywhere in `message`.
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
      FindLongest(reflection->MutableMessage(message, field), kind, longest);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      const Kind is = IsIdentity(field) ? Kind::kIdentity
                      : IsName(field)   ? Kind::kName
                                        : Kind::kContent;
      if (is != kind) continue;
      longest.Offer(message, field, reflection->GetString(*message, field).size());
    } else if (kind == Kind::kSpareNumber && IsSpareNumber(field)) {
      longest.Offer(message, field, 1);
    }
  }
}

// Empties fields inside `part`, which is inside the frame, until it fits. False if that is not
// enough.
bool EmptyFields(pb::Message& part, Fitting& fit,
                 std::initializer_list<Kind> kinds = {Kind::kContent, Kind::kSpareNumber,
                                                      Kind::kName}) {
  for (const Kind kind : kinds) {
    while (!fit.Fits()) {
      Longest longest;
      FindLongest(&part, kind, longest);
      if (longest.field == nullptr) break;
      longest.owner->GetReflection()->ClearField(longest.owner, longest.field);
    }
    if (fit.FitsBare()) return true;
  }
  return false;
}

// How many items, from the first or from the last on, take at most `room` bytes. Looks at no more
// items than that, so that a long page costs what its frame can hold.
template <typename Items>
int CountFitting(const Items& items, bool from_last, Form form, size_t room) {
  size_t used = 0;
  for (int i = 0; i < items.size(); ++i) {
    const auto& item = items.Get(from_last ? items.size() - 1 - i : i);
    size_t size = 0;
    if constexpr (std::is_same_v<std::decay_t<decltype(item)>, std::string>) {
      // A JSON string is measured inside a message, for its escapes: {"uids":["..."],"more":false}
      v1::MemberList one;
      const size_t around = SizeOf(one, form);
      one.add_uids(item);
      size = SizeOf(one, form) - around + (form == Form::kProtobuf ? 0 : 1);
    } else {
      size = SizeOf(item, form);
      // A comma; or the tag and the length.
      size += form == Form::kProtobuf ? 1 + (size < 128 ? 1 : size < 16384 ? 2 : 3) : 1;
    }
    used += size;
    if (used > room) return i;
  }
  return items.size();
}

// Tag-and-length growth of the messages around a list, in protobuf; JSON has none.
constexpr size_t kFrameSlack = 16;

// Leaves of `items`, which are inside the frame, what fits, at least one; true if any had to go.
template <typename Items>
bool Shorten(Items& items, bool keep_last, const Fitting& fit) {
  Items all;
  all.Swap(&items);
  const size_t around = fit.Size() + kFrameSlack;
  const size_t room = fit.most > around ? fit.most - around : 0;
  int count = CountFitting(all, keep_last, fit.form, room);
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
bool CutItem(v1::Message& message, Fitting& fit) {
  if (fit.Fits()) return true;
  CutText(message, fit);
  if (fit.Fits()) return true;
  message.set_truncated(true);
  return EmptyFields(message, fit);
}

bool FitView(v1::ChatView& view, Fitting& fit) {
  pb::RepeatedPtrField<v1::Message> messages;
  messages.Swap(view.mutable_messages());
  for (int step = 0; step < 3 && fit.Size() > fit.most / 2; ++step) {
    if (step == 0) view.clear_presence();
    if (step == 1) view.clear_delivered();
    if (step == 2 && view.has_chat()) view.mutable_chat()->clear_members();
  }
  messages.Swap(view.mutable_messages());
  if (Shorten(*view.mutable_messages(), true, fit)) view.set_more(true);
  if (fit.Fits()) return true;
  if (view.messages_size() == 1 && CutItem(*view.mutable_messages(0), fit)) return true;
  return EmptyFields(*view.mutable_chat(), fit);
}

bool FitHistory(v1::History& history, Fitting& fit, KeepMessages keep) {
  if (Shorten(*history.mutable_messages(), keep == KeepMessages::kNewest, fit)) {
    history.set_more(true);
  }
  return history.messages_size() != 1 ? fit.FitsBare() : CutItem(*history.mutable_messages(0), fit);
}

bool FitChats(v1::ChatList& chats, Fitting& fit) {
  if (Shorten(*chats.mutable_chats(), false, fit)) chats.set_more(true);
  if (fit.Fits()) return true;
  if (chats.chats_size() != 1) return fit.FitsBare();
  v1::ChatSummary& only = *chats.mutable_chats(0);
  only.mutable_chat()->clear_members();
  if (only.has_last_message() && !fit.Fits()) CutText(*only.mutable_last_message(), fit);
  if (EmptyFields(only, fit)) return true;
  only.clear_last_message();  // history has it
  return fit.Fits();
}

// False if the result cannot be made to fit.
bool FitResult(v1::Response& response, Fitting& fit, KeepMessages keep) {
  switch (response.result_case()) {
    case v1::Response::kChatView:
      return FitView(*response.mutable_chat_view(), fit);
    case v1::Response::kHistory:
      return FitHistory(*response.mutable_history(), fit, keep);
    case v1::Response::kChats:
      return FitChats(*response.mutable_chats(), fit);
    case v1::Response::kMembers: {
      v1::MemberList& members = *response.mutable_members();
      if (Shorten(*members.mutable_uids(), false, fit)) members.set_more(true);
      return fit.FitsBare();
    }
    case v1::Response::kChat:
      response.mutable_chat()->clear_members();
      return EmptyFields(*response.mutable_chat(), fit);
    case v1::Response::kError:
      response.mutable_error()->clear_message();
      return fit.FitsBare();
    case v1::Response::kReceipts:
    case v1::Response::kPresence:
    case v1::Response::kIdentity:
    case v1::Response::kDone:
    case v1::Response::RESULT_NOT_SET:
      break;
  }
  return fit.FitsBare();
}

// Why there is no answer. Final: the same question would be answered the same.
const char* TooLarge(v1::Response::ResultCase result) {
  switch (result) {
    case v1::Response::kReceipts:
      return "the answer is larger than max_frame; ask for fewer chats";
    case v1::Response::kPresence:
      return "the answer is larger than max_frame; ask for fewer users";
    default:
      return "the answer is larger than max_frame";
  }
}

void FitBody(Fitting& fit) {
  v1::ServerFrame& frame = fit.frame;
  if (frame.has_message()) CutText(*frame.mutable_message(), fit);
  if (frame.has_delivered()) {
    (void)Shorten(*frame.mutable_delivered()->mutable_marks(), false, fit);
    if (fit.FitsBare()) return;
  }
  if (fit.Fits()) return;
  if (frame.has_message()) frame.mutable_message()->set_truncated(true);
  const pb::Reflection* reflection = frame.GetReflection();
  const FieldDescriptor* body = reflection->GetOneofFieldDescriptor(
      frame, v1::ServerFrame::descriptor()->FindOneofByName("body"));
  if (body == nullptr) return;
  pb::Message& inside = *reflection->MutableMessage(&frame, body);
  if (EmptyFields(inside, fit)) return;
  // Not reached by frames of this protocol; the bound holds all the same.
  if (!EmptyFields(inside, fit, {Kind::kIdentity})) frame.clear_body();
}

}  // namespace

std::string EncodeFitted(const v1::ServerFrame& frame, Encoding encoding, uint32_t max_frame) {
  Fitting fit(encoding, max_frame);
  std::string bytes = Encode(frame, encoding);
  if (bytes.size() <= fit.most) return bytes;
  if (frame.has_response()) return EncodeResponseFitted(frame.response(), encoding, max_frame);
  fit.frame = frame;
  FitBody(fit);
  return fit.Print();
}

std::string EncodeEntryFitted(std::string_view entry, uint64_t seq, uint32_t skipped,
                              Encoding encoding, uint32_t max_frame) {
  Fitting fit(encoding, max_frame);
  std::string bytes = EncodeEntry(entry, seq, skipped, encoding);
  if (bytes.size() <= fit.most) return bytes;
  const pb::LogSilencer silence;
  // An entry that does not decode is our own damage; the sequence goes on without it.
  if (!fit.frame.ParseFromArray(entry.data(), static_cast<int>(entry.size()))) {
    fit.frame.clear_body();
  }
  fit.frame.DiscardUnknownFields();
  fit.frame.set_seq(seq);
  fit.frame.set_skipped(skipped);
  if (!fit.Fits()) FitBody(fit);
  return fit.Print();
}

std::string EncodeResponseFitted(v1::Response response, Encoding encoding, uint32_t max_frame,
                                 KeepMessages keep) {
  Fitting fit(encoding, max_frame);
  v1::Response& inside = *fit.frame.mutable_response();
  inside = std::move(response);
  std::string bytes;
  // A page far beyond the frame is not encoded just to see that: its wire size says enough, because
  // JSON is never shorter.
  if (inside.ByteSizeLong() <= fit.most) bytes = fit.Print();
  if (!bytes.empty() && bytes.size() <= fit.most) return bytes;
  const auto result = inside.result_case();
  if (!FitResult(inside, fit, keep)) {
    v1::Error& error = *inside.mutable_error();
    if (result != v1::Response::kError) {
      error.set_code(v1::INVALID_ARGUMENT);
      error.set_message(TooLarge(result));
    }
    // A request id of many escapes leaves no room for itself.
    if (!fit.FitsBare()) error.clear_message();
    if (!fit.Fits()) inside.clear_request_id();
  }
  return fit.Print();
}

}  // namespace nightjar
