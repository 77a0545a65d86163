// What a chat's history must read like, in a few hundred bytes: a hash chain over all settled
// messages with sparse checkpoints, so that a history that differs is narrowed to the range between
// two of them, and one missing or added message to its id.
//
// Pure; one owner.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client-sim/judge/basics.h"

namespace nightjar::client::judge {

struct Link {
  uint64_t count = 0;   // messages so far
  uint64_t msg_id = 0;  // of the last one
  uint64_t hash = 0;    // over id, author and text of all
  uint64_t xor_ids = 0;

  void Add(uint64_t id, uint64_t content) {
    ++count;
    msg_id = id;
    hash = Mix(Mix(hash, id), content);
    xor_ids ^= id;
  }
};

class Chain {
 public:
  static constexpr size_t kMostCheckpoints = 32;
  static constexpr uint64_t kFirstStride = 64;

  // REQUIRES: id above all before. `content` is a hash of author and text.
  void Add(uint64_t id, uint64_t content) {
    end_.Add(id, content);
    if (end_.count % stride_ != 0) return;
    checkpoints_.push_back(end_);
    if (checkpoints_.size() < kMostCheckpoints) return;
    stride_ *= 2;
    size_t kept = 0;
    for (const Link& link : checkpoints_) {
      if (link.count % stride_ == 0) checkpoints_[kept++] = link;
    }
    checkpoints_.resize(kept);
  }
  const Link& end() const { return end_; }
  const std::vector<Link>& checkpoints() const { return checkpoints_; }
  size_t bytes() const { return checkpoints_.capacity() * sizeof(Link); }

 private:
  Link end_;
  uint64_t stride_ = kFirstStride;
  std::vector<Link> checkpoints_;
};

// Compares a history that is read ascending with a chain.
class ChainReader {
 public:
  explicit ChainReader(const Chain& chain) : chain_(chain) {}
  // REQUIRES: ids ascending, none beyond the end of the chain. What does not fit is appended to
  // `wrong`, a line each.
  void Read(uint64_t id, uint64_t content, std::vector<std::string>& wrong);
  void End(std::vector<std::string>& wrong);

 private:
  // Compares with every checkpoint before `id`.
  void PassCheckpoints(uint64_t id, std::vector<std::string>& wrong);
  void Compare(const Link& expected, std::vector<std::string>& wrong);

  const Chain& chain_;
  size_t next_ = 0;
  Link read_;   // continued from the last checkpoint even if it differed
  Link known_;  // the last checkpoint
};

}  // namespace nightjar::client::judge
