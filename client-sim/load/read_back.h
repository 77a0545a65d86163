// Reads the whole history of chats back at the end of a run, page by page, and shows it to the
// judge.
//
// One owner: the run's thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client-sim/load/fleet.h"

namespace nightjar::load {

class ReadBack {
 public:
  static constexpr uint32_t kAtOnce = 16;

  // Reads at most `most` chats, chosen evenly. All must outlive it.
  ReadBack(Fleet* fleet, const crowd::Crowd* crowd, client::Oracle* judge, size_t most);

  // Starts what may start.
  void Step(int64_t now_ns);
  bool done() const { return next_ == chats_.size() && running_ == 0; }
  size_t chats() const { return chats_.size(); }
  size_t read() const { return read_; }
  const std::vector<std::string>& failures() const { return failures_; }

 private:
  void Page(uint32_t chat, uint64_t after, int64_t now_ns);

  Fleet* fleet_;
  const crowd::Crowd* crowd_;
  client::Oracle* judge_;
  std::vector<uint32_t> chats_;
  size_t next_ = 0, read_ = 0;
  uint32_t running_ = 0;
  std::vector<std::string> failures_;
};

}  // namespace nightjar::load
