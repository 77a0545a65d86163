#include "plugin/core/relay.h"

#include <fmt/format.h>

#include <variant>

#include "plugin/core/deliver.h"
#include "plugin/core/fan_out.h"
#include "plugin/core/login.h"
#include "plugin/core/receipts.h"
#include "plugin/core/sweep.h"
#include "plugin/core/tell.h"
#include "plugin/core/watch.h"

namespace nightjar::core::relay {
namespace {

struct On {
  State& s;

  void operator()(const hub::RelayedEntry& entry) const { deliver::OnRelayed(s, entry); }
  void operator()(const hub::RelayedMark& mark) const { receipts::OnRelayed(s, mark); }
  void operator()(const hub::PresenceState& state) const { watch::OnRelayed(s, state); }
  void operator()(const hub::RelayedTask& task) const { fan_out::OnRelayed(s, task); }
  // Numbers of sessions mean something within one life only.
  void operator()(const hub::RelayedKick& kick) const {
    if (kick.broker != s.broker) return;
    Session* session = s.directory.Find(kick.session);
    if (session == nullptr || *session->user->uid != kick.uid || session->device != kick.device) {
      return;
    }
    login::Replace(s, *session);
  }
};

}  // namespace

void OnRelayed(State& s, const hub::Relayed& what) { std::visit(On{s}, what); }

void OnUp(State& s) {
  sweep::All(s);
  watch::All(s);
  fan_out::Suspect(s);
}

}  // namespace nightjar::core::relay
