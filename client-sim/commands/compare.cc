// nightjar-sim compare and html: what is done with reports afterwards.
#include "client-sim/report/compare.h"

#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "client-sim/commands/command.h"
#include "client-sim/report/file.h"
#include "client-sim/report/html.h"

namespace nightjar::commands {
namespace {

constexpr int kFailed = 1, kBadUse = 2;

struct CompareOptions {
  std::string a, b;
  std::optional<double> fail_over_percent;
};

struct HtmlOptions {
  std::string json, html;
};

std::optional<report::Report> Read(const std::string& path) {
  auto read = report::ReadReport(path);
  if (!read.ok()) {
    std::cerr << "nightjar-sim: " << read.status().message() << "\n";
    return std::nullopt;
  }
  return std::move(*read);
}

int RunCompare(const CompareOptions& options) {
  const auto a = Read(options.a), b = Read(options.b);
  if (!a || !b) return kBadUse;
  std::optional<double> limit;
  if (options.fail_over_percent) limit = *options.fail_over_percent / 100;
  const auto comparison = report::Compare(*a, *b, limit);
  std::cout << comparison.text << std::flush;
  if (!std::cout) {
    std::cerr << "nightjar-sim: cannot write the comparison\n";
    return kFailed;
  }
  for (const auto& line : comparison.too_much) {
    std::cerr << "nightjar-sim: too much: " << line << "\n";
  }
  return comparison.too_much.empty() ? 0 : kFailed;
}

int RunHtml(const HtmlOptions& options) {
  const auto read = Read(options.json);
  if (!read) return kBadUse;
  const auto written = report::WriteFile(options.html, report::ToHtml(*read));
  if (written.ok()) return 0;
  std::cerr << "nightjar-sim: " << written.message() << "\n";
  return kFailed;
}

}  // namespace

Command AddCompare(CLI::App& program) {
  auto options = std::make_shared<CompareOptions>();
  auto* app = program.add_subcommand(
      "compare",
      "Tells how report B differs from report A: latencies, counts, CPU time and bytes per "
      "copy of a message, and the options that were not the same. Reports are what `load --json` "
      "and "
      "`verify --json` write. Exit code 0 whatever differs; 1 with --fail-over if it is too much; "
      "2 for a file that is no report.");
  app->add_option("A", options->a, "report to compare with: the base")->required();
  app->add_option("B", options->b, "report that is looked at")->required();
  app->add_option("--fail-over", options->fail_over_percent,
                  "exit code 1 if a p99 latency or the servers' CPU time per copy is worse by "
                  "more than PERCENT, or promises are broken only in B")
      ->type_name("PERCENT")
      ->check(CLI::Range(0.0, 1e6));
  return {app, [options] { return RunCompare(*options); }};
}

Command AddHtml(CLI::App& program) {
  auto options = std::make_shared<HtmlOptions>();
  auto* app = program.add_subcommand(
      "html",
      "Makes the page of a report again from its JSON: one file with charts and tables that needs "
      "no network.");
  app->add_option("REPORT", options->json, "report as JSON")->required();
  app->add_option("PAGE", options->html, "where the page is written")->required();
  return {app, [options] { return RunHtml(*options); }};
}

}  // namespace nightjar::commands
