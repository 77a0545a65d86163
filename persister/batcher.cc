#include "persister/batcher.h"

#include <cassert>

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
      dead_.push_back({slice.partition, slice.records[i], "cannot be decoded"});
    }
  }
  if (!records_->empty()) ranges_.emplace_back(0, records_->size());
}

std::shared_ptr<const Records> Batch::Next() {
  if (ranges_.empty()) return nullptr;
  const auto [begin, end] = ranges_.back();
  if (begin == 0 && end == records_->size()) return records_;
  return std::make_shared<Records>(records_->begin() + static_cast<ptrdiff_t>(begin),
                                   records_->begin() + static_cast<ptrdiff_t>(end));
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
    const Source& source = sources_[begin];
    const hub::LogSlice& slice = slices_[source.slice];
    dead_.push_back({slice.partition, slice.records[source.index], reason});
    return;
  }
  const size_t middle = begin + (end - begin) / 2;
  ranges_.emplace_back(middle, end);
  ranges_.emplace_back(begin, middle);  // next: the older half first
}

}  // namespace nightjar::persist
