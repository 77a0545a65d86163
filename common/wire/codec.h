// Frames in both encodings. Bytes from outside are bounded and checked here and nowhere else:
// a decoded frame has valid UTF-8, sizes within the protocol's limits, and nothing half-read.
//
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/wire/msg_id.h"
#include "common/wire/topics.h"
#include "nightjar/v1/client.pb.h"

namespace nightjar {

// JSON if the first byte after white space is '{'.
Encoding DetectEncoding(std::string_view payload);

// kInvalidArgument with a reason fit for a client if the payload is no such message. These check
// form only (well-formed, valid UTF-8, bounded nesting); limits of content are the Validate functions.
Result<v1::Send> DecodeSend(std::string_view payload);
Result<v1::Ack> DecodeAck(std::string_view payload);
Result<v1::Request> DecodeRequest(std::string_view payload);

// client_msg_id of a payload that could not be decoded as a Send, as far as it can be read; else 0.
uint64_t SalvageClientMsgId(std::string_view payload);
// Likewise request_id; else empty.
std::string SalvageRequestId(std::string_view payload);

// Limits and shapes that need no state: lengths, uids, chat ids, counts. kOk or kInvalidArgument.
Status ValidateSend(const v1::Send& send);
Status ValidateRequest(const v1::Request& request);

// A frame for a client. JSON prints 64-bit integers as strings and fields with default values (except
// in a oneof), names in lowerCamelCase.
std::string Encode(const v1::ServerFrame& frame, Encoding encoding);
std::string Encode(const v1::Presence& presence, Encoding encoding);

// The hot path: a stored entry (a serialized ServerFrame without seq and skipped) with both put in
// front; no decoding for protobuf.
std::string EncodeEntry(std::string_view entry, uint64_t seq, uint32_t skipped, Encoding encoding);

// All Fitted functions: never more than max(max_frame, limits::kMinFrame) bytes, whatever goes in.

// As EncodeEntry, but fitted: a text that is too long is cut at a character and `truncated` is set;
// what is still too long loses its other fields after that, longest first: those that say something
// before those that name something (author, device, ...). seq, skipped, msg_id and chat_id stay. JSON
// leaves out fields with default values before it gives up names. Without decoding if it fits as it is.
std::string EncodeEntryFitted(std::string_view entry, uint64_t seq, uint32_t skipped,
                              Encoding encoding, uint32_t max_frame);
// The same for a frame that is no stored entry (notice, rejected, delivered, ...). Marks of a
// `delivered` are dropped from its end: they are hints, and `receipts` has them all.
std::string EncodeFitted(const v1::ServerFrame& frame, Encoding encoding, uint32_t max_frame);

// Which messages of a history page stay when they do not all fit. Paging goes on from the other end,
// so the answer to a request with only `after_msg_id` keeps the oldest; every other the newest.
enum class KeepMessages { kNewest, kOldest };

// A response as a frame with seq 0, fitted: messages (of a chat_view always the newest kept), chats
// and members are shortened with `more` set, to no less than one; one that is too large by itself is
// cut like an entry. A chat_view gives up presence, delivered and chat.members, in this order, where
// they would take more than half of the frame; each has a request of its own. What has no `more`
// (receipts, presence) or cannot be shortened further becomes a final error (kInvalidArgument).
std::string EncodeResponseFitted(v1::Response response, Encoding encoding, uint32_t max_frame,
                                 KeepMessages keep = KeepMessages::kNewest);

// `message` without msg_id (it is ignored). Two parts.
EntryTemplate MessageTemplate(const v1::Message& message);
// `change` without msg_id and chat.last_msg_id (both become the new id). Three parts.
EntryTemplate ChangeTemplate(const v1::ChatChange& change);
std::string JoinEntry(const EntryTemplate& parts, MsgId id);

}  // namespace nightjar
