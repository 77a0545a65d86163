#include "client-sim/judge/story.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace nightjar::client::judge {
namespace {

using Kind = Event::Kind;

constexpr int64_t kBeforeMs = 5'000;  // disturbances shortly before belong to the story

std::string Words(const Event& e, const Past::Speaker& speaker) {
  switch (e.kind) {
    case Kind::kWrote:
      return fmt::format("wrote it (client_msg_id {})", e.b);
    case Kind::kAccepted:
      return fmt::format("is told that it is accepted as {}, tried {} times", e.a, e.extra);
    case Kind::kRefused:
      return fmt::format("is told that client_msg_id {} is refused for good, code {}", e.b,
                         e.extra);
    case Kind::kPutOff:
      return fmt::format("is told to wait with client_msg_id {}, code {}", e.b, e.extra);
    case Kind::kSaw:
      return e.b == 0 ? std::string("sees it, read from history")
                      : fmt::format("sees it, seq {}", e.b);
    case Kind::kRepeat:
      return fmt::format("gets it and takes it for a repeat, seq {}", e.b);
    case Kind::kAck:
      return fmt::format("acknowledges up to seq {}", e.b);
    case Kind::kMark:
      return fmt::format("is told that {} has everything up to {}",
                         speaker.user(static_cast<uint32_t>(e.b)), e.a);
    case Kind::kGap:
      return fmt::format("misses something between seq {} and {}", e.a, e.b);
    case Kind::kSynced:
      return fmt::format("is connected, starts after seq {}, head {}{}", e.a, e.b,
                         e.extra != 0 ? ", resync" : "");
    case Kind::kDown:
      return "is not connected any more";
    case Kind::kPresence:
      return fmt::format("is shown {} {}", speaker.user(static_cast<uint32_t>(e.b)),
                         e.extra != 0 ? "online" : "offline");
  }
  return "";
}

}  // namespace

void Past::Disturbed(int64_t at_ms, std::string what) {
  if (disturbances_.size() >= kMostDisturbances) disturbances_.pop_front();
  disturbances_.push_back({at_ms, std::move(what)});
}

std::vector<const Event*> Past::Select(const Subject& subject) const {
  std::vector<const Event*> chosen;
  std::map<uint32_t, uint64_t> to_ack;             // device -> seq of the message, not acked yet
  std::set<std::pair<uint32_t, uint64_t>> marked;  // observer and user whose mark passed it
  const bool message = subject.msg_id != 0 || subject.client_msg_id != 0;
  bool begun = false;
  for (size_t i = 0; i < ring_.size(); ++i) {
    const Event& e = ring_[(next_ + i) % ring_.size()];
    const bool here = e.chat == subject.chat && e.chat != kNone;
    const bool writer =
        subject.client_msg_id != 0 && e.device == subject.device && e.b == subject.client_msg_id;
    const bool of_message = subject.msg_id != 0 && here && e.a == subject.msg_id;
    bool take = false;
    switch (e.kind) {
      case Kind::kWrote:
      case Kind::kRefused:
      case Kind::kPutOff:
        take = writer;
        break;
      case Kind::kAccepted:
        take = writer || of_message;
        break;
      case Kind::kSaw:
      case Kind::kRepeat:
        take = of_message;
        if (take && e.b != 0) to_ack[e.device] = e.b;
        break;
      case Kind::kAck:
        if (const auto it = to_ack.find(e.device); it != to_ack.end() && e.b >= it->second) {
          to_ack.erase(it);
          take = true;
        }
        break;
      case Kind::kMark:
        take = subject.msg_id != 0 && here && e.a >= subject.msg_id &&
               marked.emplace(e.device, e.b).second;
        break;
      case Kind::kGap:
        take = e.device == subject.about_device && (begun || !message);
        break;
      case Kind::kSynced:
      case Kind::kDown:
        take = e.device == subject.about_device ||
               (begun && (e.device == subject.device || to_ack.contains(e.device)));
        break;
      case Kind::kPresence:
        take = subject.about_user != kNone && e.b == subject.about_user &&
               (subject.about_device == kNone || e.device == subject.about_device);
        break;
    }
    if (!take) continue;
    begun = begun || e.kind == Kind::kWrote || of_message || !message;
    chosen.push_back(&e);
  }
  return chosen;
}

std::string Past::Tell(const Subject& subject, const Speaker& speaker, int64_t began_ms) const {
  struct Line {
    int64_t at_ms;
    std::string words;
  };
  std::vector<Line> lines;
  std::vector<const Event*> chosen = Select(subject);
  // Without a beginning in the message's life the last of it is what matters.
  if (chosen.size() > kMostLines) {
    chosen.erase(chosen.begin() + kMostLines / 2, chosen.end() - kMostLines / 2);
  }
  for (const Event* e : chosen) {
    std::string who = e->device == kNone ? "" : speaker.device(e->device);
    if (e->broker != 0) who += "@" + speaker.broker(e->broker);
    lines.push_back({e->at_ms, who + " " + Words(*e, speaker)});
  }
  if (!lines.empty()) {
    const int64_t from = lines.front().at_ms - kBeforeMs, to = lines.back().at_ms;
    for (const auto& d : disturbances_) {
      if (d.at_ms >= from && d.at_ms <= to) lines.push_back({d.at_ms, "** " + d.what});
    }
  }
  std::stable_sort(lines.begin(), lines.end(),
                   [](const Line& a, const Line& b) { return a.at_ms < b.at_ms; });
  std::string story;
  for (const Line& line : lines) {
    story += fmt::format("{:.3f} s  {}\n", static_cast<double>(line.at_ms - began_ms) / 1000.0,
                         line.words);
  }
  if (story.empty()) story = "(too long ago: nothing of it is remembered)\n";
  return story;
}

}  // namespace nightjar::client::judge
