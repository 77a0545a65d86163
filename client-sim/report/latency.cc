#include "client-sim/report/latency.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace nightjar::report {
namespace {

double Ms(uint64_t ns) { return static_cast<double>(ns) / 1e6; }

// The bucket that the value of this rank fell in: its upper edge.
double Quantile(const std::vector<Bucket>& buckets, uint64_t count, double fraction,
                uint64_t max_ns) {
  const double wanted = std::ceil(fraction * static_cast<double>(count) - 1e-7);
  const uint64_t rank = std::max<uint64_t>(1, static_cast<uint64_t>(std::max(wanted, 0.0)));
  uint64_t seen = 0;
  for (const Bucket& bucket : buckets) {
    seen += bucket.count;
    if (seen >= rank) return Ms(std::min(bucket.upper_ns, max_ns));
  }
  return Ms(max_ns);
}

std::vector<Bucket> Sum(const std::vector<Bucket>& a, const std::vector<Bucket>& b) {
  std::vector<Bucket> sum;
  sum.reserve(a.size() + b.size());
  auto left = a.begin(), right = b.begin();
  while (left != a.end() || right != b.end()) {
    if (right == b.end() || (left != a.end() && left->upper_ns < right->upper_ns)) {
      sum.push_back(*left++);
    } else if (left == a.end() || right->upper_ns < left->upper_ns) {
      sum.push_back(*right++);
    } else {
      sum.push_back({left->upper_ns, left->count + right->count});
      ++left, ++right;
    }
  }
  return sum;
}

}  // namespace

Latency Summarise(std::vector<Bucket> buckets, uint64_t max_ns) {
  Latency latency;
  std::erase_if(buckets, [](const Bucket& bucket) { return bucket.count == 0; });
  for (const Bucket& bucket : buckets) latency.count += bucket.count;
  if (latency.count == 0) return latency;
  latency.p50_ms = Quantile(buckets, latency.count, 0.5, max_ns);
  latency.p90_ms = Quantile(buckets, latency.count, 0.9, max_ns);
  latency.p99_ms = Quantile(buckets, latency.count, 0.99, max_ns);
  latency.p999_ms = Quantile(buckets, latency.count, 0.999, max_ns);
  latency.max_ms = Ms(max_ns);
  latency.buckets = std::move(buckets);
  return latency;
}

void Merge(Latency& into, const Latency& other) {
  if (other.count == 0) return;
  if (into.count == 0) {
    into = other;
    return;
  }
  const double max_ms = std::max(into.max_ms, other.max_ms);
  if (into.buckets.empty() || other.buckets.empty()) {
    into.count += other.count;
    into.p50_ms = std::max(into.p50_ms, other.p50_ms);
    into.p90_ms = std::max(into.p90_ms, other.p90_ms);
    into.p99_ms = std::max(into.p99_ms, other.p99_ms);
    into.p999_ms = std::max(into.p999_ms, other.p999_ms);
    into.max_ms = max_ms;
    into.buckets.clear();
    return;
  }
  into = Summarise(Sum(into.buckets, other.buckets),
                   static_cast<uint64_t>(std::llround(std::min(max_ms * 1e6, 9e18))));
}

}  // namespace nightjar::report
