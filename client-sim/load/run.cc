#include "client-sim/load/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "client-sim/crowd/crowd.h"
#include "client-sim/judge/oracle.h"
#include "client-sim/load/bare.h"
#include "client-sim/load/fleet.h"
#include "client-sim/load/meter.h"
#include "client-sim/load/mix.h"
#include "client-sim/load/progress.h"
#include "client-sim/load/read_back.h"
#include "client-sim/report/report.h"
#include "client-sim/swarm/probe.h"

namespace nightjar::load {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1'000 * kMs;
constexpr int64_t kHookEvery = 100 * kMs;
constexpr int64_t kConnectPatience = 60 * kSecond;
constexpr int64_t kNobodyPatience = 10 * kSecond;  // nobody at all got in
constexpr int64_t kIntroducePatience = 60 * kSecond;
constexpr int64_t kBetweenRates = 10 * kSecond;  // what is under way gets between two rates
constexpr int64_t kHurriedDrain = 15 * kSecond;  // after Ctrl-C
constexpr int64_t kReadBackPatience = 60 * kSecond;
constexpr double kIntroductions = 1000;  // a second
// A server notices within so many keep-alives that a line went dead; the client within fewer.
constexpr double kSilentKeepAlives = 1.5;
constexpr int kDeedsAtOnce = 200;  // then the network gets its turn

}  // namespace

class Run::Impl {
 public:
  explicit Impl(RunOptions options)
      : options_(std::move(options)),
        profile_(options_.profile),
        start_ns_(swarm::NanoNow()),
        base_(SystemNow()),
        judge_(JudgeOptions(options_)),
        crowd_(profile_, options_.seed, options_.prefix),
        meter_(start_ns_) {}

  Status Go();
  int exit_code() const { return exit_code_; }
  client::Oracle& judge() { return judge_; }
  report::Report& report() { return report_; }
  Phase phase() const { return phase_; }
  double SecondsAt(int64_t now_ns) const { return static_cast<double>(now_ns - start_ns_) / 1e9; }
  Now NowAt(int64_t now_ns) const {
    return {now_ns / kMs, base_.unix_ms + (now_ns - start_ns_) / kMs};
  }

 private:
  static client::OracleOptions JudgeOptions(const RunOptions& options);
  Status Prepare();
  Status Connect();
  Status Introduce();
  using Costs = std::map<std::string, swarm::Usage>;
  Costs CostsNow() const;
  void Sit(const Costs& before);
  void Talk();
  void Measure(double rate);
  void Drain();
  void Judge();
  void Conclude();

  // Turns the loop until `until_ns`, `done()`, or a wish to stop. True if done.
  template <typename F>
  bool Until(int64_t until_ns, F&& done);
  void Beat(int64_t now_ns);
  void Live(int64_t now_ns);  // does what people mean to do now
  void Do(const crowd::Deed& deed, int64_t now_ns);
  void Storm(int64_t now_ns);
  bool Stopped() { return stopped_ = stopped_ || (!draining_ && options_.stop && options_.stop()); }
  Meter::Gauges GaugesNow() const;
  void Say(Phase phase);
  bool bare() const { return options_.bare; }

  RunOptions options_;
  const crowd::Profile& profile_;
  int64_t start_ns_;
  Now base_;
  client::Oracle judge_;
  crowd::Crowd crowd_;
  Meter meter_;
  Mix mix_;
  Fleet* fleet_ = nullptr;  // not in bare runs
  std::unique_ptr<Party> party_;
  std::unique_ptr<swarm::Swarm> swarm_;
  Progress progress_;
  report::Report report_;
  Phase phase_ = Phase::kConnect;
  int64_t next_hook_ns_ = 0;
  bool living_ = false, stopped_ = false, draining_ = false, settled_ = false;
  int exit_code_ = 1;
};

client::OracleOptions Run::Impl::JudgeOptions(const RunOptions& options) {
  client::OracleOptions judge;
  const auto& profile = options.profile;
  if (profile.line != "lan") {
    judge.silent_line_ms = static_cast<int64_t>(profile.keep_alive * 1000 * kSilentKeepAlives);
  }
  if (!profile.judge || options.bare) judge.story_happenings = 1;
  return judge;
}

