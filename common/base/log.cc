#include "common/base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

namespace nightjar::log {
namespace {

constexpr std::string_view kNames[] = {"debug", "info", "notice", "warning", "error"};

std::string_view NameOf(Level level) { return kNames[static_cast<size_t>(level)]; }

std::atomic<Level> lowest{Level::kInfo};

std::shared_ptr<spdlog::logger> MakeLogger(std::string_view component) {
  auto logger = std::make_shared<spdlog::logger>(
      std::string(component), std::make_shared<spdlog::sinks::stderr_sink_mt>());
  // spdlog has no "notice", so the level is part of the text; Z because times are UTC.
  logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(
      "%Y-%m-%dT%H:%M:%S.%eZ %v", spdlog::pattern_time_type::utc));
  logger->set_level(spdlog::level::trace);
  logger->flush_on(spdlog::level::trace);
  return logger;
}

std::shared_ptr<spdlog::logger>& Logger() {
  static std::shared_ptr<spdlog::logger> logger = MakeLogger("nightjar");
  return logger;
}

}  // namespace

std::optional<Level> ParseLevel(std::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == name) return static_cast<Level>(i);
  }
  return std::nullopt;
}

void Start(std::string_view component, Level level) {
  Logger() = MakeLogger(component);
  lowest = level;
}

bool Enabled(Level level) { return level >= lowest.load(std::memory_order_relaxed); }

void Line(Level level, std::string_view text) {
  if (!Enabled(level)) return;
  const std::shared_ptr<spdlog::logger>& logger = Logger();
  std::string line = fmt::format("{} {}: {}", NameOf(level), logger->name(), text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  // Passed as a value: a brace in the text is no format.
  logger->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace nightjar::log
