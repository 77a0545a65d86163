// `nightjar-sim load`: runs what was asked, prints it, writes the JSON (schema: bench/README.md).
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "client-sim/swarm/load.h"

namespace nightjar::swarm {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kBusy = 0.1;  // of all cores

double Ms(uint64_t ns) { return static_cast<double>(ns) / 1e6; }

Json Latencies(const Histogram& histogram) {
  return {{"count", histogram.count()},
          {"p50_ms", Ms(histogram.Quantile(0.5))},
          {"p99_ms", Ms(histogram.Quantile(0.99))},
          {"p999_ms", Ms(histogram.Quantile(0.999))},
          {"max_ms", Ms(histogram.max())}};
}

Json RunJson(const LoadOptions& options, const LoadResult& result) {
  const double messages = static_cast<double>(std::max<uint64_t>(result.handled, 1));
  Json cpu = Json::object();
  double sum = 0;
  for (size_t i = 0; i < options.watched.size(); ++i) {
    const int64_t cpu_us = i < result.cpu_us.size() ? result.cpu_us[i] : 0;
    const double each = static_cast<double>(cpu_us) / messages;
    cpu[options.watched[i].name] = each;
    sum += each;
  }
  const auto& counts = result.counts;
  const bool complete = result.accepted == result.intended && result.received == result.intended &&
                        result.delivered == result.intended;
  return {{"rate", result.rate},
          {"seconds", result.seconds},
          {"messages", result.intended},
          {"accepted", result.accepted},
          {"received", result.received},
          {"delivered", result.delivered},
          {"complete", complete},
          {"handled_per_s", static_cast<double>(result.handled) / result.seconds},
          {"others_cpu_share", result.others_share},
          {"cpu_us_per_message", cpu},
          {"cpu_us_per_message_sum", sum},
          {"load_cpu_us_per_message", static_cast<double>(result.own_cpu_us) / messages},
          {"tcp_bytes_per_message", static_cast<double>(result.bytes) / messages},
          {"send_accepted", Latencies(result.accepted_ns)},
          {"send_received", Latencies(result.received_ns)},
          {"send_delivered", Latencies(result.delivered_ns)},
          {"counts",
           {{"written", counts.written},
            {"held_back", counts.held_back},
            {"dropped", counts.dropped},
            {"refused", counts.refused},
            {"failed", counts.failed},
            {"acks", counts.acks},
            {"resends", counts.resends},
            {"open", counts.open}}}};
}

void Print(const LoadOptions& options, const Json& run) {
  std::cout << fmt::format("{} at {}/s, {} messages: {} accepted, {} received, {} delivered\n",
                           options.mode, run["rate"].get<int>(), run["messages"].get<uint64_t>(),
                           run["accepted"].get<uint64_t>(), run["received"].get<uint64_t>(),
                           run["delivered"].get<uint64_t>());
  for (const auto& [name, us] : run["cpu_us_per_message"].items()) {
    std::cout << fmt::format("  CPU {:<12} {:7.1f} us a message\n", name, us.get<double>());
  }
  if (run["others_cpu_share"].get<double>() > kBusy) {
    std::cout << fmt::format(
        "  (other programs used {:.0f} % of the machine meanwhile: latencies say little)\n",
        run["others_cpu_share"].get<double>() * 100);
  }
  for (const char* what : {"send_accepted", "send_received", "send_delivered"}) {
    const auto& at = run[what];
    std::cout << fmt::format("  {:<15} p50 {:.2f}  p99 {:.2f}  p99.9 {:.2f}  max {:.2f} ms\n", what,
                             at["p50_ms"].get<double>(), at["p99_ms"].get<double>(),
                             at["p999_ms"].get<double>(), at["max_ms"].get<double>());
  }
  std::cout.flush();
}

struct Failure {
  std::string what;
};

Json Talk(const LoadOptions& options, LoadRun& run, bool& complete) {
  if (auto met = run.Introduce(); !met.ok()) throw Failure{met.message()};
  Json runs = Json::array();
  for (const int rate : options.rates) {
    runs.push_back(RunJson(options, run.Measure(rate)));
    Print(options, runs.back());
    complete &= runs.back()["complete"].get<bool>();
  }
  return runs;
}

std::vector<Usage> UsageNow(const LoadOptions& options) {
  std::vector<Usage> all;
  for (const auto& process : options.watched) {
    const auto usage = UsageOf(process.pid);
    if (!usage.ok()) throw Failure{process.name + ": " + usage.status().message()};
    all.push_back(*usage);
  }
  return all;
}

Json Idle(const LoadOptions& options, LoadRun& run, const std::vector<Usage>& before) {
  run.Sit(options.settle_s);
  const std::vector<Usage> after = UsageNow(options);
  Json idle = {{"connections", options.idle}, {"settle_s", options.settle_s}};
  Json rss = Json::object(), cpu = Json::object();
  for (size_t i = 0; i < after.size(); ++i) {
    rss[options.watched[i].name] =
        static_cast<double>(after[i].rss_bytes - before[i].rss_bytes) / options.idle;
    cpu[options.watched[i].name] =
        static_cast<double>(after[i].cpu_us - before[i].cpu_us) / options.idle;
    std::cout << fmt::format(
        "  {:<12} {:7.0f} bytes of RSS a connection, {:6.1f} us of CPU a login\n",
        options.watched[i].name, rss[options.watched[i].name].get<double>(),
        cpu[options.watched[i].name].get<double>());
  }
  idle["rss_bytes_per_connection"] = rss;
  idle["cpu_us_per_login"] = cpu;
  return idle;
}

Result<std::unique_ptr<Traffic>> MakeTraffic(const LoadOptions& options, uint32_t clients) {
  TrafficOptions traffic;
  traffic.clients = clients;
  traffic.text_bytes = options.text_bytes;
  traffic.key_file = options.key_file;
  traffic.prefix = options.prefix;
  if (options.mode == "nightjar") return MakeNightjarTraffic(std::move(traffic));
  return MakeBareTraffic(std::move(traffic));
}

int Run(const LoadOptions& options) {
  const uint32_t clients = options.idle > 0 ? options.idle : options.pairs * 2;
  auto traffic = MakeTraffic(options, clients);
  if (!traffic.ok()) throw Failure{traffic.status().message()};
  LoadRun run(options, std::move(*traffic), clients);
  const std::vector<Usage> before = UsageNow(options);
  if (auto connected = run.Connect(); !connected.ok()) throw Failure{connected.message()};

  Json json = {{"mode", options.mode}, {"clients", clients}, {"text_bytes", options.text_bytes}};
  bool complete = true;
  if (options.idle > 0) {
    json["idle"] = Idle(options, run, before);
  } else {
    json["runs"] = Talk(options, run, complete);
  }
  json["troubles"] = run.troubles();
  json["trouble_count"] = run.trouble_count();
  run.Close();
  for (const auto& trouble : run.troubles()) std::cerr << "  trouble: " << trouble << "\n";
  if (!options.json.empty()) {
    std::ofstream file(options.json);
    file << json.dump(2) << "\n";
    if (!file.flush()) throw Failure{"cannot write " + options.json};
  }
  return complete && run.trouble_count() == 0 ? 0 : 1;
}

}  // namespace

int RunLoad(const LoadOptions& options) {
  try {
    return Run(options);
  } catch (const Failure& failure) {
    std::cerr << "nightjar-sim: " << failure.what << "\n";
    return 1;
  }
}

}  // namespace nightjar::swarm
