#include "client-sim/judge/chain.h"

#include <fmt/format.h>

namespace nightjar::client::judge {

void ChainReader::Read(uint64_t id, uint64_t content, std::vector<std::string>& wrong) {
  PassCheckpoints(id, wrong);
  read_.Add(id, content);
}

void ChainReader::PassCheckpoints(uint64_t id, std::vector<std::string>& wrong) {
  const auto& checkpoints = chain_.checkpoints();
  while (next_ < checkpoints.size() && checkpoints[next_].msg_id < id) {
    Compare(checkpoints[next_++], wrong);
  }
}

void ChainReader::End(std::vector<std::string>& wrong) {
  PassCheckpoints(UINT64_MAX, wrong);
  if (known_.count < chain_.end().count || read_.count != known_.count) {
    Compare(chain_.end(), wrong);
  }
}

void ChainReader::Compare(const Link& expected, std::vector<std::string>& wrong) {
  const std::string range = fmt::format("after {} up to {}", known_.msg_id, expected.msg_id);
  const uint64_t differs = read_.xor_ids ^ expected.xor_ids;
  if (read_.count < expected.count) {
    const uint64_t missing = expected.count - read_.count;
    wrong.push_back(missing == 1 ? fmt::format("lacks message {}", differs)
                                 : fmt::format("lacks {} of the {} messages {}", missing,
                                               expected.count - known_.count, range));
  } else if (read_.count > expected.count) {
    const uint64_t extra = read_.count - expected.count;
    wrong.push_back(extra == 1
                        ? fmt::format("has message {}, which nobody was told was accepted", differs)
                        : fmt::format("has {} messages too many {}", extra, range));
  } else if (differs != 0) {
    wrong.push_back(fmt::format("has other messages than were accepted {}", range));
  } else if (read_.hash != expected.hash) {
    wrong.push_back(
        fmt::format("has another text or author than was accepted in one of the {} messages {}",
                    expected.count - known_.count, range));
  }
  read_ = expected;
  known_ = expected;
}

}  // namespace nightjar::client::judge
