#include "plugin/core/replies.h"

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "common/hub/keys.h"
#include "plugin/core/clearing.h"
#include "plugin/core/deliver.h"
#include "plugin/core/drain.h"
#include "plugin/core/fan_out.h"
#include "plugin/core/leases.h"
#include "plugin/core/login.h"
#include "plugin/core/membership.h"
#include "plugin/core/presence.h"
#include "plugin/core/requests.h"
#include "plugin/core/send.h"
#include "plugin/core/session_line.h"
#include "plugin/core/sweep.h"
#include "plugin/core/tell.h"
#include "plugin/core/watch.h"

namespace nightjar::core::replies {
namespace {

// Entries may be in inboxes that no reply told of.
void LookAll(State& s) {
  fan_out::Suspect(s);
  sweep::All(s);
}

void Spread(State& s, const FreshEntry& entry) {
  deliver::Fresh(s, entry);
  if (entry.task) fan_out::Poke(s, entry.chat);
  if (entry.look_all) LookAll(s);
}

struct OnReply {
  State& s;
  hub::Reply& reply;

  void operator()(PendingSend& pending) const {
    send::Outcome outcome = send::OnReply(s, pending, reply);
    outcome.entry.look_all |= outcome.look_all;
    Spread(s, outcome.entry);
    if (!outcome.look.empty()) sweep::Some(s, outcome.look);
  }
  void operator()(PendingLogin& pending) const {
    const login::Outcome outcome = login::OnReply(s, pending, reply);
    if (outcome.fenced) membership::BeatNow(s);
    if (outcome.replaced != nullptr) login::Replace(s, *outcome.replaced);
    if (outcome.session == nullptr) return;
    presence::DeviceUp(s, *outcome.session, outcome.online);
    deliver::CatchUp(s, *outcome.session);
  }
  void operator()(PendingLogout& pending) const {
    if (pending.run == 0) {
      --s.logouts;
      session_line::Answered(s);
    }
    const auto* done = std::get_if<hub::LogoutReply>(&reply);
    const bool others = hub::keys::BrokerId(pending.call.broker) != s.config.broker_id;
    if (done != nullptr && others) {
      if (clearing::GraceOver(s) && presence::SetOffline(s, pending, *done)) {
        return;  // ended when that is answered
      }
    } else if (done != nullptr && (pending.run != 0 || pending.call.broker == s.broker)) {
      presence::DeviceDown(s, pending.call, *done);
    }
    Ended(pending.run, done != nullptr);
  }
  void operator()(PendingTail& pending) const {
    const bool done = std::holds_alternative<hub::Done>(reply);
    Ended(pending.run, pending.run != 0 ? done : presence::OnTail(s, pending.uid, done));
  }
  void Ended(uint64_t run, bool done) const {
    if (run != 0) {
      clearing::OnEnded(s, run, done);
    } else if (!done) {
      clearing::Want(s);
    }
  }
  void operator()(PendingRead& pending) const {
    if (!deliver::OnRead(s, pending, reply)) {
      login::Again(s, *s.directory.Find(pending.session));
    }
  }
  void operator()(PendingReadAcked& pending) const {
    Act(s, pending.session, receipts::OnReadAcked(s, pending, reply));
  }
  void operator()(PendingAck& pending) const {
    Act(s, pending.session, receipts::OnAckReply(s, pending, reply));
  }
  void operator()(PendingHeads& pending) const {
    for (const sweep::Finding& finding : sweep::OnHeads(s, pending, reply)) {
      Session& session = *s.directory.Find(finding.session);
      if (finding.elsewhere) {
        login::Replace(s, session);
      } else if (finding.anew) {
        login::Again(s, session);
      } else {
        deliver::SawHead(s, session, finding.head);
      }
    }
  }
  void operator()(PendingSetPresence& pending) const {
    const hub::PresenceState* state = presence::OnSet(s, pending, reply);
    if (state != nullptr) watch::OnSet(s, *state, pending.words);
    if (pending.run == 0) return session_line::Answered(s);
    clearing::OnEnded(s, pending.run, std::holds_alternative<hub::SetPresenceReply>(reply));
  }
  void operator()(PendingWatch& pending) const { watch::OnWatch(s, pending, reply); }
  void operator()(PendingBeat& pending) const {
    membership::Outcome outcome = membership::OnBeat(s, pending, reply);
    if (outcome.lost) return LoseLife(s);
    if (outcome.changed) fan_out::Share(s);
    if (outcome.began) clearing::Begin(s);
    if (!outcome.clear.empty()) clearing::Take(s, std::move(outcome.clear));
  }
  void operator()(PendingGone&) const { drain::OnGone(s); }
  void operator()(PendingRequest& pending) const {
    Spread(s, requests::OnReply(s, pending, reply));
  }
  void operator()(PendingLease& pending) const { fan_out::OnLease(s, pending, reply); }
  void operator()(PendingTasks& pending) const { fan_out::OnTasks(s, pending, reply); }
  void operator()(PendingTaskMembers& pending) const { fan_out::OnMembers(s, pending, reply); }
  void operator()(PendingAppend& pending) const {
    const fan_out::Outcome outcome = fan_out::OnAppend(s, pending, reply);
    for (const FreshEntry& entry : outcome.entries) Spread(s, entry);
    if (outcome.look_all) LookAll(s);
  }
  void operator()(PendingTrim& pending) const { fan_out::OnTrim(s, pending, reply); }
  void operator()(PendingListSessions& pending) const { clearing::OnList(s, pending, reply); }
  void operator()(PendingFence& pending) const { clearing::OnFenced(s, pending, reply); }
  void operator()(PendingIgnored&) const {}
};

}  // namespace

void Act(State& s, SessionId id, const receipts::Outcome& outcome) {
  Session* session = s.directory.Find(id);
  if (session == nullptr || !session->inbox) return;
  if (outcome.login) return login::Again(s, *session);
  if (outcome.sync) login::TellSync(s, *session);
  if (outcome.rewind) {
    deliver::Rewind(s, *session, *outcome.rewind);
  } else if (outcome.catch_up) {
    deliver::CatchUp(s, *session);
  }
}

void LoseLife(State& s) {
  Log(s, LogLevel::kWarning,
      fmt::format("{} was taken for dead and cleared by another broker; {} sessions are closed",
                  s.broker, s.directory.size()));
  for (auto& [id, session] : s.directory.all()) login::Drop(s, session);
  s.logins.waiting.clear();
  watch::Clear(s);
  presence::Clear(s);
  leases::Forget(s);
  clearing::Forget(s);
  if (s.drain.on) return membership::Leave(s);
  membership::BeginAnew(s);
}

void On(State& s, HubReplied& event) {
  auto node = s.calls.extract(event.token);
  if (!node.empty()) std::visit(OnReply{s, event.reply}, node.mapped());
}

}  // namespace nightjar::core::replies
