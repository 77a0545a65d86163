#include "client-sim/report/json.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>

namespace nightjar::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostItems = 1'000'000;  // of one list or map
// So that sums over all phases or seconds stay within 64 bits.
constexpr size_t kMostPhases = 10'000;
constexpr int64_t kLargest = 900'000'000'000'000;
constexpr int64_t kLongest_s = 1'000'000'000;

// Each value has one list of its fields, walked by the writer and by the reader.
template <typename Io>
void Fields(Io& io, Latency& latency) {
  io("count", latency.count);
  io("p50_ms", latency.p50_ms);
  io("p90_ms", latency.p90_ms);
  io("p99_ms", latency.p99_ms);
  io("p999_ms", latency.p999_ms);
  io("max_ms", latency.max_ms);
  io("buckets", latency.buckets);
}

template <typename Io>
void Fields(Io& io, Counts& counts) {
  io("intended", counts.intended);
  io("sent", counts.sent);
  io("accepted", counts.accepted);
  io("received", counts.received);
  io("delivered", counts.delivered);
  io("rejected", counts.rejected);
  io("unanswered", counts.unanswered);
  io("others", counts.others);
}

template <typename Io>
void Fields(Io& io, Phase& phase) {
  io("name", phase.name);
  io("rate", phase.rate);
  io("from_s", phase.from_s);
  io("seconds", phase.seconds);
  io("counts", phase.counts);
  io("handled", phase.handled);
  io("bytes_up", phase.bytes_up);
  io("bytes_down", phase.bytes_down);
  io("accepted", phase.accepted);
  io("received", phase.received);
  io("delivered", phase.delivered);
  io("cpu_us", phase.cpu_us);
  io("load_cpu_us", phase.load_cpu_us);
  io("others_share", phase.others_share);
}

template <typename Io>
void Fields(Io& io, ProcessSecond& second) {
  io("cpu_us", second.cpu_us);
  io("rss_bytes", second.rss_bytes);
}

template <typename Io>
void Fields(Io& io, Second& second) {
  io("t_s", second.t_s);
  io("connected", second.connected);
  io("sent", second.sent);
  io("accepted", second.accepted);
  io("received", second.received);
  io("delivered", second.delivered);
  io("rejected", second.rejected);
  io("backlog", second.backlog);
  io("accepted_latency", second.accepted_latency);
  io("received_latency", second.received_latency);
  io("bytes_up", second.bytes_up);
  io("bytes_down", second.bytes_down);
  io("processes", second.processes);
}

template <typename Io>
void Fields(Io& io, Fault& fault) {
  io("from_s", fault.from_s);
  io("to_s", fault.to_s);
  io("process", fault.process);
  io("what", fault.what);
}

template <typename Io>
void Fields(Io& io, PacketKind& kind) {
  io("name", kind.name);
  io("up", kind.up);
  io("packets", kind.packets);
  io("bytes", kind.bytes);
}

template <typename Io>
void Fields(Io& io, Violation& violation) {
  io("promise", violation.promise);
  io("what", violation.what);
  io("story", violation.story);
}

template <typename Io>
void Fields(Io& io, Verdict& verdict) {
  io("judged", verdict.judged);
  io("violation_count", verdict.violation_count);
  io("violations", verdict.violations);
  io("tally", verdict.tally);
}

template <typename Io>
void Fields(Io& io, Process& process) {
  io("name", process.name);
  io("cpu_us", process.cpu_us);
  io("rss_peak_bytes", process.rss_peak_bytes);
  io("starts", process.starts);
}

template <typename Io>
void Fields(Io& io, Idle& idle) {
  io("connections", idle.connections);
  io("settle_s", idle.settle_s);
  io("rss_bytes_per_connection", idle.rss_bytes_per_connection);
  io("cpu_us_per_login", idle.cpu_us_per_login);
}

template <typename Io>
void Fields(Io& io, Report& report) {
  io("title", report.title);
  io("started_ms", report.started_ms);
  io("seed", report.seed);
  io("command", report.command);
  io("machine", report.machine);
  io("options", report.options);
  io("load_processes", report.load_processes);
  io("interrupted", report.interrupted);
  io("phases", report.phases);
  io("series", report.series);
  io("faults", report.faults);
  io("packets", report.packets);
  io("processes", report.processes);
  io("load_rss_peak_bytes", report.load_rss_peak_bytes);
  io("idle", report.idle);
  io("judge", report.judge);
  io("trouble_count", report.trouble_count);
  io("troubles", report.troubles);
}

// ---- writing ------------------------------------------------------------------------------------

struct Writer {
  Json& object;

  template <typename T>
  void operator()(const char* name, T& value) {
    object[name] = ToValue(value);
  }

  static Json ToValue(Bucket& bucket) { return Json::array({bucket.upper_ns, bucket.count}); }
  template <typename T>
  static Json ToValue(std::vector<T>& list) {
    Json array = Json::array();
    for (T& item : list) array.push_back(ToValue(item));
    return array;
  }
  template <typename T>
  static Json ToValue(std::map<std::string, T>& map) {
    Json object = Json::object();
    for (auto& [key, value] : map) object[key] = ToValue(value);
    return object;
  }
  static Json ToValue(double& value) { return std::isfinite(value) ? Json(value) : Json(0.0); }
  template <typename T>
  static Json ToValue(T& value) {
    if constexpr (std::is_class_v<T> && !std::is_same_v<T, std::string>) {
      Json object = Json::object();
      Writer writer{object};
      Fields(writer, value);
      return object;
    } else {
      return value;
    }
  }
};

