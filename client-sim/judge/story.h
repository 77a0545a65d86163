// The recent past, to tell the story of a message from: a ring of happenings in a fixed number of
// bytes each, and the faults that were put in. Telling one reads the whole ring; it is done only
// when something broke.
//
// Pure; one owner.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "client-sim/judge/basics.h"

namespace nightjar::client::judge {

struct Event {
  enum class Kind : uint8_t {
    kWrote,     // a: text hash, b: client_msg_id
    kAccepted,  // a: msg_id, b: client_msg_id, extra: tries
    kRefused,   // a: text hash, b: client_msg_id, extra: code
    kPutOff,    // b: client_msg_id, extra: code
    kSaw,       // a: msg_id, b: seq
    kRepeat,    // a: msg_id, b: seq
    kAck,       // b: seq
    kMark,      // a: msg_id, b: number of the user
    kGap,       // a: held, b: seq
    kSynced,    // a: start, b: head, extra: 1 if resync
    kDown,
    kPresence,  // b: number of the user, extra: 1 if online
  };
  int64_t at_ms = 0;
  uint64_t a = 0, b = 0;
  uint32_t device = kNone;
  uint32_t chat = kNone;
  uint16_t extra = 0;
  uint16_t broker = 0;
  Kind kind = Kind::kDown;
};

// What a story is about; kNone and 0 where unknown.
struct Subject {
  uint32_t chat = kNone;
  uint64_t msg_id = 0;
  uint32_t device = kNone;  // that wrote it
  uint64_t client_msg_id = 0;
  uint32_t about_device = kNone;  // whose connections belong to the story
  uint32_t about_user = kNone;    // whose presence belongs to the story
};

class Past {
 public:
  static constexpr size_t kMostLines = 60;
  static constexpr size_t kMostDisturbances = 1000;

  struct Speaker {  // how numbers are called
    std::function<std::string(uint32_t)> device, user;
    std::function<std::string(uint16_t)> broker;
  };
  explicit Past(size_t capacity) : capacity_(capacity) {}

  void Add(const Event& event) {
    if (ring_.size() < capacity_) {
      ring_.push_back(event);
    } else if (capacity_ > 0) {
      ring_[next_] = event;
      next_ = (next_ + 1) % capacity_;
    }
  }
  void Disturbed(int64_t at_ms, std::string what);
  std::string Tell(const Subject& subject, const Speaker& speaker, int64_t began_ms) const;
  // The newest event of a kind from a device for which f is true; nothing if none is left.
  template <typename F>
  const Event* FindLast(Event::Kind kind, F&& f) const {
    for (size_t i = ring_.size(); i-- > 0;) {
      const Event& event = ring_[(next_ + i) % ring_.size()];
      if (event.kind == kind && f(event)) return &event;
    }
    return nullptr;
  }
  size_t bytes() const { return ring_.capacity() * sizeof(Event); }

 private:
  struct Disturbance {
    int64_t at_ms;
    std::string what;
  };
  std::vector<const Event*> Select(const Subject& subject) const;

  size_t capacity_;
  size_t next_ = 0;
  std::vector<Event> ring_;
  std::deque<Disturbance> disturbances_;
};

}  // namespace nightjar::client::judge
