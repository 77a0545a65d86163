// A door in the store's folder: how another program of the same user on this machine asks something
// of the process that has the store open. A Unix socket; one question a connection, one line of
// JSON each way.
//
// Threads: one of its own answers, one question after the other.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "common/base/result.h"

namespace nightjar::persist {

class StoreDoor {
 public:
  // Runs on the door's thread. `closing` turns true when the answer is no longer waited for.
  using Answer =
      std::function<std::string(const std::string& question, const std::function<bool()>& closing)>;

  // REQUIRES: this process has the store in `dir` open (so what lies there is a dead one's).
  static Result<std::unique_ptr<StoreDoor>> Open(const std::string& dir, Answer answer);
  ~StoreDoor();

 private:
  StoreDoor(std::string dir, int fd, int wake, Answer answer);
  void Run();
  void Serve(int fd);

  const std::string dir_;
  const int fd_, wake_;  // wake_: an eventfd, readable from the end on
  const Answer answer_;
  std::atomic<bool> closing_{false};
  std::thread thread_;
};

// Waits for the answer, however long it takes. Nothing: nobody is behind the door, or whoever was
// has gone without an answer (`gone` is true then).
std::optional<std::string> AskAtDoor(const std::string& dir, const std::string& question,
                                     bool& gone);

}  // namespace nightjar::persist
