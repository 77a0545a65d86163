#include "persister/store_door.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace nightjar::persist {
namespace {

constexpr char kName[] = "door";
constexpr size_t kLineMost = 16 * 1024;
constexpr int kQuestionMs = 2'000;  // who connects asks at once

// A descriptor that closes itself.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// Through the folder's descriptor: its path may be longer than an address can be.
sockaddr_un Address(const Fd& folder) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(folder.get()) + "/" + kName;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

Fd OpenFolder(const std::string& dir) {
  return Fd(open(dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

Status Failed(const std::string& dir) {
  return {Code::kUnavailable,
          dir + "/" + kName + ": " + std::error_code(errno, std::generic_category()).message()};
}

// Up to the end of a line. Nothing: it does not come in time (-1: however long it takes).
std::optional<std::string> ReadLine(int fd, int ms) {
  std::string line;
  char c = 0;
  for (pollfd ready{fd, POLLIN, 0}; line.size() < kLineMost; line.push_back(c)) {
    if (poll(&ready, 1, ms) <= 0 && errno != EINTR) return std::nullopt;
    const ssize_t got = recv(fd, &c, 1, 0);
    if (got == 1 && c == '\n') return line;
    if (got != 1) return std::nullopt;
  }
  return std::nullopt;
}

bool WriteLine(int fd, std::string line) {
  line.push_back('\n');
  for (size_t done = 0; done < line.size();) {
    const ssize_t sent = send(fd, line.data() + done, line.size() - done, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    done += static_cast<size_t>(sent);
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<StoreDoor>> StoreDoor::Open(const std::string& dir, Answer answer) {
  const Fd folder = OpenFolder(dir);
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Fd wake(eventfd(0, EFD_CLOEXEC));
  if (folder.get() < 0 || fd.get() < 0 || wake.get() < 0) return Failed(dir);
  unlinkat(folder.get(), kName, 0);
  const sockaddr_un address = Address(folder);
  // Only the store's owner may ask: whoever connects needs to be able to write to it.
  if (fchmod(fd.get(), 0600) != 0 ||
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd.get(), 4) != 0) {
    return Failed(dir);
  }
  return std::unique_ptr<StoreDoor>(
      new StoreDoor(dir, fd.Release(), wake.Release(), std::move(answer)));
}

StoreDoor::StoreDoor(std::string dir, int fd, int wake, Answer answer)
    : dir_(std::move(dir)), fd_(fd), wake_(wake), answer_(std::move(answer)) {
  thread_ = std::thread([this] { Run(); });
}

StoreDoor::~StoreDoor() {
  closing_ = true;
  eventfd_write(wake_, 1);
  thread_.join();
  close(fd_);
  close(wake_);
  unlink((dir_ + "/" + kName).c_str());
}

void StoreDoor::Run() {
  while (!closing_) {
    pollfd ready[] = {{fd_, POLLIN, 0}, {wake_, POLLIN, 0}};
    if (poll(ready, 2, -1) < 0 && errno != EINTR) return;
    if (closing_ || (ready[0].revents & POLLIN) == 0) continue;
    const Fd guest(accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC));
    if (guest.get() >= 0) Serve(guest.get());
  }
}

void StoreDoor::Serve(int fd) {
  const auto question = ReadLine(fd, kQuestionMs);
  if (question) WriteLine(fd, answer_(*question, [this] { return closing_.load(); }));
}

std::optional<std::string> AskAtDoor(const std::string& dir, const std::string& question,
                                     bool& gone) {
  gone = false;
  const Fd folder = OpenFolder(dir);
  const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (folder.get() < 0 || fd.get() < 0) return std::nullopt;
  const sockaddr_un address = Address(folder);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return std::nullopt;
  }
  std::optional<std::string> answer;
  if (WriteLine(fd.get(), question)) answer = ReadLine(fd.get(), -1);
  gone = !answer;
  return answer;
}

}  // namespace nightjar::persist
