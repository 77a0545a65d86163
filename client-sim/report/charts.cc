#include "client-sim/report/charts.h"

#include <algorithm>
#include <functional>
#include <set>
#include <tuple>

namespace nightjar::report {
namespace {

constexpr size_t kStyles = 6;          // s0 ... s5 in page.css
constexpr size_t kMostProcesses = 24;  // more cannot be told apart

// The seconds of one point.
struct Point {
  int64_t t_s = 0;
  std::vector<const Second*> seconds;  // at least one
};

using Value = std::function<double(const Second&)>;

std::vector<Point> Split(const Report& report, int64_t step_s) {
  std::vector<Point> points;
  for (const Second& second : report.series) {
    int64_t from_s = second.t_s - second.t_s % step_s;
    if (second.t_s < from_s) from_s -= step_s;
    if (points.empty() || points.back().t_s != from_s) points.push_back({from_s, {}});
    points.back().seconds.push_back(&second);
  }
  return points;
}

int64_t Step(const Report& report, size_t most_points) {
  if (report.series.empty()) return 1;
  const auto span = static_cast<double>(report.series.back().t_s) -
                    static_cast<double>(report.series.front().t_s) + 1;
  for (const int64_t step : {1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600}) {
    if (span / static_cast<double>(step) < static_cast<double>(most_points)) return step;
  }
  return static_cast<int64_t>(std::min(span / static_cast<double>(most_points), 1e15)) + 1;
}

std::vector<std::optional<double>> Average(const std::vector<Point>& points, const Value& value) {
  std::vector<std::optional<double>> values;
  for (const Point& point : points) {
    double sum = 0;
    for (const Second* second : point.seconds) sum += value(*second);
    values.emplace_back(sum / static_cast<double>(point.seconds.size()));
  }
  return values;
}

std::vector<std::optional<double>> Last(const std::vector<Point>& points, const Value& value) {
  std::vector<std::optional<double>> values;
  for (const Point& point : points) values.emplace_back(value(*point.seconds.back()));
  return values;
}

std::vector<std::optional<double>> Worst(const std::vector<Point>& points, Latency Second::*latency,
                                         double Latency::*quantile) {
  std::vector<std::optional<double>> values;
  for (const Point& point : points) {
    std::optional<double> worst;
    for (const Second* second : point.seconds) {
      const Latency& here = second->*latency;
      if (here.count > 0) worst = std::max(worst.value_or(0), here.*quantile);
    }
    values.push_back(worst);
  }
  return values;
}

bool Says(const Line& line, bool zero_too) {
  return std::any_of(line.values.begin(), line.values.end(), [zero_too](const auto& value) {
    return value.has_value() && (zero_too || *value != 0);
  });
}

Chart Latencies(const std::vector<Point>& points) {
  Chart chart{"Latency", "ms", "From the intended send time; the scale is logarithmic.", true, {}};
  const auto add = [&](const char* name, const char* style, Latency Second::*latency,
                       double Latency::*quantile) {
    Line line{name, style, Worst(points, latency, quantile)};
    if (Says(line, true)) chart.lines.push_back(std::move(line));
  };
  add("accepted p50", "s0 thin", &Second::accepted_latency, &Latency::p50_ms);
  add("accepted p99", "s0", &Second::accepted_latency, &Latency::p99_ms);
  add("received p50", "s1 thin", &Second::received_latency, &Latency::p50_ms);
  add("received p99", "s1", &Second::received_latency, &Latency::p99_ms);
  return chart;
}

Chart Averages(std::string title, std::string unit, std::string note,
               const std::vector<Point>& points,
               const std::vector<std::tuple<const char*, const char*, uint64_t Second::*>>& lines) {
  Chart chart{std::move(title), std::move(unit), std::move(note), false, {}};
  for (const auto& [name, style, member] : lines) {
    const auto value = [member = member](const Second& second) {
      return static_cast<double>(second.*member);
    };
    Line line{name, style, Average(points, value)};
    if (Says(line, false)) chart.lines.push_back(std::move(line));
  }
  return chart;
}

Chart Gauge(std::string title, std::string unit, std::string note, const char* name,
            const char* style, const std::vector<Point>& points, uint64_t Second::*member) {
  const auto value = [member](const Second& second) { return static_cast<double>(second.*member); };
  Chart chart{std::move(title), std::move(unit), std::move(note), false, {}};
  chart.lines.push_back({name, style, Last(points, value)});
  return chart;
}

std::set<std::string> ProcessNames(const Report& report) {
  std::set<std::string> names;
  for (const Second& second : report.series) {
    for (const auto& [name, process] : second.processes) {
      if (names.size() < kMostProcesses) names.insert(name);
    }
  }
  return names;
}

ProcessSecond Of(const Second& second, const std::string& name) {
  const auto process = second.processes.find(name);
  return process == second.processes.end() ? ProcessSecond{} : process->second;
}

Chart Cpu(const Report& report, const std::vector<Point>& points) {
  Chart chart{"CPU of each server process", "%", "100 % is one core.", false, {}};
  for (const std::string& name : ProcessNames(report)) {
    const auto value = [&name](const Second& second) {
      return static_cast<double>(Of(second, name).cpu_us) / 1e4;
    };
    chart.lines.push_back(
        {name, "s" + std::to_string(chart.lines.size() % kStyles), Average(points, value)});
  }
  return chart;
}

Chart Memory(const Report& report, const std::vector<Point>& points) {
  Chart chart{"Memory of each server process",
              "MB",
              "Resident; 0 while the process was not running.",
              false,
              {}};
  for (const std::string& name : ProcessNames(report)) {
    const auto value = [&name](const Second& second) {
      return static_cast<double>(Of(second, name).rss_bytes) / 1e6;
    };
    chart.lines.push_back(
        {name, "s" + std::to_string(chart.lines.size() % kStyles), Last(points, value)});
  }
  return chart;
}

void AddIfItSays(Charts& charts, Chart chart) {
  const bool says = std::any_of(chart.lines.begin(), chart.lines.end(), [&chart](const Line& line) {
    return Says(line, chart.logarithmic);
  });
  if (says) charts.charts.push_back(std::move(chart));
}

}  // namespace

Charts MakeCharts(const Report& report, size_t most_points) {
  Charts charts;
  charts.step_s = Step(report, most_points);
  const std::vector<Point> points = Split(report, charts.step_s);
  for (const Point& point : points) charts.t_s.push_back(point.t_s);

  AddIfItSays(charts, Latencies(points));
  AddIfItSays(charts, Averages("Throughput", "messages/s",
                               "Received counts copies: a message to a group has many.", points,
                               {{"sent", "s5 wide", &Second::sent},
                                {"accepted", "s0", &Second::accepted},
                                {"received", "s1 dashed", &Second::received},
                                {"delivered", "s2 dotted", &Second::delivered},
                                {"rejected", "s4", &Second::rejected}}));
  AddIfItSays(charts, Gauge("Connections", "clients", "Logged in at the end of each second.",
                            "connected", "s0 filled", points, &Second::connected));
  AddIfItSays(charts,
              Gauge("Backlog", "messages", "Intended, and neither accepted nor rejected yet.",
                    "backlog", "s3 filled", points, &Second::backlog));
  AddIfItSays(charts, Cpu(report, points));
  AddIfItSays(charts, Memory(report, points));
  AddIfItSays(charts, Averages("Traffic", "bytes/s",
                               "TCP payload: MQTT and Nightjar, without TCP's own headers.", points,
                               {{"to the brokers", "s0", &Second::bytes_up},
                                {"to the clients", "s1", &Second::bytes_down}}));
  return charts;
}

}  // namespace nightjar::report
