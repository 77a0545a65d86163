#include "client-sim/device/device.h"

#include <iterator>
#include <utility>

namespace nightjar::client {
namespace {
constexpr int64_t kFirstWaitMs = 200;
constexpr int64_t kMostWaitMs = 5'000;
}  // namespace

Device::Device(std::string uid, std::string device, std::unique_ptr<Link> link, uint64_t seed)
    : brain_(std::move(uid), std::move(device)),
      link_(std::move(link)),
      backoff_(kFirstWaitMs, kMostWaitMs, seed) {}

void Device::GoOnline(Now now) {
  if (state_ != State::kAway) return;
  backoff_.Reset();
  state_ = State::kWaiting;
  connect_at_ms_ = now.mono_ms;
}

void Device::GoOffline(Now now) {
  if (state_ == State::kAway) return;
  const bool told = state_ == State::kUp;
  link_->Close();
  state_ = State::kAway;
  if (!told) return;
  brain_.Disconnected("left", now, out_);
  Do(pending_);
}

void Device::Step(Now now, std::vector<Happening>& happened) {
  std::move(pending_.begin(), pending_.end(), std::back_inserter(happened));
  pending_.clear();
  if (state_ == State::kWaiting && now.mono_ms >= connect_at_ms_) {
    state_ = State::kConnecting;
    link_->Open();
  }
  link_->Poll(events_);
  for (const auto& event : events_) Take(event, now, happened);
  if (state_ != State::kUp) return;
  brain_.Tick(now, out_);
  Do(happened);
}

void Device::Take(const LinkEvent& event, Now now, std::vector<Happening>& happened) {
  switch (event.kind) {
    case LinkEvent::Kind::kUp:
      if (state_ != State::kConnecting) return;
      state_ = State::kUp;
      brain_.Connected(now, out_);
      return Do(happened);
    case LinkEvent::Kind::kDown:
      if (state_ != State::kConnecting && state_ != State::kUp) return;
      link_->Close();
      state_ = State::kWaiting;
      connect_at_ms_ = now.mono_ms + backoff_.NextMs();
      brain_.Disconnected(event.payload, now, out_);
      return Do(happened);
    case LinkEvent::Kind::kArrived:
      if (state_ != State::kUp) return;
      brain_.Arrived(event.topic, event.payload, now, out_);
      if (brain_.synced()) backoff_.Reset();  // not at connect: it may be refused again right after
      if (out_.replaced) {  // somebody else goes by this client id now: coming back would be a tug
                            // of war
        Do(happened);
        return GoOffline(now);
      }
      return Do(happened);
  }
}

void Device::Do(std::vector<Happening>& happened) {
  for (const auto& filter : out_.subscribe) link_->Subscribe(filter);
  for (const auto& packet : out_.publish) link_->Publish(packet.topic, packet.payload);
  std::move(out_.happened.begin(), out_.happened.end(), std::back_inserter(happened));
  out_ = {};
}

int64_t Device::NextDeadline() const {
  switch (state_) {
    case State::kAway:
    case State::kConnecting:
      return INT64_MAX;
    case State::kWaiting:
      return connect_at_ms_;
    case State::kUp:
      return brain_.NextDeadline();
  }
  return INT64_MAX;
}

}  // namespace nightjar::client
