// How long something took, over many messages: buckets to add up, and the summary people read.
//
// Plain values; no sharing. Buckets are sparse and name their own edge, so that a report can be
// merged with another without knowing how the histogram was laid out.
#pragma once

#include <cstdint>
#include <vector>

namespace nightjar::report {

struct Bucket {
  uint64_t upper_ns = 0;  // the largest value that fell in here
  uint64_t count = 0;
  friend bool operator==(const Bucket&, const Bucket&) = default;
};

struct Latency {
  uint64_t count = 0;
  double p50_ms = 0, p90_ms = 0, p99_ms = 0, p999_ms = 0, max_ms = 0;
  std::vector<Bucket> buckets;  // ascending by upper_ns; empty: only the summary is known
  friend bool operator==(const Latency&, const Latency&) = default;
};

// The summary of buckets. REQUIRES: ascending by upper_ns. `max_ns` is the largest value itself;
// no percentile is told above it.
Latency Summarise(std::vector<Bucket> buckets, uint64_t max_ns);

// Of any histogram with max() and ForEachBucket(f), f(upper_edge, count) ascending, in ns, such as
// swarm::Histogram.
template <typename Histogram>
Latency Summarise(const Histogram& histogram) {
  std::vector<Bucket> buckets;
  histogram.ForEachBucket([&buckets](uint64_t upper_ns, uint64_t count) {
    buckets.push_back({upper_ns, count});
  });
  return Summarise(std::move(buckets), histogram.max());
}

// Adds `other` to `into`: exact where both have buckets. Where one of them has only its summary,
// percentiles cannot be added; the larger is told, and the buckets go.
void Merge(Latency& into, const Latency& other);

}  // namespace nightjar::report
