// A report in which every field says something, for the tests of report/.
#pragma once

#include "client-sim/report/report.h"

namespace nightjar::report {

inline Latency SampleLatency(uint64_t scale_ns) {
  return Summarise({{1 * scale_ns, 50}, {2 * scale_ns, 40}, {9 * scale_ns, 10}}, 8 * scale_ns);
}

inline Report SampleReport() {
  Report report;
  report.title = "pairs at 500/s";
  report.started_ms = 1'780'000'000'123;
  report.seed = UINT64_MAX;
  report.command = "nightjar-sim load --profile pairs";
  report.machine = {{"cores", "2"}, {"cpu", "some"}};
  report.options = {{"rate", "500"}, {"profile", "pairs"}};
  report.load_processes = 2;
  report.interrupted = true;

  Phase phase;
  phase.name = "500/s";
  phase.rate = 500;
  phase.from_s = 3;
  phase.seconds = 2.5;
  phase.counts = {100, 99, 98, 97, 96, 2, 1, {{"resends", 3}}};
  phase.handled = 98;
  phase.bytes_up = 9800;
  phase.bytes_down = 19600;
  phase.accepted = SampleLatency(1'000'000);
  phase.received = SampleLatency(2'000'000);
  phase.delivered = SampleLatency(3'000'000);
  phase.cpu_us = {{"mosquitto", 9800}, {"redis", 4900}};
  phase.load_cpu_us = 980;
  phase.others_share = 0.25;
  report.phases = {phase};

  for (int64_t t = 3; t < 6; ++t) {
    Second second;
    second.t_s = t;
    second.connected = 200;
    second.sent = 40, second.accepted = 39, second.received = 38, second.delivered = 37;
    second.rejected = 1;
    second.backlog = 5;
    second.accepted_latency = SampleLatency(1'000'000);
    second.received_latency = SampleLatency(2'000'000);
    second.bytes_up = 4000, second.bytes_down = 8000;
    second.processes = {{"mosquitto", {120'000, 30 << 20}}, {"redis", {50'000, 12 << 20}}};
    report.series.push_back(second);
  }
  report.faults = {{4, 4.5, "redis", "SIGSTOP"}, {5, 5, "mosquitto", "kill -9"}};
  report.packets = {{"PUBLISH send", true, 98, 9000}, {"PUBACK", false, 98, 392}};
  report.processes = {{"mosquitto", 300'000, 31 << 20, 2}, {"redis", 150'000, 12 << 20, 1}};
  report.load_rss_peak_bytes = 50 << 20;
  report.idle = {200, 6, {{"mosquitto", 900.5}}, {{"mosquitto", 40}}};
  report.judge = {true, 7, {{"G2", "shown twice", "first\nthen"}}, {{"accepted", 98}}};
  report.trouble_count = 1;
  report.troubles = {"u1: refused"};
  return report;
}

}  // namespace nightjar::report
