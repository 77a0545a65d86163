#include "client-sim/swarm/probe.h"

#include <unistd.h>

#include <charconv>
#include <fstream>
#include <sstream>

namespace nightjar::swarm {

Result<Usage> UsageOf(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) {
    return Status(Code::kNotFound, "no process " + std::to_string(pid));
  }
  // The second field is the name in brackets, which may hold spaces: count from the last bracket.
  std::istringstream rest(line.substr(line.rfind(')') + 1));
  std::string skip;
  for (int field = 3; field <= 13; ++field) rest >> skip;
  int64_t user = 0, system = 0;
  rest >> user >> system;
  for (int field = 16; field <= 23; ++field) rest >> skip;
  int64_t pages = 0;
  rest >> pages;
  if (!rest) return Status(Code::kNotFound, "cannot read /proc of " + std::to_string(pid));
  Usage usage;
  usage.cpu_us = (user + system) * 1'000'000 / sysconf(_SC_CLK_TCK);
  usage.rss_bytes = pages * sysconf(_SC_PAGESIZE);
  return usage;
}

int64_t MachineBusyUs() {
  std::ifstream file("/proc/stat");
  std::string cpu;
  int64_t user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  file >> cpu >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal;
  return (user + nice + system + irq + softirq + steal) * 1'000'000 / sysconf(_SC_CLK_TCK);
}

Result<Watched> ParseWatched(const std::string& text) {
  Watched watched;
  const size_t eq = text.find('=');
  if (eq == std::string::npos || eq == 0) return Status(Code::kInvalidArgument, "want NAME=PID");
  watched.name = text.substr(0, eq);
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data() + eq + 1, end, watched.pid);
  if (error != std::errc() || at != end || watched.pid <= 0) {
    return Status(Code::kInvalidArgument, "want NAME=PID, not " + text);
  }
  return watched;
}

}  // namespace nightjar::swarm
