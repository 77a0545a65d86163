// The processes of a stack that `./nj up` started: hurt them, start them again, and leave them
// well.
//
// A process is known by its pid and the instant it started, and is held by a pidfd from then on: a
// pid that the system has given to somebody else is never signalled. Every change of a pid is
// written back to stack.json at once, so that ./nj status and ./nj down go on working. While an
// object lives it holds the lock that ./nj up and ./nj down take.
//
// One owner, one thread. Nothing blocks but Heal(), and Listens() for an instant.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client-sim/chaos/stack_file.h"
#include "common/base/result.h"

namespace nightjar::chaos {

class Processes {
 public:
  // kNotFound, kInvalidArgument or kFailedPrecondition (a process does not run; somebody else has
  // the stack) with a message for people.
  static Result<std::unique_ptr<Processes>> Open(const std::string& stack_file);

  // What is paused is continued, what is dead is started again.
  ~Processes();
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  size_t size() const { return all_.size(); }
  const std::string& name(size_t i) const { return all_[i].entry.name; }
  int pid(size_t i) const { return all_[i].entry.pid; }
  const std::string& log(size_t i) const { return all_[i].entry.log; }
  bool running(size_t i) const { return all_[i].fd >= 0; }  // as far as Watch() has noticed
  bool paused(size_t i) const { return all_[i].paused; }

  // Sent, and back at once; Watch() notices the end. Nothing happens to a process that has ended.
  Status Kill(size_t i);
  Status Stop(size_t i);  // SIGTERM
  Status Pause(size_t i);
  Status Continue(size_t i);
  // With the arguments, environment, folder and log of before. REQUIRES: !running(i).
  Status Start(size_t i);

  struct Ended {
    size_t process = 0;
    bool wanted = false;   // after Kill() or Stop()
    bool crashed = false;  // by a signal that nobody here sent (only known of who was started here)
    std::string how;       // "signal 11", "exit code 1"; for one that ./nj up started only "ended"
  };
  // Who has ended since the last call.
  std::vector<Ended> Watch();

  // It takes connections on its port now; Redis also has its data loaded and answers PING (asked
  // for at most kAskMs); one that has no port: it runs and is not paused.
  bool Listens(size_t i) const;
  static constexpr int kAskMs = 20;

  // Continues, starts and waits until all listen: at most `most_ms`. kUnavailable names who does
  // not.
  Status Heal(int64_t most_ms);

 private:
  struct Process {
    StackFile::Entry entry;
    int fd = -1;         // pidfd; -1: it does not run
    bool child = false;  // of this process: is to be reaped
    bool paused = false;
    int told = 0;  // the last signal sent that ends it
  };

  explicit Processes(std::unique_ptr<StackFile> file);
  Status Signal(Process& process, int number);
  // Continues and starts whatever needs it; the first failure.
  Status Mend();

  std::unique_ptr<StackFile> file_;
  std::vector<Process> all_;
};

}  // namespace nightjar::chaos
