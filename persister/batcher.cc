#include "persister/batcher.h"

#include <algorithm>
#include <cassert>
#include <set>
#include <tuple>

namespace nightjar::persist {

Batch::Batch(std::vector<hub::LogSlice> slices)
    : slices_(std::move(slices)), records_(std::make_shared<Records>()) {
  size_t total = 0;
  for (const auto& slice : slices_) total += slice.records.size();
  records_->reserve(total);
  sources_.reserve(total);
  for (uint32_t s = 0; s < slices_.size(); ++s) {
    const hub::LogSlice& slice = slices_[s];
    if (slice.first + slice.records.size() < slice.end) backlog_ = true;
    for (uint32_t i = 0; i < slice.records.size(); ++i) {
      if (records_->emplace_back().ParseFromString(slice.records[i])) {
        sources_.push_back({s, i});
        continue;
      }
      records_->pop_back();
      ++unparsed_;
      AddDead({s, i}, "cannot be decoded");
    }
  }
  if (!records_->empty()) ranges_.emplace_back(0, records_->size());
}

std::shared_ptr<const Records> Batch::Next() {
  if (ranges_.empty()) {
    std::sort(dead_.begin(), dead_.end(), [](const DeadLetter& a, const DeadLetter& b) {
      return std::tie(a.partition, a.position) < std::tie(b.partition, b.position);
    });
    return nullptr;
  }
  const auto [begin, end] = ranges_.back();
  if (begin == 0 && end == records_->size()) return records_;
  return std::make_shared<Records>(records_->begin() + static_cast<ptrdiff_t>(begin),
                                   records_->begin() + static_cast<ptrdiff_t>(end));
}

void Batch::AddDead(const Source& source, const std::string& reason) {
  const hub::LogSlice& slice = slices_[source.slice];
  dead_.push_back(
      {slice.partition, slice.first + source.index, slice.records[source.index], reason});
}

void Batch::Stored() {
  assert(!ranges_.empty());
  ranges_.pop_back();
}

void Batch::Refused(const std::string& reason) {
  assert(!ranges_.empty());
  const auto [begin, end] = ranges_.back();
  ranges_.pop_back();
  if (end - begin == 1) {
    AddDead(sources_[begin], reason);
    return;
  }
  const size_t middle = begin + (end - begin) / 2;
  ranges_.emplace_back(middle, end);
  ranges_.emplace_back(begin, middle);  // next: the older half first
}

std::vector<std::vector<v1::Message>> Batch::TakeStored() {
  std::vector<std::vector<v1::Message>> out(slices_.size());
  std::set<std::pair<uint32_t, uint64_t>> dead;
  for (const DeadLetter& letter : dead_) dead.emplace(letter.partition, letter.position);
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (!(*records_)[i].has_message()) continue;
    const hub::LogSlice& slice = slices_[sources_[i].slice];
    if (dead.contains({slice.partition, slice.first + sources_[i].index})) continue;
    out[sources_[i].slice].push_back(std::move(*(*records_)[i].mutable_message()));
  }
  return out;
}

}  // namespace nightjar::persist