Status Run::Impl::Prepare() {
  if (auto good = crowd::Check(profile_); !good.ok()) return good;
  auto mix = ReadMix(profile_.line);
  if (!mix.ok()) return mix.status();
  mix_ = std::move(*mix);
  const double silent_s = static_cast<double>(profile_.keep_alive) * kSilentKeepAlives;
  if (profile_.judge && !bare() && mix_.goes_half_open() && profile_.drain < silent_s) {
    return {
        Code::kInvalidArgument,
        fmt::format("drain: {:g} s are too short to judge lines that go half-open ({}): that is "
                    "noticed after up to {:g} s (1.5 x keep_alive)",
                    profile_.drain, profile_.line, silent_s)};
  }
  if (bare()) {
    if (profile_.contacts != 1 || profile_.groups > 0 || profile_.devices != 1) {
      return {Code::kInvalidArgument, "bare runs are pairs with one device each (contacts 1)"};
    }
    if (profile_.text == 24) return {Code::kInvalidArgument, "text: 24 bytes are a receipt's"};
    party_ = MakeBareParty(&crowd_);
  } else {
    Fleet::Options fleet;
    fleet.brain = {profile_.short_topics, static_cast<uint32_t>(profile_.max_frame),
                   profile_.encoding == "json" ? Encoding::kJson : Encoding::kProtobuf};
    fleet.qos = static_cast<int>(profile_.qos);
    fleet.key_file = options_.key_file;
    for (const auto& broker : options_.brokers) fleet.broker_names.push_back(broker.id);
    fleet.base_ns = start_ns_;
    fleet.base_unix_ms = base_.unix_ms;
    auto made = std::make_unique<Fleet>(fleet, &crowd_, profile_.judge ? &judge_ : nullptr);
    fleet_ = made.get();
    party_ = std::move(made);
  }
  swarm::Swarm::Options swarm;
  for (const auto& broker : options_.brokers) swarm.brokers.push_back({broker.host, broker.port});
  swarm.connects_per_s = profile_.connect_rate;
  swarm.keep_alive_s = static_cast<uint16_t>(profile_.keep_alive);
  swarm.first_address = options_.first_address;
  swarm.seed = options_.seed;
  swarm_ = std::make_unique<swarm::Swarm>(std::move(swarm), crowd_.devices(), party_.get());
  party_->Attach(swarm_.get(), &meter_);
  for (uint32_t device = 0; device < crowd_.devices(); ++device) {
    if (const auto* shape = mix_.Find(crowd_.Lot(device))) swarm_->Shape(device, shape);
  }
  return swarm_->Start();
}

template <typename F>
bool Run::Impl::Until(int64_t until_ns, F&& done) {
  while (!done()) {
    const int64_t now_ns = swarm::NanoNow();
    if (now_ns >= until_ns || Stopped()) return false;
    Beat(now_ns);
    if (living_) Live(now_ns);
    const int64_t next_deed = living_ ? crowd_.NextAt() : INT64_MAX;
    swarm_->Turn(std::min({until_ns, party_->Timers(now_ns), next_deed, next_hook_ns_}));
  }
  return true;
}

void Run::Impl::Beat(int64_t now_ns) {
  if (now_ns < next_hook_ns_) return;
  next_hook_ns_ = now_ns + kHookEvery;
  if (options_.every_100_ms) options_.every_100_ms(now_ns);
  if (!meter_.SecondOver(now_ns)) return;
  meter_.Second(now_ns, GaugesNow());
  if (options_.second) options_.second(meter_.series().back());
  if (options_.live_line) progress_.Show(meter_.series().back());
}

Meter::Gauges Run::Impl::GaugesNow() const {
  Meter::Gauges gauges{swarm_->up(), swarm_->bytes_out(), swarm_->bytes_in(), {}};
  if (options_.watched) gauges.watched = options_.watched();
  return gauges;
}

