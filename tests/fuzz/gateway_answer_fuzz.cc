// Answers of push gateways. The first byte says which reads it, the second and third the status; up
// to a NUL the Retry-After header, and then the body.
#include <string>
#include <string_view>

#include "notifier/gateways/apns.h"
#include "notifier/gateways/fcm.h"
#include "notifier/gateways/webpush.h"
#include "tests/fuzz/check.h"

namespace {

using namespace nightjar;
using namespace nightjar::notify;

constexpr int64_t kNowMs = 1'800'000'000'000;
constexpr int64_t kDayMs = 24 * 3600 * 1000;

Verdict Read(int which, const HttpAnswer& answer) {
  if (which == 0) return ReadApns(answer, kNowMs);
  if (which == 1) return ReadFcm(answer, kNowMs);
  return ReadWebPush(answer, kNowMs);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data + 3), size - 3);
  const size_t end = std::min(rest.find('\0'), rest.size());
  HttpAnswer answer;
  answer.status = (data[1] << 8 | data[2]) % 1000;
  answer.retry_after = rest.substr(0, end);
  if (end < rest.size()) answer.body = rest.substr(end + 1);

  const Verdict verdict = Read(data[0] % 3, answer);
  FUZZ_CHECK(verdict.after_ms >= 0 && verdict.after_ms <= kDayMs);
  FUZZ_CHECK(verdict.dead_since_ms >= 0);
  FUZZ_CHECK(!verdict.reason.empty() && verdict.reason.size() <= 80);
  for (const char c : verdict.reason) FUZZ_CHECK(c >= 0x20 && c < 0x7f);
  FUZZ_CHECK((verdict.kind == Verdict::Kind::kSent) <= (answer.status / 100 == 2));
  return 0;
}
