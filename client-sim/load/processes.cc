#include "client-sim/load/processes.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client-sim/load/progress.h"
#include "client-sim/report/json.h"

namespace nightjar::load {
namespace {

constexpr uint32_t kAddressesEach = 256;  // 127.0.n.x
constexpr int kPollMs = 200;

// What a child says each second, for the live line.
struct Beat {
  int64_t t_s = 0;
  uint64_t connected = 0, sent = 0, accepted = 0, received = 0, rejected = 0, backlog = 0;
  double p50_ms = 0, p99_ms = 0;
};

struct Child {
  pid_t pid = -1;
  int beats = -1;   // Beat after Beat
  int result = -1;  // first byte: 'E' and a message, or the exit code as a digit and a report
  std::string text;
  Beat last;
};

void WriteAll(int fd, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = write(fd, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;  // the parent is gone
    done += static_cast<size_t>(wrote);
  }
}

[[noreturn]] void Work(RunOptions options, int beats, int result) {
  signal(SIGPIPE, SIG_IGN);
  options.live_line = false;
  options.second = [beats](const report::Second& second) {
    const Beat beat{second.t_s,
                    second.connected,
                    second.sent,
                    second.accepted,
                    second.received,
                    second.rejected,
                    second.backlog,
                    second.received_latency.p50_ms,
                    second.received_latency.p99_ms};
    (void)!write(beats, &beat, sizeof(beat));  // less than PIPE_BUF: whole or not at all
  };
  std::string text;
  {
    Run run(std::move(options));
    const Status ran = run.Go();
    text = ran.ok() ? std::to_string(run.exit_code()) +
                          report::ToJson(run.report(), report::Detail::kForMerging)
                    : "E" + ran.message();
  }
  WriteAll(result, text);
  _exit(0);
}

RunOptions OptionsOf(const RunOptions& whole, int64_t part, int64_t parts) {
  RunOptions options = whole;
  options.profile = crowd::ShareOf(whole.profile, part, parts);
  options.prefix = whole.prefix + std::string(1, static_cast<char>('a' + part % 26)) +
                   (part >= 26 ? std::to_string(part / 26) : "") + "-";
  options.seed = whole.seed + static_cast<uint64_t>(part) * 0x9e3779b97f4a7c15ULL;
  options.first_address = static_cast<uint32_t>(part) * kAddressesEach + 2;
  // Each process would measure the same servers: one does.
  if (part > 0) options.watched = nullptr;
  return options;
}

Result<Child> Start(const RunOptions& options) {
  int beats[2], result[2];
  if (pipe(beats) != 0) return Status(Code::kUnavailable, std::strerror(errno));
  if (pipe(result) != 0) return Status(Code::kUnavailable, std::strerror(errno));
  const pid_t pid = fork();
  if (pid < 0) return Status(Code::kUnavailable, std::string("fork: ") + std::strerror(errno));
  if (pid == 0) {
    close(beats[0]);
    close(result[0]);
    Work(options, beats[1], result[1]);
  }
  close(beats[1]);
  close(result[1]);
  Child child;
  child.pid = pid;
  child.beats = beats[0];
  child.result = result[0];
  return child;
}

report::Second Together(const std::vector<Child>& children) {
  report::Second sum;
  for (const auto& child : children) {
    sum.t_s = std::max(sum.t_s, child.last.t_s);
    sum.connected += child.last.connected;
    sum.sent += child.last.sent;
    sum.accepted += child.last.accepted;
    sum.received += child.last.received;
    sum.rejected += child.last.rejected;
    sum.backlog += child.last.backlog;
    sum.received_latency.p50_ms = std::max(sum.received_latency.p50_ms, child.last.p50_ms);
    sum.received_latency.p99_ms = std::max(sum.received_latency.p99_ms, child.last.p99_ms);
  }
  return sum;
}

// Reads until every child has said its result.
void Listen(std::vector<Child>& children, const RunOptions& options) {
  Progress progress;
  if (options.live_line) progress.Begin(Phase::kMeasure);
  bool told = false;
  size_t open = children.size();
  while (open > 0) {
    std::vector<pollfd> fds;
    for (const auto& child : children) {
      fds.push_back({child.result, POLLIN, 0});
      fds.push_back({child.beats, POLLIN, 0});
    }
    if (poll(fds.data(), fds.size(), kPollMs) < 0 && errno != EINTR) break;
    if (!told && options.stop && options.stop()) {
      told = true;  // Ctrl-C reaches them by itself, but not a signal to us alone
      for (const auto& child : children) kill(child.pid, SIGTERM);
    }
    bool second = false;
    for (size_t i = 0; i < children.size(); ++i) {
      Child& child = children[i];
      char buffer[65536];
      if ((fds[2 * i + 1].revents & (POLLIN | POLLHUP)) != 0 && child.beats >= 0) {
        Beat beat;
        if (read(child.beats, &beat, sizeof(beat)) == sizeof(beat)) {
          child.last = beat;
          second = second || i == 0;
        } else {
          close(std::exchange(child.beats, -1));
        }
      }
      if ((fds[2 * i].revents & (POLLIN | POLLHUP)) == 0 || child.result < 0) continue;
      const ssize_t got = read(child.result, buffer, sizeof(buffer));
      if (got > 0) {
        child.text.append(buffer, static_cast<size_t>(got));
      } else if (got == 0 || errno != EINTR) {
        close(std::exchange(child.result, -1));
        --open;
      }
    }
    if (second && options.live_line) progress.Show(Together(children));
  }
  if (options.live_line) progress.Begin(Phase::kOver);
}

}  // namespace

Status RunProcesses(RunOptions options, int64_t processes, report::Report& report, int& exit_code) {
  if (processes <= 1) {
    Run run(std::move(options));
    if (auto ran = run.Go(); !ran.ok()) return ran;
    report = std::move(run.report());
    exit_code = run.exit_code();
    return Status::Ok();
  }
  std::vector<Child> children;
  for (int64_t part = 0; part < processes; ++part) {
    const RunOptions share = OptionsOf(options, part, processes);
    if (auto good = crowd::Check(share.profile); !good.ok()) {
      return {good.code(), "too few people for so many processes: " + good.message()};
    }
    auto child = Start(share);
    if (!child.ok()) return child.status();
    children.push_back(std::move(*child));
  }
  Listen(children, options);
  std::optional<Status> failed;
  exit_code = 0;
  bool first = true;
  for (auto& child : children) {
    int how = 0;
    waitpid(child.pid, &how, 0);
    if (child.beats >= 0) close(child.beats);
    if (child.text.empty() || child.text.front() == 'E') {
      const std::string why = child.text.empty() ? "a load process died" : child.text.substr(1);
      if (!failed) failed = Status(Code::kUnavailable, why);
      continue;
    }
    exit_code = std::max(exit_code, child.text.front() - '0');
    auto part = report::FromJson(std::string_view(child.text).substr(1));
    child.text.clear();
    if (!part.ok()) {
      failed = part.status();
    } else if (std::exchange(first, false)) {
      report = std::move(*part);
    } else {
      report::Merge(report, *part);
    }
  }
  if (failed) return *failed;
  for (const auto& [key, value] : crowd::Describe(options.profile)) report.options[key] = value;
  report.seed = options.seed;
  return Status::Ok();
}

}  // namespace nightjar::load
