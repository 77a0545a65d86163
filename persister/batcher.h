// From what a ReadLog brought to what is put into the store, and what is trimmed after that.
//
// Pure; one owner.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/hub/hub.h"
#include "nightjar/v1/hub.pb.h"

namespace nightjar::persist {

using Records = std::vector<v1::JournalRecord>;

// A record that can never be stored, and why.
struct DeadLetter {
  uint32_t partition = 0;
  uint64_t position = 0;  // in the partition's journal
  std::string record, reason;
};

// One batch on its way into the store. It is tried whole; where the store says that something in it
// can never be stored, halves are tried, until the culprits are single and become dead letters.
class Batch {
 public:
  Batch() = default;
  // Parses. What does not parse is a dead letter at once.
  explicit Batch(std::vector<hub::LogSlice> slices);

  // What to put next; null: nothing is left to put, and dead() is complete and in journal order.
  std::shared_ptr<const Records> Next();
  // The answer to what Next() returned last.
  void Stored();
  void Refused(const std::string& reason);

  // Once Next() has returned null: moves the messages of a slice out that were stored, in journal
  // order.
  std::vector<std::vector<v1::Message>> TakeStored();  // by slice

  const std::vector<DeadLetter>& dead() const { return dead_; }
  const std::vector<hub::LogSlice>& slices() const { return slices_; }  // records moved out of none
  size_t size() const { return sources_.size() + unparsed_; }           // records read
  bool backlog() const { return backlog_; }  // the log holds more than was read

 private:
  struct Source {
    uint32_t slice = 0, index = 0;
  };
  void AddDead(const Source& source, const std::string& reason);

  std::vector<hub::LogSlice> slices_;
  std::shared_ptr<Records> records_;
  std::vector<Source> sources_;                    // of records_, by index
  std::vector<std::pair<size_t, size_t>> ranges_;  // of records_, still to put; the last comes next
  std::vector<DeadLetter> dead_;
  size_t unparsed_ = 0;
  bool backlog_ = false;
};

}  // namespace nightjar::persist
