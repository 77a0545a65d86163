// What a run of nightjar-sim found out: the figures, the faults that were injected, the judge's
// verdict. One value that `load` and `verify` fill, that is written as JSON (json.h; the schema is
// told in docs/report-schema.md), shown as a page (html.h) and compared (compare.h).
//
// Plain values; no sharing, no I/O. Times: `*_s` are seconds since the run's start (`started_ms`),
// before which nothing was connected. Bytes are of TCP payload: what MQTT and Nightjar cost,
// without TCP's and IP's own headers.
//
// Only what was measured is told: an empty map or list means that nothing of it was measured.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "client-sim/report/latency.h"

namespace nightjar::report {

// Messages, by what became of them. Of one phase: those whose intended time lies in it.
struct Counts {
  uint64_t intended = 0;    // the schedule wanted them sent
  uint64_t sent = 0;        // left their device at least once
  uint64_t accepted = 0;    // the author was told Accepted
  uint64_t received = 0;    // copies that reached a device of somebody else, repeats not counted
  uint64_t delivered = 0;   // the author was told that they arrived with a reader
  uint64_t rejected = 0;    // refused for good
  uint64_t unanswered = 0;  // neither accepted nor rejected at the end
  std::map<std::string, uint64_t> others;  // resends, repeats, acks, reconnects ...: by name
  friend bool operator==(const Counts&, const Counts&) = default;
};

// A stretch of the run with one load: one rate, or one part of a profile (warm-up, storm, drain).
struct Phase {
  std::string name;
  double rate = 0;     // messages per second that were wanted; 0: not a rate
  double from_s = 0;   // when it began
  double seconds = 0;  // how long it was measured
  Counts counts;
  uint64_t handled = 0;  // copies received in this time, whenever their message was intended: CPU
                         // time and bytes of the phase are told per one of them
  uint64_t bytes_up = 0, bytes_down = 0;  // clients to brokers, and back
  Latency accepted, received, delivered;  // from the intended send time
  std::map<std::string, int64_t> cpu_us;  // of each watched process
  int64_t load_cpu_us = 0;                // of the load generator and the judge
  double others_share = 0;                // of all cores, what neither of them used: a busy machine
  friend bool operator==(const Phase&, const Phase&) = default;
};

struct ProcessSecond {
  int64_t cpu_us = 0;      // CPU time used in this second; a process of N threads may use N seconds
  uint64_t rss_bytes = 0;  // resident memory at its end; 0: was not running
  friend bool operator==(const ProcessSecond&, const ProcessSecond&) = default;
};

// What happened within one second; `connected` and `backlog` are as they were at its end.
struct Second {
  int64_t t_s = 0;         // its beginning
  uint64_t connected = 0;  // clients logged in
  uint64_t sent = 0, accepted = 0, received = 0, delivered = 0, rejected = 0;
  uint64_t backlog = 0;      // intended, and neither accepted nor rejected
  Latency accepted_latency;  // of what was accepted in this second
  Latency received_latency;  // of what was received in this second
  uint64_t bytes_up = 0, bytes_down = 0;
  std::map<std::string, ProcessSecond> processes;
  friend bool operator==(const Second&, const Second&) = default;
};

struct Fault {
  double from_s = 0, to_s = 0;  // equal: a moment
  std::string process;          // who suffered it: "mosquitto", "line", ...
  std::string what;             // "kill -9", "SIGSTOP", ...
  friend bool operator==(const Fault&, const Fault&) = default;
};

// TCP payload by the kind of packet, over the whole run.
struct PacketKind {
  std::string name;  // "PUBLISH send", "PUBACK", "SUBSCRIBE" ...
  bool up = true;    // from a client to a broker
  uint64_t packets = 0, bytes = 0;
  friend bool operator==(const PacketKind&, const PacketKind&) = default;
};

struct Violation {
  std::string promise;  // "G2"
  std::string what;     // one line
  std::string story;    // the life of the message, a line an event
  friend bool operator==(const Violation&, const Violation&) = default;
};

struct Verdict {
  bool judged = false;                    // false: nobody looked
  uint64_t violation_count = 0;           // violations has at most so many
  std::vector<Violation> violations;      // the first ones
  std::map<std::string, uint64_t> tally;  // what the judge looked at: accepted, owed, repeats ...
  friend bool operator==(const Verdict&, const Verdict&) = default;
};

// A watched process over the whole run. By name: its process id changes when it is started again.
struct Process {
  std::string name;
  int64_t cpu_us = 0;           // all its lives together
  uint64_t rss_peak_bytes = 0;  // the largest seen
  uint64_t starts = 1;          // 1: lived through
  friend bool operator==(const Process&, const Process&) = default;
};

// A run of connections without talk: what one costs.
struct Idle {
  uint64_t connections = 0;  // 0: not such a run
  double settle_s = 0;       // how long they sat before memory was read
  std::map<std::string, double> rss_bytes_per_connection, cpu_us_per_login;  // by process
  friend bool operator==(const Idle&, const Idle&) = default;
};

struct Report {
  std::string title;       // of the page
  int64_t started_ms = 0;  // unix
  uint64_t seed = 0;
  std::string command;                         // that makes the same run again
  std::map<std::string, std::string> machine;  // cpu, cores, memory, kernel ...
  std::map<std::string, std::string> options;  // all that shaped the run, defaults included
  uint64_t load_processes = 1;                 // of the load generator; a merged report has the sum
  bool interrupted = false;                    // by Ctrl-C, before its end
  std::vector<Phase> phases;
  std::vector<Second> series;  // ascending by t_s
  std::vector<Fault> faults;
  std::vector<PacketKind> packets;
  std::vector<Process> processes;
  uint64_t load_rss_peak_bytes = 0;  // of the load generator and the judge
  Idle idle;
  Verdict judge;
  uint64_t trouble_count = 0;         // what went wrong apart from broken promises
  std::vector<std::string> troubles;  // the first ones, a line each
  friend bool operator==(const Report&, const Report&) = default;
};

// Of `ms` unix time and this machine: cpu, cores, memory_bytes, kernel.
std::map<std::string, std::string> ThisMachine();

// Adds the report of another load process of the same run, started at the same moment: counts,
// bytes and connections are summed, latencies merged, phases joined by their place in the list,
// seconds by t_s. A process watched by both counts once (the larger). Who was merged into tells
// title, command and options.
void Merge(Report& into, const Report& other);

// What the phases say together: counts, bytes and CPU summed, latencies merged, `rate` the number
// of intended messages per second. Without phases: empty.
Phase Whole(const Report& report);

// CPU time of `process` per copy handled; 0 if none was. Between pairs of users with one device
// each a message has one copy.
double CpuPerMessage(const Phase& phase, const std::string& process);
// CPU time of all watched processes together.
double CpuPerMessage(const Phase& phase);
double LoadCpuPerMessage(const Phase& phase);
// Both directions.
double BytesPerMessage(const Phase& phase);

// Nothing is missing: all that was intended is accepted or rejected, no trouble, no violation.
bool Clean(const Report& report);

}  // namespace nightjar::report