void Run::Impl::Live(int64_t now_ns) {
  for (int i = 0; i < kDeedsAtOnce && crowd_.NextAt() <= now_ns; ++i) Do(crowd_.Take(), now_ns);
}

void Run::Impl::Do(const crowd::Deed& deed, int64_t now_ns) {
  switch (deed.kind) {
    case crowd::Deed::Kind::kWrite:
      meter_.Intended(deed.at_ns);
      return party_->Write(deed.device, deed.chat, deed.bytes, deed.at_ns, now_ns);
    case crowd::Deed::Kind::kHistory:
      return party_->ReadHistory(deed.device, deed.chat, now_ns);
    case crowd::Deed::Kind::kLeave:
      return swarm_->GoOffline(deed.device, /*goodbye=*/true);
    case crowd::Deed::Kind::kDrop:
      return swarm_->GoOffline(deed.device, /*goodbye=*/false);
    case crowd::Deed::Kind::kReturn:
      return swarm_->GoOnline(deed.device);
    case crowd::Deed::Kind::kStorm:
      return Storm(now_ns);
  }
}

void Run::Impl::Storm(int64_t now_ns) {
  judge_.Disturbed(NowAt(now_ns), "storm: lines cut all at once", false);
  report_.faults.push_back({SecondsAt(now_ns), SecondsAt(now_ns) + profile_.storm_pause, "line",
                            "storm: " + std::to_string(std::lround(profile_.storm_share * 100)) +
                                " % of the lines cut at once"});
  const int64_t back_ns =
      profile_.storm_pause > 0 ? now_ns + static_cast<int64_t>(profile_.storm_pause * 1e9) : 0;
  for (uint32_t device = 0; device < crowd_.devices(); ++device) {
    if (crowd_.InStorm(device)) swarm_->Cut(device, back_ns);
  }
}

void Run::Impl::Say(Phase phase) {
  phase_ = phase;
  if (options_.live_line) progress_.Begin(phase);
}

Status Run::Impl::Connect() {
  Say(Phase::kConnect);
  const uint32_t all = crowd_.devices();
  for (uint32_t device = 0; device < all; ++device) swarm_->GoOnline(device);
  const auto least_ns = static_cast<int64_t>(all / profile_.connect_rate * 1e9);
  const int64_t begun_ns = swarm::NanoNow();
  bool hopeless = false;
  Until(begun_ns + least_ns + kConnectPatience, [&] {
    hopeless =
        party_->ready() == 0 && swarm_->up() == 0 && swarm::NanoNow() > begun_ns + kNobodyPatience;
    return hopeless || party_->ready() == all;
  });
  const bool in = party_->ready() == all;
  if (in || stopped_) return Status::Ok();
  std::string why = party_->last_loss().empty() ? "no answer" : party_->last_loss();
  if (!meter_.troubles().empty()) why = meter_.troubles().front();
  return {Code::kUnavailable,
          fmt::format("only {} of {} clients got in ({})", party_->ready(), all, why)};
}

Status Run::Impl::Introduce() {
  Say(Phase::kIntroduce);
  const auto all = static_cast<uint32_t>(crowd_.chats().size());
  uint32_t next = 0;
  const auto each_ns = static_cast<int64_t>(1e9 / kIntroductions);
  const int64_t begun_ns = swarm::NanoNow();
  const bool met = Until(begun_ns + all * each_ns + kIntroducePatience, [&] {
    const int64_t now_ns = swarm::NanoNow();
    const auto due =
        static_cast<uint32_t>(std::min<int64_t>(all, (now_ns - begun_ns) / each_ns + 1));
    for (; next < due; ++next) party_->Introduce(next, now_ns);
    next_hook_ns_ = std::min(next_hook_ns_, now_ns + each_ns);
    return party_->introduced() == all;
  });
  if (met || stopped_) return Status::Ok();
  return {Code::kUnavailable,
          fmt::format("only {} of {} chats came about ({})", party_->introduced(), all,
                      meter_.troubles().empty() ? "no answer" : meter_.troubles().front())};
}

