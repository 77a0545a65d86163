#include "common/hub/redis/redis_hub.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <deque>
#include <limits>
#include <mutex>
#include <thread>

#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/hub/redis/decode.h"
#include "common/hub/redis/encode.h"
#include "common/hub/redis/greeting.h"
#include "common/hub/redis/link.h"
#include "common/hub/redis/pending.h"
#include "common/hub/redis/replicas.h"
#include "common/hub/redis/sentinel.h"
#include "common/hub/redis/relay_link.h"

namespace nightjar::hub {
namespace {

constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

uint64_t Seed() {
  return static_cast<uint64_t>(SystemNow().unix_ms) ^ static_cast<uint64_t>(getpid());
}

Failure Unavailable(std::string why) {
  return {Failure::Kind::kUnavailable, std::move(why)};
}

}  // namespace

// Crossing the threads: `incoming` and `refused` under the mutex, and the counters. All else belongs to
// the hub's thread.
struct RedisHub::State {
  State(RedisOptions o, StatusCallback s, RelayHooks r)
      : options(WithFailoverTimes(std::move(o))),
        on_status(std::move(s)),
        hooks(r),
        backoff(options.backoff_first_ms, options.backoff_cap_ms, Seed()),
        relay(options, Hold(std::move(r)), Seed() + 1),
        wake_fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~State() { close(wake_fd); }

  const RedisOptions options;
  const StatusCallback on_status;
  const RelayHooks hooks;

  std::mutex mutex;
  std::vector<Pending> incoming;
  std::vector<Callback> refused;
  bool stopping = false;       // under the mutex: no more calls are taken
  bool wake_pending = false;   // under the mutex: the eventfd is set already
  std::once_flag joined;
  std::thread thread;

  std::atomic<size_t> calls = 0, bytes = 0;
  std::atomic<uint64_t> connects = 0, repeated = 0, wakeups = 0, writes = 0, answered = 0;

  Link link;
  size_t next_sentinel = 0;
  std::optional<AskSentinel> sentinel;  // while the link is to one, which is asked
  RedisAddress master;
  std::optional<Greeting> greeting;  // of the link, from its opening on
  LastLink last;
  std::optional<Encoder> encoder;  // while the link is up
  Backoff backoff;
  RelayLink relay;
  const int wake_fd;
  std::deque<Pending> flying;    // written, in the order of their replies
  std::deque<Pending> waiting;   // to be written; what is to be repeated comes first
  // With durability kReplica: answers of the batch that is under way and what was relayed, until replicas
  // have it.
  std::deque<std::pair<Pending, Reply>> held;
  std::deque<Relayed> relayed;
  size_t relayed_asked = 0;              // of `relayed`, from the front: the batch under way answers for them
  std::optional<ReplicaWatch> replicas;  // while the link is up
  std::string trouble;                   // why a reply ends the connection, if it says less itself
  size_t late = 0;               // of `flying`, from the front: answered as late, the reply still to come
  std::vector<Pending> drained;
  std::string out;
  int64_t now = 0;
  int64_t next_open = 0;
  int64_t written = std::numeric_limits<int64_t>::min() / 2;  // when calls were last written
  int64_t asked = 0;             // when `flying` last became non-empty
  int64_t stop_deadline = kNever;
  bool told_down = false;

  // From any thread.
  void Wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t size = write(wake_fd, &one, sizeof one);
  }

  void Run();
  int64_t GatherLeft() const;
  int PollTimeout() const;
  void TakeIncoming();
  void Answer(Pending& pending, Reply reply);
  void Pump();
  void OpenIfDue();
  void CheckLink();
  void LinkUp();
  void Break(const std::string& why);
  bool OnReply(const redisReply& raw);
  bool OnCallReply(Pending pending, const redisReply& raw);
  bool OnWait(const redisReply& raw);
  bool BatchUnderWay() const { return replicas && !flying.empty(); }
  RelayHooks Hold(RelayHooks to);
  ::nightjar::Status OpenMaster();
  void OnLinkEvents(short revents);
  void Expire();
  void FailAll(const std::string& why);
};

