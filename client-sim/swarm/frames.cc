#include "client-sim/swarm/frames.h"

#include <algorithm>
#include <cstring>

namespace nightjar::swarm {
namespace {

void PutVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}
void PutNumber(std::string& out, uint32_t field, uint64_t value) {
  if (value == 0) return;
  PutVarint(out, field << 3);
  PutVarint(out, value);
}
void PutBytes(std::string& out, uint32_t field, std::string_view bytes) {
  if (bytes.empty()) return;
  PutVarint(out, field << 3 | 2);
  PutVarint(out, bytes.size());
  out.append(bytes);
}

// Walks the fields of one message.
class Reader {
 public:
  explicit Reader(std::string_view message) : rest_(message) {}

  uint32_t field = 0;
  uint64_t number = 0;     // varint and fixed fields
  std::string_view bytes;  // length-delimited fields

  // False at the end, or if the bytes are malformed (then bad()).
  bool Next() {
    if (rest_.empty() || bad_) return false;
    uint64_t tag = 0;
    if (!Varint(tag)) return Fail();
    field = static_cast<uint32_t>(tag >> 3);
    number = 0;
    bytes = {};
    switch (tag & 7) {
      case 0:
        return Varint(number) || Fail();
      case 1:
        return Fixed(8) || Fail();
      case 2: {
        uint64_t size = 0;
        if (!Varint(size) || size > rest_.size()) return Fail();
        bytes = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return true;
      }
      case 5:
        return Fixed(4) || Fail();
      default:
        return Fail();
    }
  }
  bool bad() const { return bad_; }

 private:
  bool Fail() {
    bad_ = true;
    return false;
  }
  bool Varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return true;
    }
    return false;
  }
  bool Fixed(size_t size) {  // protobuf is little-endian, and so are the machines we run on
    if (rest_.size() < size) return false;
    std::memcpy(&number, rest_.data(), size);
    rest_.remove_prefix(size);
    return true;
  }

  std::string_view rest_;
  bool bad_ = false;
};

template <typename F>
bool Walk(std::string_view bytes, F&& f) {
  Reader reader(bytes);
  while (reader.Next()) f(reader);
  return !reader.bad();
}

bool DecodeBody(uint32_t field, std::string_view bytes, FrameView& frame) {
  using Kind = FrameView::Kind;
  switch (field) {
    case 3:
      frame.kind = Kind::kMessage;
      return Walk(bytes, [&](const Reader& r) {
        if (r.field == 1) frame.msg_id = r.number;
        if (r.field == 2) frame.chat_id = r.bytes;
        if (r.field == 4) frame.text = r.bytes;
      });
    case 4:
      frame.kind = Kind::kAccepted;
      return Walk(bytes, [&](const Reader& r) {
        if (r.field == 1) frame.client_msg_id = r.number;
        if (r.field == 2) frame.msg_id = r.number;
        if (r.field == 3) frame.chat_id = r.bytes;
      });
    case 5: {
      frame.kind = Kind::kDelivered;
      bool good = true;
      good &= Walk(bytes, [&](const Reader& r) {
        if (r.field == 1) frame.chat_id = r.bytes;
        if (r.field != 2) return;
        good &= Walk(r.bytes, [&](const Reader& mark) {
          if (mark.field == 2) frame.msg_id = std::max(frame.msg_id, mark.number);
        });
      });
      return good;
    }
    case 7: {
      frame.kind = Kind::kRejected;
      bool good = true;
      good &= Walk(bytes, [&](const Reader& r) {
        if (r.field == 1) frame.client_msg_id = r.number;
        if (r.field != 2) return;
        good &= Walk(r.bytes, [&](const Reader& error) {
          if (error.field == 1) frame.code = static_cast<uint32_t>(error.number);
          if (error.field == 2) frame.reason = error.bytes;
          if (error.field == 3) frame.retry_after_ms = static_cast<uint32_t>(error.number);
        });
      });
      return good;
    }
    case 9:
      frame.kind = Kind::kSync;
      return Walk(bytes, [&](const Reader& r) {
        if (r.field == 1) frame.epoch = r.number;
        if (r.field == 2) frame.start = r.number;
        if (r.field == 3) frame.head = r.number;
      });
    default:
      frame.kind = Kind::kOther;
      return true;
  }
}

}  // namespace

void EncodeSend(std::string& out, const SendFields& send) {
  PutNumber(out, 1, send.client_msg_id);
  PutBytes(out, 2, send.chat_id);
  PutBytes(out, 3, send.to);
  PutBytes(out, 4, send.text);
  PutNumber(out, 7, send.ack);
  if (send.ack != 0) PutNumber(out, 8, send.epoch);
}

void EncodeAck(std::string& out, uint64_t seq, uint64_t epoch, bool resend) {
  PutNumber(out, 1, seq);
  PutNumber(out, 2, resend ? 1 : 0);
  PutNumber(out, 4, epoch);
}

bool DecodeFrame(std::string_view bytes, FrameView& frame) {
  frame = {};
  bool good = true;
  good &= Walk(bytes, [&](const Reader& r) {
    if (r.field == 1) {
      frame.seq = r.number;
    } else if (r.field == 2) {
      frame.skipped = static_cast<uint32_t>(r.number);
    } else if (r.field >= 3 && r.field <= 10) {
      good &= DecodeBody(r.field, r.bytes, frame);
    }
  });
  return good;
}

}  // namespace nightjar::swarm