void Run::Impl::Measure(double rate) {
  const int64_t now_ns = swarm::NanoNow();
  const int64_t from_ns = now_ns + static_cast<int64_t>(profile_.warm_up * 1e9);
  const int64_t until_ns = from_ns + static_cast<int64_t>(profile_.seconds * 1e9);
  Say(Phase::kWarmUp);
  crowd_.Write(rate, now_ns);
  Until(from_ns, [] { return false; });
  if (stopped_) return;
  Say(Phase::kMeasure);
  meter_.Open(profile_.rate.size() > 1 ? fmt::format("{:g}/s", rate) : "talk", rate, from_ns,
              until_ns);
  meter_.CostsFrom(swarm::NanoNow(), GaugesNow());
  Until(until_ns, [] { return false; });
  meter_.CostsTo(swarm::NanoNow(), GaugesNow());
  crowd_.Write(0, until_ns);
}

Run::Impl::Costs Run::Impl::CostsNow() const {
  Costs costs;
  if (!options_.watched) return costs;
  for (const auto& process : options_.watched()) {
    if (const auto usage = swarm::UsageOf(process.pid); usage.ok()) costs[process.name] = *usage;
  }
  return costs;
}

// Nobody talks: what does a connection cost?
void Run::Impl::Sit(const Costs& before) {
  Say(Phase::kMeasure);
  living_ = true;
  crowd_.Begin(swarm::NanoNow());
  Until(swarm::NanoNow() + static_cast<int64_t>(profile_.seconds * 1e9), [] { return false; });
  report_.idle.connections = swarm_->up();
  report_.idle.settle_s = profile_.seconds;
  const auto n = static_cast<double>(std::max<uint32_t>(swarm_->up(), 1));
  for (const auto& [name, after] : CostsNow()) {
    const auto was = before.find(name);
    if (was == before.end()) continue;
    report_.idle.rss_bytes_per_connection[name] =
        static_cast<double>(after.rss_bytes - was->second.rss_bytes) / n;
    report_.idle.cpu_us_per_login[name] =
        static_cast<double>(after.cpu_us - was->second.cpu_us) / n;
  }
}

void Run::Impl::Talk() {
  living_ = true;
  crowd_.Begin(swarm::NanoNow());
  for (size_t i = 0; i < profile_.rate.size() && !stopped_; ++i) {
    Measure(profile_.rate[i]);
    if (i + 1 == profile_.rate.size()) break;
    Until(swarm::NanoNow() + kBetweenRates, [&] { return meter_.Complete() && party_->Settled(); });
  }
}

// Everybody comes back, and what is under way arrives.
void Run::Impl::Drain() {
  Say(Phase::kDrain);
  draining_ = true;
  stopped_ = false;
  crowd_.End();
  for (uint32_t device = 0; device < crowd_.devices(); ++device) swarm_->GoOnline(device);
  int64_t look_ns = 0;
  auto limit_ns = static_cast<int64_t>(profile_.drain * 1e9);
  if (report_.interrupted) limit_ns = std::min(limit_ns, kHurriedDrain);
  const bool judged = !bare() && profile_.judge;
  settled_ = Until(swarm::NanoNow() + limit_ns, [&] {
    const int64_t now_ns = swarm::NanoNow();
    if (now_ns < look_ns) return false;
    look_ns = now_ns + kHookEvery;  // the judge has many to look at
    if (options_.whole && !options_.whole()) return false;
    return party_->Settled() && (judged || meter_.Complete());
  });
  living_ = false;
  if (settled_) return;
  if (party_->ready() < crowd_.devices()) {
    meter_.Trouble(fmt::format("{} of {} clients were not connected at the end",
                               crowd_.devices() - party_->ready(), crowd_.devices()));
  }
  if (judged) meter_.Trouble("not settled: " + judge_.Outstanding());
}