// ---- reading ------------------------------------------------------------------------------------

struct Bad {
  std::string what;
};

[[noreturn]] void Fail(const std::string& where, const char* what) {
  throw Bad{fmt::format("{}: {}", where.empty() ? "the report" : where, what)};
}

struct Reader {
  const Json& object;
  const std::string& where;  // the path of `object`, for errors

  template <typename T>
  void operator()(const char* name, T& value) {
    const auto found = object.find(name);
    if (found != object.end()) Read(*found, where.empty() ? name : where + "." + name, value);
  }

  static void Read(const Json& json, const std::string& where, std::string& value) {
    if (!json.is_string()) Fail(where, "not a text");
    value = json.get<std::string>();
  }
  static void Read(const Json& json, const std::string& where, bool& value) {
    if (!json.is_boolean()) Fail(where, "neither true nor false");
    value = json.get<bool>();
  }
  static void Read(const Json& json, const std::string& where, double& value) {
    if (!json.is_number()) Fail(where, "not a number");
    value = json.get<double>();
    if (!std::isfinite(value)) Fail(where, "not a number that can be");
  }
  static void Read(const Json& json, const std::string& where, uint64_t& value) {
    if (!json.is_number_unsigned()) Fail(where, "not a whole number from 0 on");
    value = json.get<uint64_t>();
  }
  static void Read(const Json& json, const std::string& where, int64_t& value) {
    if (!json.is_number_integer()) Fail(where, "not a whole number");
    if ((json.is_number_unsigned() && json.get<uint64_t>() > kLargest) ||
        (!json.is_number_unsigned() && json.get<int64_t>() < -kLargest)) {
      Fail(where, "too large a number");
    }
    value = json.get<int64_t>();
  }
  static void Read(const Json& json, const std::string& where, Bucket& value) {
    if (!json.is_array() || json.size() != 2) Fail(where, "not a pair [upper_ns, count]");
    Read(json[0], where + "[0]", value.upper_ns);
    Read(json[1], where + "[1]", value.count);
  }
  template <typename T>
  static void Read(const Json& json, const std::string& where, std::vector<T>& list) {
    if (!json.is_array()) Fail(where, "not a list");
    if (json.size() > kMostItems) Fail(where, "too long a list");
    list.clear();
    list.reserve(json.size());
    for (size_t i = 0; i < json.size(); ++i) {
      Read(json[i], fmt::format("{}[{}]", where, i), list.emplace_back());
    }
  }
  template <typename T>
  static void Read(const Json& json, const std::string& where, std::map<std::string, T>& map) {
    if (!json.is_object()) Fail(where, "not an object");
    if (json.size() > kMostItems) Fail(where, "too large an object");
    map.clear();
    for (const auto& [key, item] : json.items()) Read(item, where + "." + key, map[key]);
  }
  template <typename T>
  requires std::is_class_v<T>
  static void Read(const Json& json, const std::string& where, T& value) {
    if (!json.is_object()) Fail(where, "not an object");
    Reader reader{json, where};
    Fields(reader, value);
  }
};

bool Ascending(const Latency& latency) {
  for (size_t i = 1; i < latency.buckets.size(); ++i) {
    if (latency.buckets[i - 1].upper_ns >= latency.buckets[i].upper_ns) return false;
  }
  return true;
}

// What types cannot say.
void Check(const Report& report) {
  if (report.phases.size() > kMostPhases) Fail("phases", "too long a list");
  for (size_t i = 0; i < report.phases.size(); ++i) {
    const Phase& phase = report.phases[i];
    if (!Ascending(phase.accepted) || !Ascending(phase.received) || !Ascending(phase.delivered)) {
      Fail(fmt::format("phases[{}]", i), "buckets that do not ascend");
    }
  }
  for (size_t i = 0; i < report.series.size(); ++i) {
    const Second& second = report.series[i];
    const std::string where = fmt::format("series[{}]", i);
    if (!Ascending(second.accepted_latency) || !Ascending(second.received_latency)) {
      Fail(where, "buckets that do not ascend");
    }
    if (second.t_s < -kLongest_s || second.t_s > kLongest_s) Fail(where, "t_s is beyond all runs");
    if (i > 0 && report.series[i - 1].t_s >= second.t_s) Fail(where, "t_s does not ascend");
  }
}

void CheckSchema(const Json& json) {
  if (!json.is_object()) Fail("", "not a JSON object");
  const auto schema = json.find("schema");
  if (schema == json.end()) Fail("schema", "missing: not a report of nightjar-sim");
  if (!schema->is_string() || schema->get_ref<const std::string&>() != kSchema) {
    Fail("schema", "another one than this program reads (nightjar-sim-report/1)");
  }
}

}  // namespace

std::string ToJson(const Report& report, Detail detail) {
  Report copy = report;
  if (detail == Detail::kForReading) {
    for (Second& second : copy.series) {
      second.accepted_latency.buckets.clear();
      second.received_latency.buckets.clear();
    }
  }
  Json json = {{"schema", kSchema}};
  Writer writer{json};
  Fields(writer, copy);
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Report> FromJson(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    CheckSchema(json);
    Report report;
    const std::string top;
    Reader reader{json, top};
    Fields(reader, report);
    Check(report);
    return report;
  } catch (const Bad& bad) {
    return Status(Code::kInvalidArgument, bad.what);
  } catch (const Json::parse_error& error) {
    return Status(Code::kInvalidArgument, fmt::format("not JSON, at byte {}", error.byte));
  }
}

}  // namespace nightjar::report
