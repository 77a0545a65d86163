// What a persister shows to brokers: a token it signs itself for each connection, or one from a
// file.
//
// Threads: immutable; any thread.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/mqtt/client.h"

namespace nightjar::persist {

// The user that persisters connect as. Clients are "svc.persister:<id>".
inline constexpr char kServiceUser[] = "svc.persister";

struct TokenSource {
  std::string key_file;    // signs with its first HS256 key...
  std::string token_file;  // ...or shows what stands in this file, read anew at every connect
};

// A token for an hour, to be renewed well before; kUnavailable or kInvalidArgument with the file's
// name if there is none. `device`: the persister's id.
Result<mqtt::Credentials> ServiceCredentials(const TokenSource& source, const std::string& device);

}  // namespace nightjar::persist
