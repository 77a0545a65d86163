#include "common/base/clock.h"

#include <chrono>

namespace nightjar {

Now SystemNow() {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  return {
      .mono_ms = duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
                     .count(),
      .unix_ms = duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch())
                     .count(),
  };
}

}  // namespace nightjar
