#include "client-sim/report/html_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "client-sim/report/figures.h"

namespace nightjar::report {
namespace {

constexpr size_t kMostRows = 2000;  // of one table; more help nobody

std::string Pair(const std::string& name, const std::string& value) {
  return fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", EscapeHtml(name), EscapeHtml(value));
}

struct Tile {
  std::string name, value, unit;
  std::vector<std::pair<std::string, std::string>> more;
  std::string kind = {};  // "good", "bad", ""
};

void AppendTile(std::string& page, const Tile& tile) {
  page +=
      fmt::format("<section class=\"tile {}\"><h2>{}</h2><p class=\"big\">{}<small>{}</small></p>",
                  tile.kind, EscapeHtml(tile.name), EscapeHtml(tile.value), EscapeHtml(tile.unit));
  if (!tile.more.empty()) {
    page += "<dl>";
    for (const auto& [name, value] : tile.more) page += Pair(name, value);
    page += "</dl>";
  }
  page += "</section>\n";
}

Tile VerdictTile(const Report& report, const Phase& whole) {
  Tile tile{"Verdict", "", "", {}};
  if (!report.judge.judged) {
    tile.value = "not judged";
  } else if (report.judge.violation_count > 0) {
    tile.value = Count(report.judge.violation_count);
    tile.unit = report.judge.violation_count == 1 ? "broken promise" : "broken promises";
    tile.kind = "bad";
  } else {
    tile.value = "✓ kept";
    tile.unit = "all promises";
    tile.kind = "good";
  }
  const bool silent = whole.counts.unanswered == 0;
  tile.more.emplace_back("unanswered", Count(whole.counts.unanswered));
  tile.more.emplace_back("troubles", Count(report.trouble_count));
  if (!silent && tile.kind == "good") tile.kind = "";
  if (report.interrupted) tile.more.emplace_back("ended", "interrupted");
  return tile;
}

Tile LatencyTile(const std::string& name, const Latency& latency) {
  return {name,
          Figure(latency.p99_ms),
          "ms p99",
          {{"p50", Figure(latency.p50_ms) + " ms"},
           {"p99.9", Figure(latency.p999_ms) + " ms"},
           {"max", Figure(latency.max_ms) + " ms"}}};
}

Tile CpuTile(const Phase& whole) {
  Tile tile{"Server CPU", Figure(CpuPerMessage(whole)), "µs a copy", {}};
  for (const auto& [name, cpu_us] : whole.cpu_us) {
    if (tile.more.size() == 6) break;
    tile.more.emplace_back(name, Figure(CpuPerMessage(whole, name)) + " µs");
  }
  return tile;
}

Tile BytesTile(const Phase& whole) {
  const auto each = [&whole](uint64_t bytes) {
    return Figure(
        whole.handled == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(whole.handled));
  };
  return {"Traffic",
          Figure(BytesPerMessage(whole)),
          "bytes a copy",
          {{"to the brokers", each(whole.bytes_up)}, {"to the clients", each(whole.bytes_down)}}};
}

std::vector<std::string> LatencyRow(const std::string& phase, const std::string& what,
                                    const Latency& latency) {
  return {phase,
          what,
          Count(latency.count),
          Figure(latency.p50_ms),
          Figure(latency.p90_ms),
          Figure(latency.p99_ms),
          Figure(latency.p999_ms),
          Figure(latency.max_ms)};
}

Table Messages(const Report& report) {
  Table table{"Messages",
              {"Phase", "wanted/s", "seconds", "intended", "sent", "accepted", "received",
               "delivered", "rejected", "unanswered"},
              {}};
  for (const Phase& phase : report.phases) {
    const Counts& counts = phase.counts;
    table.rows.push_back({phase.name, phase.rate > 0 ? Figure(phase.rate) : "–",
                          Figure(phase.seconds), Count(counts.intended), Count(counts.sent),
                          Count(counts.accepted), Count(counts.received), Count(counts.delivered),
                          Count(counts.rejected), Count(counts.unanswered)});
  }
  return table;
}

Table LatencyTable(const Report& report) {
  Table table{"Latencies, in ms from the intended send time",
              {"Phase", "until", "messages", "p50", "p90", "p99", "p99.9", "max"},
              {},
              2};
  for (const Phase& phase : report.phases) {
    for (const auto& [name, latency] :
         {std::pair{"accepted", &phase.accepted}, std::pair{"received", &phase.received},
          std::pair{"delivered", &phase.delivered}}) {
      if (latency->count > 0) table.rows.push_back(LatencyRow(phase.name, name, *latency));
    }
  }
  return table;
}

Table OtherCounts(const Report& report) {
  std::set<std::string> names;
  for (const Phase& phase : report.phases) {
    for (const auto& [name, count] : phase.counts.others) {
      if (names.size() < 40) names.insert(name);
    }
  }
  Table table{"Also counted", {"What"}, {}};
  for (const Phase& phase : report.phases) {
    if (table.columns.size() < 20) table.columns.push_back(phase.name);
  }
  for (const std::string& name : names) {
    std::vector<std::string> row = {name};
    for (size_t i = 0; i + 1 < table.columns.size(); ++i) {
      const auto& others = report.phases[i].counts.others;
      const auto count = others.find(name);
      row.push_back(count == others.end() ? "–" : Count(count->second));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table CostTable(const Report& report) {
  std::set<std::string> names;
  for (const Phase& phase : report.phases) {
    for (const auto& [name, cpu_us] : phase.cpu_us) {
      if (names.size() < 24) names.insert(name);
    }
  }
  Table table{"Costs of a copy: CPU in µs, TCP payload in bytes", {"Phase", "copies"}, {}};
  table.columns.insert(table.columns.end(), names.begin(), names.end());
  for (const char* column :
       {"all servers", "load generator", "bytes up", "bytes down", "CPU of others"}) {
    table.columns.emplace_back(column);
  }
  for (const Phase& phase : report.phases) {
    const double handled = static_cast<double>(std::max<uint64_t>(phase.handled, 1));
    std::vector<std::string> row = {phase.name, Count(phase.handled)};
    for (const std::string& name : names) row.push_back(Figure(CpuPerMessage(phase, name)));
    row.push_back(Figure(CpuPerMessage(phase)));
    row.push_back(Figure(LoadCpuPerMessage(phase)));
    row.push_back(Figure(static_cast<double>(phase.bytes_up) / handled));
    row.push_back(Figure(static_cast<double>(phase.bytes_down) / handled));
    row.push_back(Percent(phase.others_share));
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table ProcessTable(const Report& report) {
  Table table{
      "Processes, over the whole run", {"Process", "CPU seconds", "most memory", "started"}, {}};
  for (const Process& process : report.processes) {
    table.rows.push_back({process.name, Figure(static_cast<double>(process.cpu_us) / 1e6),
                          Megabytes(static_cast<double>(process.rss_peak_bytes)),
                          process.starts == 1 ? "once" : Count(process.starts) + " times"});
  }
  if (report.load_rss_peak_bytes > 0) {
    table.rows.push_back(
        {"load generator", "–", Megabytes(static_cast<double>(report.load_rss_peak_bytes)), "–"});
  }
  return table;
}

Table PacketTable(const Report& report) {
  Table table{"Packets, over the whole run: TCP payload",
              {"Packet", "direction", "packets", "bytes", "bytes each"},
              {},
              2};
  for (const PacketKind& kind : report.packets) {
    const double each =
        kind.packets == 0 ? 0 : static_cast<double>(kind.bytes) / static_cast<double>(kind.packets);
    table.rows.push_back({kind.name, kind.up ? "to the broker" : "to the client",
                          Count(kind.packets), Count(kind.bytes), Figure(each)});
  }
  return table;
}

Table IdleTable(const Report& report) {
  Table table{fmt::format("{} connections that do nothing", Count(report.idle.connections)),
              {"Process", "bytes a connection", "CPU µs a login"},
              {}};
  for (const auto& [name, bytes] : report.idle.rss_bytes_per_connection) {
    const auto cpu = report.idle.cpu_us_per_login.find(name);
    table.rows.push_back({name, Figure(bytes),
                          cpu == report.idle.cpu_us_per_login.end() ? "–" : Figure(cpu->second)});
  }
  return table;
}

void AppendMap(std::string& page, const char* title,
               const std::map<std::string, std::string>& map) {
  if (map.empty()) return;
  page += fmt::format("<section><h3>{}</h3><dl class=\"pairs\">", title);
  for (const auto& [name, value] : map) page += Pair(name, value);
  page += "</dl></section>\n";
}

std::string Cell(const std::optional<double>& value) { return value ? Figure(*value) : "–"; }

}  // namespace

void AppendTable(std::string& page, const Table& table) {
  if (table.rows.empty()) return;
  // A box that scrolls by itself can be reached and named, for who has no mouse.
  page += fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table><caption>{}"
      "</caption><thead><tr>",
      EscapeHtml(table.caption), EscapeHtml(table.caption));
  for (size_t i = 0; i < table.columns.size(); ++i) {
    page += fmt::format("<th scope=\"col\"{}>{}</th>", i < table.text_columns ? " class=\"t\"" : "",
                        EscapeHtml(table.columns[i]));
  }
  page += "</tr></thead><tbody>\n";
  const size_t rows = std::min(table.rows.size(), kMostRows);
  for (size_t r = 0; r < rows; ++r) {
    page += "<tr>";
    for (size_t i = 0; i < table.rows[r].size(); ++i) {
      const std::string text = EscapeHtml(table.rows[r][i]);
      if (i == 0) {
        page += fmt::format("<th scope=\"row\">{}</th>", text);
      } else {
        page += fmt::format("<td{}>{}</td>", i < table.text_columns ? " class=\"t\"" : "", text);
      }
    }
    page += "</tr>\n";
  }
  page += "</tbody></table></div>\n";
  if (rows < table.rows.size()) {
    page += fmt::format("<p class=\"note\">{} more rows are left out.</p>\n",
                        Count(table.rows.size() - rows));
  }
}

void AppendTiles(std::string& page, const Report& report) {
  const Phase whole = Whole(report);
  page += "<div class=\"tiles\">\n";
  AppendTile(page, VerdictTile(report, whole));
  if (whole.counts.intended > 0) {
    const double per_s =
        whole.seconds > 0 ? static_cast<double>(whole.counts.accepted) / whole.seconds : 0;
    AppendTile(page, {"Accepted",
                      Figure(per_s),
                      "messages/s",
                      {{"intended", Count(whole.counts.intended)},
                       {"accepted", Count(whole.counts.accepted)},
                       {"rejected", Count(whole.counts.rejected)}}});
  }
  if (whole.accepted.count > 0) {
    AppendTile(page, LatencyTile("Until accepted", whole.accepted));
  }
  if (whole.received.count > 0) {
    AppendTile(page, LatencyTile("Until received", whole.received));
  }
  if (!whole.cpu_us.empty() && whole.handled > 0) AppendTile(page, CpuTile(whole));
  if (whole.bytes_up + whole.bytes_down > 0) AppendTile(page, BytesTile(whole));
  page += "</div>\n";
}

void AppendViolations(std::string& page, const Report& report) {
  const Verdict& judge = report.judge;
  if (judge.violation_count == 0 && judge.violations.empty()) return;
  page += fmt::format("<section><h2 class=\"bad\">Broken promises: {}</h2>\n",
                      Count(judge.violation_count));
  if (judge.violations.size() < judge.violation_count) {
    page += fmt::format("<p class=\"note\">The first {} are told.</p>\n",
                        Count(judge.violations.size()));
  }
  for (size_t i = 0; i < judge.violations.size(); ++i) {
    const Violation& violation = judge.violations[i];
    page += fmt::format(
        "<details class=\"violation\"{}><summary><b>{}</b> {}</summary><pre>{}</pre></details>\n",
        i < 3 ? " open" : "", EscapeHtml(violation.promise), EscapeHtml(violation.what),
        EscapeHtml(violation.story));
  }
  page += "</section>\n";
}

void AppendTroubles(std::string& page, const Report& report) {
  if (report.trouble_count == 0 && report.troubles.empty()) return;
  page += fmt::format("<section><h2>Troubles: {}</h2><ul>\n", Count(report.trouble_count));
  for (const std::string& trouble : report.troubles) {
    page += "<li>" + EscapeHtml(trouble) + "</li>\n";
  }
  page += "</ul></section>\n";
}

void AppendPhases(std::string& page, const Report& report) {
  if (report.phases.empty()) return;
  page += "<section><h2>Phases</h2>\n";
  AppendTable(page, Messages(report));
  AppendTable(page, LatencyTable(report));
  AppendTable(page, OtherCounts(report));
  page += "</section>\n";
}

void AppendCosts(std::string& page, const Report& report) {
  std::string tables;
  AppendTable(tables, CostTable(report));
  const bool busy = std::any_of(report.phases.begin(), report.phases.end(),
                                [](const Phase& phase) { return phase.others_share > 0.1; });
  if (busy) {
    tables +=
        "<p class=\"note\">Other programs used more than a tenth of this machine meanwhile: "
        "latencies say little.</p>\n";
  }
  AppendTable(tables, ProcessTable(report));
  AppendTable(tables, PacketTable(report));
  if (report.idle.connections > 0) AppendTable(tables, IdleTable(report));
  if (!report.phases.empty()) {
    tables +=
        "<p class=\"note\">A copy is a message as one other device gets it: a direct message has "
        "as many as its reader has devices, a group's message one for each device of its "
        "members.</p>\n";
  }
  if (!tables.empty()) page += "<section><h2>Costs</h2>\n" + tables + "</section>\n";
}

void AppendFaults(std::string& page, const Report& report) {
  if (report.faults.empty()) return;
  Table table{
      "Faults that were injected", {"Process", "fault", "from s", "to s", "lasted s"}, {}, 2};
  for (const Fault& fault : report.faults) {
    table.rows.push_back({fault.process, fault.what, fmt::format("{:.1f}", fault.from_s),
                          fmt::format("{:.1f}", fault.to_s),
                          fmt::format("{:.1f}", fault.to_s - fault.from_s)});
  }
  page += fmt::format("<section><details><summary><h2>Faults: {}</h2></summary>\n",
                      Count(report.faults.size()));
  AppendTable(page, table);
  page += "</details></section>\n";
}

void AppendRun(std::string& page, const Report& report) {
  page += "<section><h2>The run</h2><div class=\"columns\">\n";
  std::map<std::string, std::string> run = {{"started", UtcTime(report.started_ms)},
                                            {"seed", std::to_string(report.seed)},
                                            {"load processes", Count(report.load_processes)}};
  AppendMap(page, "When", run);
  AppendMap(page, "Machine", report.machine);
  AppendMap(page, "Options", report.options);
  std::map<std::string, std::string> tally;
  for (const auto& [name, count] : report.judge.tally) tally[name] = Count(count);
  AppendMap(page, "What the judge saw", tally);
  page += "</div>\n";
  if (!report.command.empty()) {
    page += "<h3>To do it again</h3><pre>" + EscapeHtml(report.command) + "</pre>\n";
  }
  page += "</section>\n";
}

void AppendChartTables(std::string& page, const Charts& charts) {
  if (charts.charts.empty()) return;
  page += fmt::format(
      "<section><details><summary><h2>The charts as tables</h2></summary><p class=\"note\">A row "
      "stands for {}.</p>\n",
      Duration(static_cast<double>(charts.step_s)));
  for (const Chart& chart : charts.charts) {
    Table table{fmt::format("{}, {}", chart.title, chart.unit), {"second"}, {}};
    for (const Line& line : chart.lines) table.columns.push_back(line.name);
    for (size_t i = 0; i < charts.t_s.size(); ++i) {
      std::vector<std::string> row = {std::to_string(charts.t_s[i])};
      for (const Line& line : chart.lines) row.push_back(Cell(line.values[i]));
      table.rows.push_back(std::move(row));
    }
    AppendTable(page, table);
  }
  page += "</details></section>\n";
}

}  // namespace nightjar::report