void RedisHub::State::Answer(Pending& pending, Reply reply) {
  if (!pending.done) return;
  Callback done = std::move(pending.done);
  pending.done = nullptr;
  calls.fetch_sub(1, std::memory_order_relaxed);
  bytes.fetch_sub(pending.bytes, std::memory_order_relaxed);
  answered.fetch_add(1, std::memory_order_relaxed);
  done(std::move(reply));
}

void RedisHub::State::TakeIncoming() {
  std::vector<Callback> no;
  drained.clear();
  {
    std::lock_guard lock(mutex);
    wake_pending = false;
    drained.swap(incoming);
    no.swap(refused);
    if (stopping && stop_deadline == kNever) stop_deadline = now + options.drain_ms;
  }
  for (Callback& done : no) {
    done(Failure{Failure::Kind::kFull, "the queue towards Redis is at its bound"});
  }
  for (Pending& pending : drained) waiting.push_back(std::move(pending));
}

// Everything that waits goes out in one write. With replicas to wait for, what comes meanwhile gathers
// for the next batch.
void RedisHub::State::Pump() {
  if (link.state() != Link::State::kUp || BatchUnderWay()) return;
  out.clear();
  if (flying.empty()) asked = now;
  while (!waiting.empty()) {
    Pending pending = std::move(waiting.front());
    waiting.pop_front();
    if (std::optional<Reply> local = encoder->Encode(pending.call, out)) {
      Answer(pending, std::move(*local));
      continue;
    }
    if (pending.sent) repeated.fetch_add(1, std::memory_order_relaxed);
    pending.sent = true;
    flying.push_back(std::move(pending));
  }
  const int64_t quiet = now - link.heard_ms();
  if (flying.empty() && quiet >= options.ping_ms) {
    flying.push_back({.call = Info{}, .done = {}, .kind = Pending::Kind::kPing});
    out.append(kPing);
  }
  if (replicas && (!out.empty() || !relayed.empty())) {
    relayed_asked = relayed.size();
    flying.push_back({.call = Info{}, .done = {}, .kind = Pending::Kind::kRole});
    flying.push_back({.call = Info{}, .done = {}, .kind = Pending::Kind::kWait});
    replicas->AppendCommands(out);
  }
  if (out.empty()) return;
  link.Queue(out);
  written = now;
  writes.fetch_add(1, std::memory_order_relaxed);
  if (const ::nightjar::Status status = link.Flush(); !status.ok()) Break(status.message());
}

bool RedisHub::State::OnReply(const redisReply& raw) {
  if (flying.empty()) return true;  // a reply to nothing; nobody can be misled by it
  if (MeansAway(raw)) {
    flying.front().sent = false;  // refused as a whole: it had no effect
    return false;
  }
  Pending pending = std::move(flying.front());
  flying.pop_front();
  if (late > 0) --late;
  switch (pending.kind) {
    case Pending::Kind::kCall:
      return OnCallReply(std::move(pending), raw);
    case Pending::Kind::kRole:
      if (replicas->OnRole(raw)) return true;
      trouble = replicas->reason();
      return false;
    case Pending::Kind::kWait:
      return OnWait(raw);
    case Pending::Kind::kPing:
      return true;
  }
  return true;
}

bool RedisHub::State::OnCallReply(Pending pending, const redisReply& raw) {
  if (!pending.done) return true;
  Reply reply = Decode(pending.call, raw);
  if (replicas) {
    held.emplace_back(std::move(pending), std::move(reply));
  } else {
    Answer(pending, std::move(reply));
  }
  return true;
}

// False: what the batch did may be lost with this master, so it is told to nobody, and asked again.
bool RedisHub::State::OnWait(const redisReply& raw) {
  if (!replicas->OnWait(raw)) {
    trouble = replicas->reason();
    return false;
  }
  std::deque<std::pair<Pending, Reply>> ready;
  ready.swap(held);
  for (auto& [pending, reply] : ready) Answer(pending, std::move(reply));
  for (; relayed_asked > 0; --relayed_asked) {
    hooks.on_message(std::move(relayed.front()));
    relayed.pop_front();
  }
  return true;
}

