// The frames of the hot path, encoded and decoded by hand: a load generator must cost less than
// what it measures. tests/unit/client_sim checks them against the generated code.
//
// Pure functions; any thread. Decoding is bounds-checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nightjar::swarm {

struct SendFields {
  uint64_t client_msg_id = 0;
  std::string_view chat_id;  // or:
  std::string_view to;
  std::string_view text;
  uint64_t ack = 0, epoch = 0;  // 0: none
};
// Both append to `out`.
void EncodeSend(std::string& out, const SendFields& send);
void EncodeAck(std::string& out, uint64_t seq, uint64_t epoch, bool resend);

struct FrameView {
  enum class Kind { kNone, kMessage, kAccepted, kDelivered, kRejected, kSync, kOther };
  uint64_t seq = 0;
  uint32_t skipped = 0;
  Kind kind = Kind::kNone;
  std::string_view chat_id;
  uint64_t msg_id = 0;                      // message, accepted, delivered (the highest mark)
  std::string_view text;                    // message
  uint64_t client_msg_id = 0;               // accepted, rejected
  uint32_t code = 0, retry_after_ms = 0;    // rejected
  std::string_view reason;                  // rejected
  uint64_t epoch = 0, start = 0, head = 0;  // sync
};
// False if the bytes are no ServerFrame.
bool DecodeFrame(std::string_view bytes, FrameView& frame);

}  // namespace nightjar::swarm
