#include "notifier/http/http_sender.h"

#include <curl/curl.h>

#include <atomic>
#include <deque>
#include <map>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/base/bounded_queue.h"
#include "common/base/clock.h"
#include "notifier/gateways/webpush.h"
#include "notifier/http/transfer.h"

namespace nightjar::notify {
namespace {

struct Job {
  HttpRequest request;
  HttpSender::Done done;
  int64_t at_ms = 0;  // since when it waits
};

void StartCurl() {
  static const CURLcode once = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)once;
}

Carried Without(Carried::Kind kind, std::string reason, int64_t after_ms = 0) {
  Carried carried;
  carried.kind = kind;
  carried.reason = std::move(reason);
  carried.after_ms = after_ms;
  return carried;
}

}  // namespace

// The thread, and all that is its own.
class HttpSender::Loop {
 public:
  explicit Loop(Options options) : options_(std::move(options)), incoming_(options_.waiting) {
    StartCurl();
    multi_ = curl_multi_init();
    curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(multi_, CURLMOPT_MAX_CONCURRENT_STREAMS,
                      static_cast<long>(options_.host.in_flight));
    curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS,
                      static_cast<long>(options_.host_connections));
    curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                      static_cast<long>(options_.connections));
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(options_.connections));
    thread_ = std::thread([this] { Run(); });
  }
  ~Loop() {
    stop_ = true;
    curl_multi_wakeup(multi_);
    thread_.join();
    curl_multi_cleanup(multi_);
  }

  bool Submit(HttpRequest request, Done done) {
    if (waiting_.fetch_add(1) >= options_.waiting) {
      --waiting_;
      return false;
    }
    // Never full: waiting_ counts what is in it, too.
    const bool pushed = incoming_.TryPush({std::move(request), std::move(done), 0});
    if (!pushed) --waiting_;
    curl_multi_wakeup(multi_);
    return pushed;
  }

 private:
  struct Host {
    Host(const HostGate::Options& options, uint64_t seed) : gate(options, seed) {}
    HostGate gate;
    std::deque<Job> jobs;
    int64_t used_ms = 0;
  };

  void Run() {
    while (!stop_) {
      TakeIncoming();
      StartAll();
      int running = 0;
      curl_multi_perform(multi_, &running);
      if (EndAll()) continue;  // there is room for others
      curl_multi_poll(multi_, nullptr, 0, PollMs(), nullptr);
    }
    AnswerTheRest();
  }

  static int64_t MonoMs() { return SystemNow().mono_ms; }
  int PollMs() const { return waiting_ > 0 ? 50 : 1000; }

  void TakeIncoming() {
    incoming_.Drain(fresh_);
    const int64_t now = MonoMs();
    for (Job& job : fresh_) {
      const nightjar::Result<std::string> origin = OriginOf(job.request.url);
      if (!origin.ok()) {
        Answer(job, Without(Carried::Kind::kRefused, origin.status().message()));
        continue;
      }
      Host* const host = Find(*origin, now);
      if (host == nullptr) {
        Answer(job, Without(Carried::Kind::kHeld, "too many hosts", options_.waiting_ms));
        continue;
      }
      job.at_ms = host->used_ms = now;
      host->jobs.push_back(std::move(job));
      with_jobs_.try_emplace(*origin, host);
    }
    fresh_.clear();
  }

  // Null if as many are known as may be, and all of them are needed.
  Host* Find(const std::string& origin, int64_t now) {
    const auto known = hosts_.find(origin);
    if (known != hosts_.end()) return &known->second;
    if (hosts_.size() >= options_.hosts && now >= sweep_ms_) {
      sweep_ms_ = now + 1000;
      std::erase_if(hosts_, [](const auto& entry) {
        const Host& host = entry.second;
        return host.jobs.empty() && host.gate.in_flight() == 0 && !host.gate.Failing();
      });
      // Who fails and is not asked any more, too, after an hour.
      std::erase_if(hosts_, [now](const auto& entry) {
        const Host& host = entry.second;
        return host.jobs.empty() && host.gate.in_flight() == 0 &&
               host.used_ms < now - int64_t{3600} * 1000;
      });
    }
    if (hosts_.size() >= options_.hosts) return nullptr;
    return &hosts_.try_emplace(origin, options_.host, options_.seed + hosts_.size()).first->second;
  }

  void StartAll() {
    const int64_t now = MonoMs();
    // One of each host in turn, so that the common bound is shared.
    for (bool started = true; started && in_flight_ < options_.in_flight;) {
      started = false;
      for (auto& [origin, host] : with_jobs_) {
        if (in_flight_ >= options_.in_flight) break;
        if (!host->jobs.empty() && host->gate.HasRoom(now)) {
          Start(origin, *host);
          started = true;
        }
      }
    }
    for (auto at = with_jobs_.begin(); at != with_jobs_.end();) {
      GiveUp(*at->second, now);
      at = at->second->jobs.empty() ? with_jobs_.erase(at) : std::next(at);
    }
  }

  // What waits for a host that is left alone, or has waited too long, is answered: whoever asked
  // comes again and does not hold it in memory.
  void GiveUp(Host& host, int64_t now) {
    const int64_t held = host.gate.HeldMs(now);
    while (!host.jobs.empty() &&
           (held > 0 || now - host.jobs.front().at_ms > options_.waiting_ms)) {
      Job job = std::move(host.jobs.front());
      host.jobs.pop_front();
      const int64_t after = held > 0 ? held : options_.waiting_ms;
      Answer(job, Without(Carried::Kind::kHeld,
                          held > 0 ? "the host is left alone" : "too much waits for it", after));
    }
  }

  void Answer(Job& job, Carried carried) {
    --waiting_;
    const Done done = std::move(job.done);
    done(std::move(carried));
  }

  void Start(const std::string& origin, Host& host) {
    Job job = std::move(host.jobs.front());
    host.jobs.pop_front();
    --waiting_;
    host.gate.Start();
    ++in_flight_;
    std::unique_ptr<Transfer> transfer;
    if (free_.empty()) {
      transfer = std::make_unique<Transfer>(options_);
    } else {
      transfer = std::move(free_.back());
      free_.pop_back();
    }
    transfer->Prepare(std::move(job.request), origin, std::move(job.done));
    curl_multi_add_handle(multi_, transfer->handle());
    Transfer* const raw = transfer.get();
    under_way_.emplace(raw, std::move(transfer));
  }

  bool EndAll() {
    bool any = false;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      any = true;
      char* self = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &self);
      End(*reinterpret_cast<Transfer*>(self), message->data.result);
    }
    return any;
  }

  void End(Transfer& ended, CURLcode code) {
    curl_multi_remove_handle(multi_, ended.handle());
    if (ended.GoesAgain(code)) {
      curl_multi_add_handle(multi_, ended.handle());
      return;
    }
    std::unique_ptr<Transfer> transfer = std::move(under_way_.extract(&ended).mapped());
    Carried carried = transfer->Result(code);
    --in_flight_;
    const Now now = SystemNow();
    HostGate& gate = hosts_.at(transfer->host()).gate;
    const int status = carried.answer.status;
    const bool answered = carried.kind == Carried::Kind::kAnswered;
    const bool bad = carried.kind == Carried::Kind::kUnreachable || (answered && status >= 500);
    const bool holds = answered && (status == 503 || (status == 429 && options_.hold_on_429));
    int64_t hold = holds ? RetryAfterMs(carried.answer.retry_after, now.unix_ms) : 0;
    if (holds && status == 429 && hold == 0) hold = 60'000;
    gate.End(bad        ? HostGate::Health::kBad
             : answered ? HostGate::Health::kGood
                        : HostGate::Health::kNeither,
             hold, now.mono_ms);
    if (carried.kind == Carried::Kind::kUnreachable) carried.after_ms = gate.HeldMs(now.mono_ms);
    transfer->Finish(std::move(carried));
    free_.push_back(std::move(transfer));
  }

  void AnswerTheRest() {
    for (auto& [raw, transfer] : under_way_) {
      curl_multi_remove_handle(multi_, raw->handle());
      raw->Finish(Without(Carried::Kind::kUnreachable, "the sender ends"));
    }
    incoming_.Drain(fresh_);
    for (auto& [origin, host] : with_jobs_) {
      for (Job& job : host->jobs) fresh_.push_back(std::move(job));
    }
    for (Job& job : fresh_) Answer(job, Without(Carried::Kind::kUnreachable, "the sender ends"));
    under_way_.clear();
    free_.clear();
  }

  const Options options_;
  BoundedQueue<Job> incoming_;
  std::atomic<size_t> waiting_{0};  // submitted and not started
  std::atomic<bool> stop_{false};
  CURLM* multi_ = nullptr;
  std::vector<Job> fresh_;
  std::unordered_map<std::string, Host> hosts_;
  std::map<std::string, Host*> with_jobs_;
  std::unordered_map<Transfer*, std::unique_ptr<Transfer>> under_way_;
  std::vector<std::unique_ptr<Transfer>> free_;
  size_t in_flight_ = 0;
  int64_t sweep_ms_ = 0;
  std::thread thread_;
};

HttpSender::HttpSender(Options options) : loop_(std::make_unique<Loop>(std::move(options))) {}
HttpSender::~HttpSender() = default;

bool HttpSender::Submit(HttpRequest request, Done done) {
  return loop_->Submit(std::move(request), std::move(done));
}

}  // namespace nightjar::notify