void Run::Impl::Judge() {
  Say(Phase::kJudge);
  if (bare() || !profile_.judge) return;
  ReadBack reading(fleet_, &crowd_, &judge_, static_cast<size_t>(profile_.read_back));
  const bool read = Until(swarm::NanoNow() + kReadBackPatience, [&] {
    reading.Step(swarm::NanoNow());
    return reading.done();
  });
  for (const auto& failure : reading.failures()) meter_.Trouble(failure);
  if (!read) {
    meter_.Trouble(fmt::format("only {} of {} chats could be read back from history",
                               reading.read(), reading.chats()));
  }
  judge_.Finish(NowAt(swarm::NanoNow()));
}

Status Run::Impl::Go() {
  if (auto ready = Prepare(); !ready.ok()) return ready;
  report_.started_ms = base_.unix_ms;
  report_.faults.clear();
  const bool idle = profile_.rate.front() <= 0;
  const Costs before = CostsNow();
  if (auto in = Connect(); !in.ok()) return in;
  if (!stopped_ && !idle) {
    if (auto met = Introduce(); !met.ok()) return met;
  }
  if (stopped_) return {Code::kUnavailable, "interrupted before the run began: nothing is proven"};
  idle ? Sit(before) : Talk();
  report_.interrupted = stopped_;
  Drain();
  Judge();
  Conclude();
  swarm_->Close();
  Say(Phase::kOver);
  return Status::Ok();
}

void Run::Impl::Conclude() {
  meter_.Second(swarm::NanoNow(), GaugesNow());
  meter_.Fill(report_);
  report_.title = options_.title.empty() ? "load: " + profile_.name : options_.title;
  report_.command = options_.command;
  report_.seed = options_.seed;
  report_.machine = report::ThisMachine();
  for (const auto& [key, value] : crowd::Describe(profile_)) report_.options[key] = value;
  report_.options["mode"] = bare() ? "bare" : "nightjar";
  for (size_t kind = 0; kind < swarm::kKinds; ++kind) {
    const auto add = [&](const swarm::Traffic& traffic, bool up) {
      if (traffic.packets == 0) return;
      const char* name = party_->KindName(static_cast<swarm::Kind>(kind), up);
      report_.packets.push_back({name, up, traffic.packets, traffic.bytes});
    };
    add(swarm_->up_by_kind()[kind], true);
    add(swarm_->down_by_kind()[kind], false);
  }
  bool complete = settled_ && meter_.trouble_count() == 0;
  for (const auto& phase : report_.phases) {
    complete = complete && phase.counts.accepted + phase.counts.rejected >= phase.counts.intended;
  }
  report_.judge.judged = !bare() && profile_.judge;
  if (report_.judge.judged) {
    const client::Tally tally = judge_.Count();
    report_.judge.violation_count = tally.violations;
    for (const auto& violation : judge_.violations()) {
      report_.judge.violations.push_back({violation.promise, violation.what, violation.story});
    }
    report_.judge.tally = {{"written", tally.written},
                           {"accepted", tally.accepted},
                           {"refused", tally.refused},
                           {"unanswered", tally.unanswered},
                           {"owed", tally.owed},
                           {"delivered", tally.delivered},
                           {"marks_owed", tally.marks_owed},
                           {"marks", tally.marks},
                           {"repeats", tally.repeats},
                           {"gaps", tally.gaps},
                           {"resyncs", tally.resyncs},
                           {"presence", tally.presence},
                           {"history_read", tally.history_read}};
  }
  exit_code_ = report_.judge.violation_count > 0 ? 2 : complete ? 0 : 1;
}

Run::Run(RunOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Run::~Run() = default;
Status Run::Go() { return impl_->Go(); }
int Run::exit_code() const { return impl_->exit_code(); }
client::Oracle& Run::judge() { return impl_->judge(); }
report::Report& Run::report() { return impl_->report(); }
Phase Run::phase() const { return impl_->phase(); }
double Run::SecondsAt(int64_t now_ns) const { return impl_->SecondsAt(now_ns); }
Now Run::NowAt(int64_t now_ns) const { return impl_->NowAt(now_ns); }

}  // namespace nightjar::load