// What was relayed has been done by another connection's call, whose WAIT this one knows nothing of. It is
// kept until a batch of this connection's own, written after it came, is with the replicas.
RelayHooks RedisHub::State::Hold(RelayHooks to) {
  if (options.durability != Durability::kReplica || !to.on_message) return to;
  to.on_message = [this](Relayed message) {
    relayed.push_back(std::move(message));
    if (relayed.size() <= options.max_calls) return;
    relayed.clear();  // as if the subscription had been away: the receiver compares heads
    relayed_asked = 0;
    if (hooks.on_state) hooks.on_state(false), hooks.on_state(true);
  };
  to.on_state = [this, told = std::move(to.on_state)](bool up) {
    relayed.clear();
    relayed_asked = 0;
    if (told) told(up);
  };
  return to;
}

void RedisHub::State::OpenIfDue() {
  if (link.state() != Link::State::kClosed || now < next_open) return;
  ::nightjar::Status status;
  if (options.sentinels.empty()) {
    master = AddressOf(options);
    status = OpenMaster();
  } else {  // each time another one: this one may be behind
    sentinel.emplace(options);
    status = link.Open(now, options.sentinels[next_sentinel++ % options.sentinels.size()],
                       options.sentinel_timeout_ms, *sentinel);
  }
  if (!status.ok()) Break(status.message());
}

::nightjar::Status RedisHub::State::OpenMaster() {
  sentinel.reset();
  greeting.emplace(options, last, Text(master));
  return link.Open(now, master, options.connect_timeout_ms, *greeting);
}

void RedisHub::State::OnLinkEvents(short revents) {
  const bool was_up = link.state() == Link::State::kUp;
  ::nightjar::Status status =
      link.OnEvents(revents, now, [this](const redisReply& raw) { return OnReply(raw); });
  if (status.ok() && link.state() == Link::State::kUp && sentinel) {
    master = sentinel->master();
    status = OpenMaster();
  }
  if (!status.ok()) {
    Break(trouble.empty() ? status.message() : std::exchange(trouble, {}));
  } else if (!was_up && link.state() == Link::State::kUp) {
    LinkUp();
  }
}

void RedisHub::State::LinkUp() {
  const ProbeResult& greeted = greeting->result();
  last = greeting->link();
  backoff.Reset();
  encoder.emplace(greeted.info.partitions, greeted.info.epoch, options.journal_max,
                  options.tasks_max, greeting->ids_from_ms());
  if (options.durability == Durability::kReplica) {
    replicas.emplace(options, greeting->in_step(), last.master.asked);
  }
  relay.Follow(master, last.run_id, now);
  connects.fetch_add(1, std::memory_order_relaxed);
  told_down = false;
  if (on_status) {
    on_status({.up = true, .info = greeted.info, .reason = {}, .warnings = greeted.warnings});
  }
}

// The connection is over. What may be repeated goes back to the head of what waits, in its order.
void RedisHub::State::Break(const std::string& why) {
  link.Close();
  sentinel.reset();
  encoder.reset();
  if (replicas) {
    last.master.proven = replicas->proven();
    last.master.asked = replicas->asked();
  }
  replicas.reset();
  relayed_asked = 0;
  late = 0;
  std::deque<Pending> lost;
  lost.swap(flying);
  for (; !held.empty(); held.pop_back()) lost.push_front(std::move(held.back().first));
  for (; !lost.empty(); lost.pop_back()) {
    Pending& pending = lost.back();
    if (pending.done && (!pending.sent || MayRepeat(pending.call))) {
      waiting.push_front(std::move(pending));
    } else if (pending.done) {
      flying.push_front(std::move(pending));  // for the moment: to be failed in order, below
    }
  }
  lost.swap(flying);
  next_open = now + backoff.NextMs();
  if (!told_down) {
    told_down = true;
    if (on_status) on_status({.up = false, .info = {}, .reason = why, .warnings = {}});
  }
  for (Pending& pending : lost) Answer(pending, Unavailable(why));
}

void RedisHub::State::CheckLink() {
  switch (link.state()) {
    case Link::State::kClosed:
      return;
    case Link::State::kConnecting:
    case Link::State::kGreeting:
      if (now >= link.deadline_ms()) Break(link.TooLate().message());
      return;
    case Link::State::kUp:
      if (!flying.empty() && now - std::max(link.heard_ms(), asked) >= options.silence_ms) {
        Break("Redis has been silent for " + std::to_string(options.silence_ms) + " ms");
      }
      return;
  }
}

