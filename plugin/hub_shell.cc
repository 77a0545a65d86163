#include "plugin/hub_shell.h"

#include <cstdlib>
#include <utility>

namespace nightjar::plugin {

HubShell::HubShell(size_t capacity, std::function<void()> wake)
    : wake_(std::move(wake)), completions_(capacity) {}

HubShell::~HubShell() { Stop(); }

void HubShell::Attach(std::unique_ptr<hub::Hub> hub) { hub_ = std::move(hub); }

void HubShell::Ask(uint64_t token, hub::Call call) {
  using Kind = hub::Failure::Kind;
  const bool stopped = hub_ == nullptr;
  if (stopped || under_way_ >= completions_.capacity()) {
    // As a reply, later: the core is in the middle of handling what made it ask.
    refused_.push_back({token, stopped ? hub::Failure{Kind::kUnavailable, "the broker is stopping"}
                                       : hub::Failure{Kind::kFull, "too many calls under way"}});
    wake_();
    return;
  }
  ++under_way_;
  hub_->Submit(std::move(call),
               [this, token](hub::Reply reply) { Complete(token, std::move(reply)); });
}

void HubShell::Complete(uint64_t token, hub::Reply reply) {
  // There is room: at most `capacity` calls are under way, and each is answered once.
  if (!completions_.TryPush({token, std::move(reply)})) std::abort();
  wake_();
}

void HubShell::LinkUp(std::vector<std::string> warnings) {
  {
    std::lock_guard lock(link_mutex_);
    link_up_ = true;
    link_warnings_ = std::move(warnings);
  }
  wake_();
}

void HubShell::LinkDown(std::string reason, bool partly) {
  {
    std::lock_guard lock(link_mutex_);
    link_up_ = false;
    link_down_ = core::HubDown{std::move(reason), partly};
  }
  wake_();
}

void HubShell::RelayUp() {
  {
    std::lock_guard lock(link_mutex_);
    relay_up_ = true;
  }
  wake_();
}

void HubShell::Relayed(hub::Relayed what) {
  (void)relayed_.Push(std::move(what));  // what is missed, Drain tells
  wake_();
}

void HubShell::Drained::clear() {
  down.reset();
  up = relay_up = relay_overflow = false;
  relayed.clear();
  warnings.clear();
  replies.clear();
}

void HubShell::Drain(Drained& out) {
  out.clear();
  {
    std::lock_guard lock(link_mutex_);
    out.down = std::exchange(link_down_, std::nullopt);
    out.up = std::exchange(link_up_, false);
    if (out.up) out.warnings.swap(link_warnings_);
    out.relay_up = std::exchange(relay_up_, false);
  }
  completions_.Drain(out.replies);
  under_way_ -= out.replies.size();
  for (auto& reply : refused_) out.replies.push_back(std::move(reply));
  refused_.clear();
  out.relay_overflow = relayed_.Missed();
  out.relay_up |= out.relay_overflow;
  if (relayed_.Take(out.relayed, kRelayedAtOnce)) wake_();
}

void HubShell::Stop() { hub_.reset(); }

}  // namespace nightjar::plugin
