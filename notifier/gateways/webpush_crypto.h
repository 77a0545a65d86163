// Message encryption for Web Push (RFC 8291): one aes128gcm record (RFC 8188) that only the browser
// can read. Any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.h"

struct evp_pkey_st;

namespace nightjar::notify {

// A body may have 4096 bytes: header 86, padding delimiter 1, tag 16.
inline constexpr size_t kWebPushBody = 4096;
inline constexpr size_t kWebPushPlain = kWebPushBody - 86 - 1 - 16;

// What is thrown anew for each message.
struct EphemeralKey {
  std::shared_ptr<evp_pkey_st> key;  // P-256
  std::string salt;                  // 16 bytes
  static Result<EphemeralKey> Throw();
};

// `p256dh`: the browser's public point, 65 bytes; `auth`: its secret, 16 bytes. kInvalidArgument if
// they are not that (a point beside the curve too), or `plain` is longer than kWebPushPlain.
Result<std::string> EncryptWebPush(std::string_view plain, std::string_view p256dh,
                                   std::string_view auth, const EphemeralKey& ephemeral);

}  // namespace nightjar::notify