// Deadlines come in order in both queues (what is repeated is older than what waits behind it).
void RedisHub::State::Expire() {
  for (auto& [pending, reply] : held) {
    if (pending.deadline_ms > now) break;
    Answer(pending, Unavailable("no answer from Redis in time"));
  }
  for (; late < flying.size() &&
         (flying[late].kind != Pending::Kind::kCall || flying[late].deadline_ms <= now);
       ++late) {
    Answer(flying[late], Unavailable("no answer from Redis in time"));
  }
  while (!waiting.empty() && waiting.front().deadline_ms <= now) {
    Pending pending = std::move(waiting.front());
    waiting.pop_front();
    Answer(pending, Unavailable("Redis is away"));
  }
}

void RedisHub::State::FailAll(const std::string& why) {
  TakeIncoming();
  link.Close();
  relay.Stop();
  std::deque<Pending> rest;
  rest.swap(flying);
  for (; !held.empty(); held.pop_back()) rest.push_front(std::move(held.back().first));
  for (Pending& pending : waiting) rest.push_back(std::move(pending));
  waiting.clear();
  for (Pending& pending : rest) Answer(pending, Unavailable(why));
}

// How long calls still gather before the next write; 0: they need not.
int64_t RedisHub::State::GatherLeft() const {
  if (link.state() != Link::State::kUp) return 0;
  return std::max<int64_t>(0, written + options.gather_ms - now);
}

