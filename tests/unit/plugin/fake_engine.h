// An engine that does what the test says, in place of the core: the shells are tested by
// themselves.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plugin/core/engine.h"

namespace nightjar::test {

struct FakeEngine {
  // What it was told, one short line an event: "connect 1 alice:a", "published 1 s hello", ...
  std::vector<std::string> events;
  std::function<void(const core::Event&, core::Actions&)> script;  // says what is to be done
  std::shared_ptr<const KeySet> keys;
  int64_t deadline = INT64_MAX;

  static FakeEngine& Reset();
  static FakeEngine& Get();
};

}  // namespace nightjar::test
