// stack.json as its writer sees it: what each process needs to be started again, and its pid.
// (client-sim/stack.h is for those who only want to connect.)
//
// One owner. Holds the lock file beside it, on which ./nj up and ./nj down wait.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace nightjar::chaos {

class StackFile {
 public:
  struct Entry {
    std::string name;
    std::vector<std::string> argv;
    std::vector<std::string> env;  // "NAME=value"
    std::string cwd, log;
    int port = 0;  // where it listens; 0: nowhere
    int pid = 0;
    uint64_t start_ticks = 0;  // since boot
  };

  // kNotFound, kInvalidArgument, or kFailedPrecondition if the lock is held by somebody.
  static Result<std::unique_ptr<StackFile>> Open(const std::string& path);
  ~StackFile();
  StackFile(const StackFile&) = delete;
  StackFile& operator=(const StackFile&) = delete;

  const std::vector<Entry>& entries() const { return entries_; }
  // Replaces the file in one step; a reader never sees half of it.
  Status Restarted(const std::string& name, int pid, uint64_t start_ticks);

 private:
  struct Document;

  StackFile();
  Status Read(const std::string& path);
  Status Lock();

  std::string path_;
  int lock_ = -1;
  std::unique_ptr<Document> document_;
  std::vector<Entry> entries_;
};

}  // namespace nightjar::chaos
