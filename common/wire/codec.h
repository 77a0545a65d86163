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

// As above but at most `max_frame` bytes: a text that does not fit is cut at a character and
// `truncated` is set; other fields that make it too long are emptied after that, longest first.
std::string EncodeEntryFitted(std::string_view entry, uint64_t seq, uint32_t skipped,
                              Encoding encoding, uint32_t max_frame);

// A response within `max_frame`: lists are shortened from the end that paging continues at, with
// `more` set; one item too large by itself is cut like an entry. What cannot be shortened further
// becomes an error response (kResourceExhausted).
std::string EncodeResponseFitted(v1::Response response, Encoding encoding, uint32_t max_frame);

// `message` without msg_id (it is ignored). Two parts.
EntryTemplate MessageTemplate(const v1::Message& message);
// `change` without msg_id and chat.last_msg_id (both become the new id). Three parts.
EntryTemplate ChangeTemplate(const v1::ChatChange& change);
std::string JoinEntry(const EntryTemplate& parts, MsgId id);

}  // namespace nightjar
