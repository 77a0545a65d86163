// A small world that keeps every promise, played event by event from a seed, without brain or
// server: what devices would tell while people write, groups change, devices come, go and appear
// later, answers get lost, an epoch ends. Judge tests spoil its record in one place and see
// whether the judge notices.
//
// Pure; one owner.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "client-sim/brain/happening.h"
#include "client-sim/judge/oracle.h"
#include "common/base/clock.h"
#include "common/base/dice.h"

namespace nightjar::client {

struct Told {
  enum class Kind { kExpect, kTook, kDisturbed };
  Kind kind = Kind::kTook;
  size_t device = 0;  // index into Record::devices
  Happening happening;
  Now now;
};

struct Record {
  std::vector<std::pair<std::string, std::string>> devices;  // uid, name
  std::vector<Told> told;
  std::map<std::string, std::vector<v1::Message>> histories;
  Now end;
};

struct WorldShape {
  int users = 4;
  int steps = 400;
  bool groups = true, late_devices = true, cuts = true, epochs = true, refusals = true;
  bool unique_texts = true;
};

Record PlayWorld(uint64_t seed, const WorldShape& shape = {});

struct Judged {
  std::vector<Violation> violations;
  Tally tally;
  bool settled = false;  // before Finish
  std::string outstanding;
};
Judged Judge(const Record& record, OracleOptions options = {});

}  // namespace nightjar::client
