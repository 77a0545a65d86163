// Latencies in logarithmic buckets: exact below 128, within 0.8 % above, in fixed memory (64 KiB).
//
// Plain value; no sharing. The unit is the caller's (nanoseconds in the load generator).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace nightjar::swarm {

class Histogram {
 public:
  void Record(uint64_t value) {
    ++counts_[Index(value)];
    ++count_;
    max_ = std::max(max_, value);
  }
  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }

  void Clear() {
    if (count_ > 0) std::fill(counts_.begin(), counts_.end(), 0);
    count_ = max_ = 0;
  }

  // The smallest recorded value (upper edge of its bucket) that `fraction` of all values do not
  // exceed; 0 if empty.
  uint64_t Quantile(double fraction) const {
    if (count_ == 0) return 0;
    const auto rank = std::max<uint64_t>(
        1, static_cast<uint64_t>(fraction * static_cast<double>(count_) + 0.9999999));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= rank) return std::min(max_, UpperEdge(i));
    }
    return max_;
  }

  // f(largest value of the bucket, how many) for each that is not empty, ascending.
  template <typename F>
  void ForEachBucket(F&& f) const {
    for (size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] > 0) f(UpperEdge(i), counts_[i]);
    }
  }

 private:
  static constexpr int kBits = 7;  // sub-buckets of each power of two: 2^7
  static constexpr uint64_t kSub = uint64_t{1} << kBits;

  static size_t Index(uint64_t value) {
    if (value < kSub) return static_cast<size_t>(value);
    const int shift = std::bit_width(value) - kBits - 1;  // value >> shift is in [kSub, 2 kSub)
    return static_cast<size_t>((static_cast<uint64_t>(shift + 1) << kBits) + (value >> shift) -
                               kSub);
  }
  static uint64_t UpperEdge(size_t index) {
    if (index < kSub) return index;
    const uint64_t shift = (index >> kBits) - 1;
    const uint64_t mantissa = (index & (kSub - 1)) + kSub;
    return ((mantissa + 1) << shift) - 1;
  }

  std::vector<uint64_t> counts_ = std::vector<uint64_t>((64 - kBits + 1) * kSub);
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

}  // namespace nightjar::swarm
