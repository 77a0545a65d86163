// A strict look at a JSON payload before protobuf's lenient parser sees it.
//
// protobuf's parser takes single quotes, bare keys, fields given twice and a value for a list, recurses,
// and rounds large numbers; a client must not come to depend on any of that. Here the text is checked against RFC 8259
// and against the message it is meant to be. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <google/protobuf/descriptor.h>

#include "common/base/result.h"

namespace nightjar {

// kInvalidArgument, with a reason fit for a client (it quotes no values), unless `text` is one JSON
// object that is well formed (valid UTF-8, no lone surrogates, nothing after it), at most
// limits::kJsonDepth deep, names no field of `type` twice, gives each a value of its kind (lists as
// lists), and 64-bit integers as strings or as numbers within ±(2^53 - 1).
Status CheckJson(std::string_view text, const google::protobuf::Descriptor* type);

// What can be read of a top-level field before the text goes wrong.
struct JsonField {
  std::optional<uint64_t> number;   // a whole number >= 0, or a string of digits
  std::optional<std::string> text;  // a string
};
JsonField SalvageJsonField(std::string_view text, std::string_view camel_name,
                           std::string_view proto_name);

}  // namespace nightjar
