#include "client-sim/chaos/processes.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {  // glibc 2.36 forgot to say so
#include <sys/pidfd.h>
}

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>

#include "common/base/clock.h"

namespace nightjar::chaos {
namespace {

// When `pid` started, in clock ticks since boot; 0 if it does not run (any more).
uint64_t StartTicks(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const size_t name_ends = text.rfind(')');  // the name may hold anything
  if (name_ends == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_ends + 1));
  std::string state, skip;
  fields >> state;
  if (state == "Z" || state == "X") return 0;
  for (int i = 0; i < 18; ++i) fields >> skip;  // up to itrealvalue, the 21st of proc(5)
  uint64_t ticks = 0;
  fields >> ticks;
  return ticks;
}

bool HasEnded(int pidfd) {
  pollfd poll_fd{.fd = pidfd, .events = POLLIN, .revents = 0};
  return poll(&poll_fd, 1, 0) > 0;
}

std::string NameOfEnd(const siginfo_t& info) {
  return info.si_code == CLD_EXITED ? "exit code " + std::to_string(info.si_status)
                                    : "signal " + std::to_string(info.si_status);
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// posix_spawn and its C structs, which want to be destroyed.
class Spawning {
 public:
  Spawning() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  ~Spawning() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  Spawning(const Spawning&) = delete;
  Spawning& operator=(const Spawning&) = delete;

  // 0 or an errno. A session of its own: a terminal's Ctrl-C is not for the stack.
  int Run(const StackFile::Entry& entry, int& pid) {
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions_, 1, entry.log.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                     0644);
    posix_spawn_file_actions_adddup2(&actions_, 1, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
    posix_spawn_file_actions_addchdir_np(&actions_, entry.cwd.c_str());
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    return posix_spawn(&pid, entry.argv[0].c_str(), &actions_, &attributes_,
                       Pointers(entry.argv).data(), Pointers(entry.env).data());
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// A socket connected to the port on the loopback, -1 if nobody takes it. A listener there answers
// within the call; no answer is as good as none.
int ConnectTo(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  if (errno == EINPROGRESS) {
    pollfd poll_fd{.fd = fd, .events = POLLOUT, .revents = 0};
    if (poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLERR | POLLHUP)) == 0) return fd;
  }
  close(fd);
  return -1;
}

// A Redis that is still loading listens, and refuses everything.
bool AnswersPing(int fd) {
  constexpr std::string_view kAsk = "PING\r\n", kAnswer = "+PONG";
  if (send(fd, kAsk.data(), kAsk.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(kAsk.size())) {
    return false;
  }
  pollfd poll_fd{.fd = fd, .events = POLLIN, .revents = 0};
  if (poll(&poll_fd, 1, Processes::kAskMs) <= 0) return false;
  char answer[16];
  const ssize_t size = recv(fd, answer, sizeof answer, 0);
  return size > 0 && std::string_view(answer, static_cast<size_t>(size)).starts_with(kAnswer);
}

// ./nj gives every process as many files as the system lets it have; children inherit ours.
void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Processes::Processes(std::unique_ptr<StackFile> file) : file_(std::move(file)) {}

Result<std::unique_ptr<Processes>> Processes::Open(const std::string& stack_file) {
  auto file = StackFile::Open(stack_file);
  if (!file.ok()) return file.status();
  RaiseFileLimit();
  std::unique_ptr<Processes> processes(new Processes(std::move(file).value()));
  for (const StackFile::Entry& entry : processes->file_->entries()) {
    Process process{.entry = entry};
    // First the handle, then the look at whom it holds: from here on nobody can slip in between.
    process.fd = pidfd_open(entry.pid, 0);
    if (process.fd < 0 || StartTicks(entry.pid) != entry.start_ticks) {
      if (process.fd >= 0) close(process.fd);
      // Others stay as they are: nothing here was hurt by us.
      for (Process& adopted : processes->all_) close(adopted.fd);
      processes->all_.clear();
      return Status(Code::kFailedPrecondition,
                    entry.name + " of " + stack_file + " does not run (./nj down, then up)");
    }
    processes->all_.push_back(std::move(process));
  }
  return processes;
}

Processes::~Processes() {
  Watch();
  if (!Mend().ok()) {
    // Nobody is left to be told; ./nj status shows it.
  }
  for (Process& process : all_) {
    if (process.fd >= 0) close(process.fd);
  }
}

Status Processes::Signal(Process& process, int number) {
  if (process.fd < 0 || pidfd_send_signal(process.fd, number, nullptr, 0) == 0) return {};
  if (errno == ESRCH) return {};  // it has just ended; Watch() will say so
  return {Code::kInternal,
          "cannot signal " + process.entry.name + ": " + std::string(std::strerror(errno))};
}

Status Processes::Kill(size_t i) {
  all_[i].told = SIGKILL;
  return Signal(all_[i], SIGKILL);
}

Status Processes::Stop(size_t i) {
  all_[i].told = SIGTERM;
  return Signal(all_[i], SIGTERM);
}

Status Processes::Pause(size_t i) {
  all_[i].paused = running(i);
  return Signal(all_[i], SIGSTOP);
}

Status Processes::Continue(size_t i) {
  all_[i].paused = false;
  return Signal(all_[i], SIGCONT);
}

Status Processes::Start(size_t i) {
  Process& process = all_[i];
  int pid = 0;
  if (const int error = Spawning().Run(process.entry, pid); error != 0) {
    return {Code::kUnavailable, process.entry.name + " cannot be started: " + std::strerror(error)};
  }
  // Not reaped before Watch(), so the pid is its own even if it has ended already.
  process.fd = pidfd_open(pid, 0);
  process.child = true;
  process.paused = false;
  process.told = 0;
  process.entry.pid = pid;
  process.entry.start_ticks = StartTicks(pid);
  return file_->Restarted(process.entry.name, pid, process.entry.start_ticks);
}

std::vector<Processes::Ended> Processes::Watch() {
  std::vector<Ended> ended;
  for (size_t i = 0; i < all_.size(); ++i) {
    Process& process = all_[i];
    if (process.fd < 0 || !HasEnded(process.fd)) continue;
    Ended end{.process = i, .wanted = process.told != 0, .crashed = false, .how = "ended"};
    if (process.child) {
      siginfo_t info{};
      if (waitid(P_PIDFD, static_cast<id_t>(process.fd), &info, WEXITED) == 0) {
        end.how = NameOfEnd(info);
        end.crashed = info.si_code != CLD_EXITED && info.si_status != process.told;
      }
    }
    close(process.fd);
    process.fd = -1;
    process.paused = false;
    ended.push_back(std::move(end));
  }
  return ended;
}

bool Processes::Listens(size_t i) const {
  const Process& process = all_[i];
  if (process.fd < 0 || process.paused) return false;
  if (process.entry.port == 0) return true;
  const int fd = ConnectTo(process.entry.port);
  if (fd < 0) return false;
  const bool answers = process.entry.name != "redis" || AnswersPing(fd);
  close(fd);
  return answers;
}

Status Processes::Mend() {
  Status first;
  for (size_t i = 0; i < all_.size(); ++i) {
    Status status;
    if (all_[i].paused) status = Continue(i);
    // A stop that has not ended yet would otherwise be a death that nobody notices.
    if (all_[i].told != 0 && running(i)) {
      pollfd poll_fd{.fd = all_[i].fd, .events = POLLIN, .revents = 0};
      constexpr int kMostMs = 10'000;
      if (poll(&poll_fd, 1, kMostMs) == 0) status = Kill(i);
      poll(&poll_fd, 1, kMostMs);
      Watch();
    }
    if (!running(i)) status = Start(i);
    if (first.ok()) first = status;
  }
  return first;
}

Status Processes::Heal(int64_t most_ms) {
  const int64_t until_ms = SystemNow().mono_ms + most_ms;
  int ended = 0;
  while (true) {
    for (const Ended& end : Watch()) {
      constexpr int kMostEnds = 10;  // some, as a broker gives up on a Redis that is not yet there
      if (!end.wanted && ++ended > kMostEnds) {
        return {Code::kUnavailable, name(end.process) + " does not stay up: " + end.how};
      }
    }
    if (Status status = Mend(); !status.ok()) return status;
    std::string missing;
    for (size_t i = 0; i < all_.size(); ++i) {
      if (!Listens(i)) missing += (missing.empty() ? "" : ", ") + name(i);
    }
    if (missing.empty()) return {};
    if (SystemNow().mono_ms >= until_ms) {
      return {Code::kUnavailable, missing + " did not come back within " +
                                      std::to_string(most_ms / 1000) + " s (see its log)"};
    }
    poll(nullptr, 0, 20);
  }
}

}  // namespace nightjar::chaos
