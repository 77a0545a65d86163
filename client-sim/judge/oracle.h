// The judge: is told everything that happens to every device and says which promise of
// docs/guarantees.md was broken, message by message. It decides nothing by itself and knows nothing
// of the servers; the same judge sits in simulated worlds and behind real runs.
//
// Pure: no I/O, no clock, no threads. One owner makes every call, in the order in which things
// happened over all devices; times are what the caller says. Nothing is promised about time going
// backwards in `unix_ms`; `mono_ms` must not.
//
// Memory: what is settled (the answer known, every device that is owed the message has it and has
// acknowledged it) leaves nothing but a hash chain with sparse checkpoints per chat and a bounded
// ring of recent happenings for the stories. What is not settled stays, bounded by
// OracleOptions::most_unsettled; beyond that the judge says that it cannot judge any more, and says
// nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client-sim/brain/happening.h"
#include "common/base/clock.h"

namespace nightjar::client {

using DeviceId = uint32_t;

struct OracleOptions {
  // -- presence (G6); judged only for users whose presence somebody was shown
  // ----------------------
  bool presence = true;
  int64_t online_after_ms = 3'000;   // of steady connection
  int64_t offline_after_ms = 5'000;  // after the last device is gone
  int64_t broker_gone_ms = 15'000;   // the longest that a dead broker's users may stay online
  int64_t late_slack_ms = 3'000;     // how much later a change may reach the one who watches
  int64_t early_slack_ms = 1'500;    // how much earlier: a device learns late that it is connected
  // Lines that die silently: how long the server may take to notice (keep-alive). 0: it is told.
  int64_t silent_line_ms = 0;

  // -- receiving -------------------------------------------------------------------------------
  // A message that a device was passed over for is waited for this long before it counts as lost.
  int64_t passed_over_ms = 30'000;
  // A resync may also start after what was trimmed: inboxes keep at least so many entries.
  uint64_t inbox_keeps = 10'000;

  // -- bounds ----------------------------------------------------------------------------------
  size_t most_violations = 100;       // kept with their stories; the others are counted
  size_t most_unsettled = 2'000'000;  // messages and sends; about 150 bytes each in small chats
  size_t story_happenings = 1 << 18;  // the ring that stories are told from, 40 bytes each
};

struct Violation {
  std::string promise;  // "G2"; "judge" if the judge itself cannot go on
  std::string what;     // one line
  std::string story;    // lines, oldest first: the life of the message, as far as still known
};

struct Tally {
  uint64_t written = 0;
  uint64_t accepted = 0;
  uint64_t refused = 0;
  uint64_t unanswered = 0;  // written, neither accepted nor finally refused
  uint64_t owed = 0;        // deliveries to devices that had to happen
  uint64_t delivered = 0;   // of those, how many did
  uint64_t marks_owed = 0;  // (author's device, other user) pairs whose mark has somewhere to be
  uint64_t marks = 0;       // of those, how many are there
  uint64_t repeats = 0;     // copies that devices recognised and dropped: allowed, counted
  uint64_t gaps = 0;        // gaps that devices saw: must heal, counted
  uint64_t resyncs = 0;
  uint64_t presence = 0;      // changes of presence that were shown
  uint64_t unsettled = 0;     // messages in the window now
  uint64_t history_read = 0;  // messages compared with what was accepted
  uint64_t violations = 0;    // all, kept or not
};

class Oracle {
 public:
  explicit Oracle(OracleOptions options = {});
  ~Oracle();
  Oracle(const Oracle&) = delete;
  Oracle& operator=(const Oracle&) = delete;

  // A device exists from now on. The same names give the same id again.
  DeviceId Expect(const std::string& uid, const std::string& device);
  // The device is gone for good: nothing is owed to it any more, in the past or in the future.
  void Gone(DeviceId device, Now now);
  // The device is connected (or trying to) over this broker: only for the stories.
  void At(DeviceId device, std::string_view broker);

  void Took(DeviceId device, const Happening& happening, Now now);
  // A fault was put in (or taken away): goes into stories and widens the times of presence.
  // `sessions_may_die`: connected devices may go offline without anything being wrong (a broker
  // killed, stopped or woken).
  void Disturbed(Now now, std::string what, bool sessions_may_die);

  // Who tells the judge everything may know of a change of a chat before devices are told, or when
  // none ever is. Without this the judge learns who is in a chat from the devices.
  void ChatChanges(const v1::ChatChange& change);

  // The whole history of a chat as read back at the end, ascending, page by page. Nothing may be
  // written to the chat meanwhile. Messages that the judge never heard of are extra.
  void HistoryBegins(const std::string& chat_id);
  void HistoryPage(const std::string& chat_id, const v1::History& page);
  void HistoryEnds(const std::string& chat_id, Now now);
  // Chats in which something was written, to be read back.
  std::vector<std::string> Chats() const;

  Tally Count() const;
  // Nothing is outstanding: everything answered, delivered, acknowledged and marked.
  bool Settled() const;
  // What keeps it from being settled, a few lines for people.
  std::string Outstanding() const;
  // As they are found.
  const std::vector<Violation>& violations() const;
  // Final checks: adds violations for what is missing. Once, after the last Took.
  void Finish(Now now);

  // Who must get the message: members when its id was given, the author among them.
  std::vector<std::string> Recipients(const std::string& chat_id, uint64_t msg_id) const;
  // Heap bytes that grow with the run, roughly: window, chains, ring. For tests and progress.
  size_t MemoryBytes() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nightjar::client
