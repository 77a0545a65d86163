#include "client-sim/report/html.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "client-sim/report/charts.h"
#include "client-sim/report/figures.h"
#include "client-sim/report/html_tables.h"
#include "client-sim/report/page_parts.h"

namespace nightjar::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostPoints = 1200;      // about as many as a screen has pixels
constexpr size_t kMostTablePoints = 240;  // of the tables beside the charts
constexpr size_t kMostFaults = 5000;      // drawn

// How Content-Security-Policy names what it lets run.
std::string HashSource(std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  unsigned char base64[64];
  EVP_EncodeBlock(base64, digest, sizeof digest);
  return fmt::format("'sha256-{}'", reinterpret_cast<const char*>(base64));
}

// How a fault looks: a class of page.css.
const char* FaultStyle(const std::string& what) {
  if (what.find("kill") != std::string::npos || what.find("KILL") != std::string::npos) {
    return "killed";
  }
  if (what.find("STOP") != std::string::npos || what.find("pause") != std::string::npos) {
    return "paused";
  }
  if (what.find("stop") != std::string::npos) return "stopped";
  return "disturbed";
}

Json ChartsJson(const Report& report, const Charts& charts) {
  Json json = {{"step", charts.step_s},
               {"t", charts.t_s},
               {"charts", Json::array()},
               {"phases", Json::array()},
               {"faults", Json::array()}};
  for (const Chart& chart : charts.charts) {
    Json lines = Json::array();
    for (const Line& line : chart.lines) {
      Json values = Json::array();
      for (const auto& value : line.values) values.push_back(value ? Json(*value) : Json(nullptr));
      lines.push_back({{"name", line.name}, {"style", line.style}, {"values", values}});
    }
    json["charts"].push_back({{"title", chart.title},
                              {"unit", chart.unit},
                              {"log", chart.logarithmic},
                              {"lines", std::move(lines)}});
  }
  for (const Phase& phase : report.phases) {
    json["phases"].push_back(
        {{"name", phase.name}, {"from", phase.from_s}, {"to", phase.from_s + phase.seconds}});
  }
  for (size_t i = 0; i < std::min(report.faults.size(), kMostFaults); ++i) {
    const Fault& fault = report.faults[i];
    json["faults"].push_back({{"from", fault.from_s},
                              {"to", std::max(fault.from_s, fault.to_s)},
                              {"process", fault.process},
                              {"what", fault.what},
                              {"style", FaultStyle(fault.what)}});
  }
  return json;
}

// JSON that cannot end the script element it stands in: '<' occurs only within its texts.
std::string ForScript(const Json& json) {
  const std::string text = json.dump(-1, ' ', true, Json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<' || c == '>' || c == '&') {
      safe += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      safe += c;
    }
  }
  return safe;
}

void AppendHead(std::string& page, const Report& report) {
  page += fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src {}; "
      "script-src {}; base-uri 'none'; form-action 'none'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<title>{} · nightjar-sim</title>\n<style>{}</style></head>\n<body>\n",
      HashSource(kPageStyle), HashSource(kPageScript),
      EscapeHtml(report.title.empty() ? "A run" : report.title), kPageStyle);
}

void AppendHeader(std::string& page, const Report& report) {
  const double seconds =
      report.series.empty()
          ? Whole(report).seconds
          : static_cast<double>(report.series.back().t_s - report.series.front().t_s + 1);
  page += fmt::format(
      "<header><p class=\"kicker\">nightjar-sim report</p><h1>{}</h1><p>{} · {} · seed {}{}</p>"
      "</header>\n<main>\n",
      EscapeHtml(report.title.empty() ? "A run" : report.title), UtcTime(report.started_ms),
      Duration(seconds), report.seed, report.interrupted ? " · interrupted" : "");
}

void AppendCharts(std::string& page, const Report& report) {
  const Charts charts = MakeCharts(report, kMostPoints);
  if (charts.charts.empty()) return;
  page += "<section id=\"charts\"><h2>Over time</h2>\n<p class=\"note\">";
  if (charts.step_s > 1) {
    page += fmt::format("A point stands for {}: rates are averages, latencies the worst second's. ",
                        Duration(static_cast<double>(charts.step_s)));
  }
  page +=
      "Point at a chart, or reach it with Tab and use the arrow keys, to read its values.</p>\n"
      "<noscript><p class=\"note\">Charts need JavaScript; the tables below tell the same.</p>"
      "</noscript>\n<div id=\"timeline\"></div>\n<div class=\"charts\">\n";
  for (size_t i = 0; i < charts.charts.size(); ++i) {
    const Chart& chart = charts.charts[i];
    const bool alone = i + 1 == charts.charts.size() && i % 2 == 0;  // in its row
    page += fmt::format(
        "<figure id=\"chart-{}\"{}><figcaption><b>{}</b> <span>{}</span><small>{}</small>"
        "</figcaption></figure>\n",
        i, i < 2 || alone ? " class=\"broad\"" : "", EscapeHtml(chart.title),
        EscapeHtml(chart.unit), EscapeHtml(chart.note));
  }
  page += "</div></section>\n<script type=\"application/json\" id=\"figures\">";
  page += ForScript(ChartsJson(report, charts));
  page += "</script>\n";
}

}  // namespace

std::string ToHtml(const Report& report) {
  std::string page;
  AppendHead(page, report);
  AppendHeader(page, report);
  AppendTiles(page, report);
  AppendViolations(page, report);
  AppendTroubles(page, report);
  AppendCharts(page, report);
  AppendPhases(page, report);
  AppendCosts(page, report);
  AppendFaults(page, report);
  AppendRun(page, report);
  AppendChartTables(page, MakeCharts(report, kMostTablePoints));
  page += fmt::format("</main>\n<script>{}</script>\n</body></html>\n", kPageScript);
  return page;
}

}  // namespace nightjar::report
