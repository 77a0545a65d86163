#include "client-sim/report/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "client-sim/report/json.h"

namespace nightjar::report {
namespace {

constexpr size_t kMostBytes = size_t{256} << 20;

Status Failed(const std::string& path, const char* doing, int error) {
  const Code code = error == ENOENT                     ? Code::kNotFound
                    : error == EACCES || error == EPERM ? Code::kPermissionDenied
                                                        : Code::kInternal;
  return {code, fmt::format("{}: cannot {}: {}", path, doing, std::strerror(error))};
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  // Some file systems tell only now that the disk is full.
  int Close() {
    const int error = close(fd_) == 0 ? 0 : errno;
    fd_ = -1;
    return error;
  }

 private:
  int fd_;
};

// 0 or errno.
int WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

Status WriteDirectly(const std::string& path, std::string_view text) {
  File file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.open()) return Failed(path, "write", errno);
  if (const int error = WriteAll(file.fd(), text); error != 0) return Failed(path, "write", error);
  return {};
}

}  // namespace

Result<Report> ReadReport(const std::string& path) {
  File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) return Failed(path, "read", errno);
  std::string text;
  char part[1 << 16];
  for (;;) {
    const ssize_t got = read(file.fd(), part, sizeof part);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed(path, "read", errno);
    if (got == 0) break;
    text.append(part, static_cast<size_t>(got));
    if (text.size() > kMostBytes) {
      return Status(Code::kInvalidArgument, path + ": larger than 256 MiB: not a report");
    }
  }
  auto report = FromJson(text);
  if (!report.ok()) return Status(report.status().code(), path + ": " + report.status().message());
  return report;
}

Status WriteFile(const std::string& path, std::string_view text) {
  struct stat there {};
  const bool exists = stat(path.c_str(), &there) == 0;
  if (exists && !S_ISREG(there.st_mode)) return WriteDirectly(path, text);
  if (exists && access(path.c_str(), W_OK) != 0) return Failed(path, "write", errno);

  const std::string target = exists ? std::filesystem::weakly_canonical(path).string() : path;
  const std::string temporary = fmt::format("{}.{}.tmp", target, getpid());
  unlink(temporary.c_str());  // of an earlier process of this number
  File file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file.open()) return Failed(path, "write", errno);
  int error = WriteAll(file.fd(), text);
  if (error == 0 && exists && fchmod(file.fd(), there.st_mode & 07777) != 0) error = errno;
  const int closed = file.Close();
  if (error == 0) error = closed;
  if (error == 0 && rename(temporary.c_str(), target.c_str()) != 0) error = errno;
  if (error == 0) return {};
  unlink(temporary.c_str());
  return Failed(path, "write", error);
}

Status CheckWritable(const std::string& path) {
  struct stat there {};
  if (stat(path.c_str(), &there) == 0) {
    if (S_ISDIR(there.st_mode)) return Failed(path, "write", EISDIR);
    return access(path.c_str(), W_OK) == 0 ? Status() : Failed(path, "write", errno);
  }
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const char* where = folder.empty() ? "." : folder.c_str();
  return access(where, W_OK | X_OK) == 0 ? Status() : Failed(path, "write", errno);
}

}  // namespace nightjar::report