int RedisHub::State::PollTimeout() const {
  int64_t next = std::min({now + options.ping_ms, stop_deadline, relay.DueMs()});
  if (late < flying.size()) next = std::min(next, flying[late].deadline_ms);
  const auto held_one = std::find_if(held.begin(), held.end(),
                                     [](const auto& answer) { return answer.first.done != nullptr; });
  if (held_one != held.end()) next = std::min(next, held_one->first.deadline_ms);
  if (!waiting.empty()) next = std::min(next, waiting.front().deadline_ms);
  switch (link.state()) {
    case Link::State::kClosed:
      next = std::min(next, next_open);
      break;
    case Link::State::kConnecting:
    case Link::State::kGreeting:
      next = std::min(next, link.deadline_ms());
      break;
    case Link::State::kUp:
      next = std::min(next, flying.empty()
                                ? link.heard_ms() + options.ping_ms
                                : std::max(link.heard_ms(), asked) + options.silence_ms);
      break;
  }
  return static_cast<int>(std::clamp<int64_t>(next - now, 0, 60'000));
}

void RedisHub::State::Run() {
  // hiredis writes without MSG_NOSIGNAL: a Redis that has just died is an error here, not a signal.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  while (true) {
    now = SystemNow().mono_ms;
    // While calls gather they stay in `incoming`, and the eventfd, set by the first, is not looked at:
    // the others cost their submitters no system call, and this thread sleeps.
    const int64_t gather = GatherLeft();
    if (gather == 0) TakeIncoming();
    Expire();
    if (stop_deadline != kNever) {
      const bool idle = flying.empty() && waiting.empty();
      if (idle || now >= stop_deadline) break;
    }
    CheckLink();
    OpenIfDue();
    relay.Work(now);
    if (gather == 0) Pump();
    const bool gathering = GatherLeft() > 0;
    // poll passes over what is negative: a link that is closed.
    pollfd fds[3] = {{gathering ? -1 : wake_fd, POLLIN, 0},
                     {link.fd(), link.events(), 0},
                     {relay.fd(), relay.events(), 0}};
    poll(fds, 3, gathering ? static_cast<int>(GatherLeft()) : PollTimeout());
    now = SystemNow().mono_ms;
    if ((fds[0].revents & POLLIN) != 0) {
      uint64_t value = 0;
      [[maybe_unused]] const ssize_t got = read(wake_fd, &value, sizeof value);
      wakeups.fetch_add(1, std::memory_order_relaxed);
    }
    if (fds[1].revents != 0) OnLinkEvents(fds[1].revents);
    if (fds[2].revents != 0) relay.OnEvents(fds[2].revents, now);
  }
  FailAll("the hub is being stopped");
}

RedisHub::RedisHub(RedisOptions options, StatusCallback on_status, RelayHooks relay)
    : state_(std::make_unique<State>(std::move(options), std::move(on_status), std::move(relay))) {
  state_->thread = std::thread([state = state_.get()] { state->Run(); });
}

RedisHub::~RedisHub() { Stop(); }

void RedisHub::Submit(Call call, Callback done) {
  State& s = *state_;
  Pending pending{.call = std::move(call), .done = std::move(done)};
  pending.deadline_ms = SystemNow().mono_ms + s.options.call_timeout_ms;
  pending.bytes = PayloadBytes(pending.call);
  bool wake = false;
  {
    std::unique_lock lock(s.mutex);
    if (s.stopping) {
      lock.unlock();
      pending.done(Unavailable("the hub is stopped"));
      return;
    }
    if (s.calls.load(std::memory_order_relaxed) >= s.options.max_calls ||
        s.bytes.load(std::memory_order_relaxed) + pending.bytes > s.options.max_bytes) {
      s.refused.push_back(std::move(pending.done));
    } else {
      s.calls.fetch_add(1, std::memory_order_relaxed);
      s.bytes.fetch_add(pending.bytes, std::memory_order_relaxed);
      s.incoming.push_back(std::move(pending));
    }
    wake = !std::exchange(s.wake_pending, true);
  }
  if (wake) s.Wake();
}

void RedisHub::Stop() {
  State& s = *state_;
  assert(std::this_thread::get_id() != s.thread.get_id());
  {
    std::lock_guard lock(s.mutex);
    s.stopping = true;
  }
  s.Wake();
  std::call_once(s.joined, [&s] { s.thread.join(); });
}

RedisHub::Stats RedisHub::stats() const {
  const State& s = *state_;
  const RelayLink::Counts relay = s.relay.counts();
  return {.calls = s.calls, .bytes = s.bytes, .connects = s.connects, .repeated = s.repeated,
          .wakeups = s.wakeups, .writes = s.writes, .answered = s.answered,
          .relay_ups = relay.ups, .relayed = relay.relayed, .relay_bad = relay.bad};
}

namespace {

// Opens the link and speaks until its opening is done.
::nightjar::Status Speak(Link& link, const RedisAddress& to, int64_t timeout_ms, Opening& opening) {
  ::nightjar::Status status = link.Open(SystemNow().mono_ms, to, timeout_ms, opening);
  while (status.ok() && link.state() != Link::State::kUp) {
    const int64_t now = SystemNow().mono_ms;
    if (now >= link.deadline_ms()) return link.TooLate();
    pollfd fd{link.fd(), link.events(), 0};
    poll(&fd, 1, static_cast<int>(link.deadline_ms() - now));
    status = link.OnEvents(fd.revents, now, [](const redisReply&) { return true; });
  }
  return status;
}

Result<ProbeResult> ProbeAt(const RedisOptions& options, const RedisAddress& to) {
  Link link;
  Greeting greeting(options, {}, Text(to));
  const ::nightjar::Status status = Speak(link, to, options.connect_timeout_ms, greeting);
  if (!status.ok()) return status;
  return greeting.result();
}

}  // namespace

Result<ProbeResult> Probe(const RedisOptions& options) {
  if (::nightjar::Status status = CheckDurability(options); !status.ok()) return status;
  if (options.sentinels.empty()) return ProbeAt(options, AddressOf(options));
  Result<ProbeResult> result(::nightjar::Status(Code::kUnavailable, "no Sentinels"));
  for (const RedisAddress& address : options.sentinels) {
    Link link;
    AskSentinel sentinel(options);
    const ::nightjar::Status status =
        Speak(link, address, options.sentinel_timeout_ms, sentinel);
    result = status.ok() ? ProbeAt(options, sentinel.master()) : Result<ProbeResult>(status);
    if (result.ok() || result.status().code() != Code::kUnavailable) break;
  }
  return result;
}

}  // namespace nightjar::hub
