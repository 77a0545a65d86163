// A judge that never says no proves nothing: each way to break a promise, put into the record of a
// world that kept them all, must be found, under the right promise.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "tests/unit/client_sim/judge_world.h"

namespace nightjar::client {
namespace {

using Ways = std::set<std::string>;  // promises under one of which it may be found

struct Mutation {
  const char* name;
  Ways promises;
  // Spoils the record; false if there is nothing to spoil in it.
  std::function<bool(Record&, Dice&)> spoil;
};

// Places of happenings of one kind for which f is true.
template <typename T>
std::vector<size_t> Find(const Record& record, std::function<bool(const T&, size_t)> f = {}) {
  std::vector<size_t> places;
  for (size_t i = 0; i < record.told.size(); ++i) {
    if (record.told[i].kind != Told::Kind::kTook) continue;
    const T* h = std::get_if<T>(&record.told[i].happening);
    if (h != nullptr && (!f || f(*h, i))) places.push_back(i);
  }
  return places;
}
template <typename T>
T& At(Record& record, size_t place) {
  return std::get<T>(record.told[place].happening);
}
size_t Any(const std::vector<size_t>& places, Dice& dice) {
  return places[dice.Below(places.size())];
}
// Not the author's own copy: those may be told or not in some cases.
std::vector<size_t> Foreign(const Record& record) {
  return Find<MessageCame>(record, [&](const MessageCame& came, size_t i) {
    return came.seq > 0 && came.message.author() != record.devices[record.told[i].device].first;
  });
}
void InsertAt(Record& record, size_t place, Told told) {
  record.told.insert(record.told.begin() + static_cast<int64_t>(place), std::move(told));
}

// The next message of the same chat on the same device in the same session; 0 if none.
size_t NextInChat(const Record& record, size_t place) {
  const auto& first = std::get<MessageCame>(record.told[place].happening);
  for (size_t i = place + 1; i < record.told.size(); ++i) {
    const Told& told = record.told[i];
    if (told.kind != Told::Kind::kTook || told.device != record.told[place].device) continue;
    if (std::holds_alternative<Synced>(told.happening)) return 0;
    const auto* came = std::get_if<MessageCame>(&told.happening);
    if (came != nullptr && came->seq > 0 && came->message.chat_id() == first.message.chat_id()) {
      return i;
    }
  }
  return 0;
}

bool SwapTexts(Record& record, Dice& dice) {
  std::vector<size_t> places;
  for (const size_t place : Foreign(record)) {
    if (NextInChat(record, place) != 0) places.push_back(place);
  }
  if (places.empty()) return false;
  const size_t one = Any(places, dice), two = NextInChat(record, one);
  std::swap(At<MessageCame>(record, one).message, At<MessageCame>(record, two).message);
  return true;
}

bool History(Record& record, Dice& dice, const std::function<void(v1::Message&)>& f,
             int change = 0) {
  std::vector<std::string> chats;
  for (const auto& [id, messages] : record.histories) {
    if (messages.size() >= 3) chats.push_back(id);
  }
  if (chats.empty()) return false;
  auto& messages = record.histories[chats[dice.Below(chats.size())]];
  const auto at = messages.begin() + static_cast<int64_t>(dice.Below(messages.size() - 1));
  if (change < 0) {
    messages.erase(at);
  } else if (change > 0) {
    v1::Message extra = *at;
    f(extra);
    messages.insert(at + 1, extra);
  } else {
    f(*at);
  }
  return true;
}

const std::vector<Mutation>& Mutations() {
  static const std::vector<Mutation> all = {
      {"a message never comes",
       {"G1"},
       [](Record& r, Dice& d) {
         // The whole of its life on that device.
         const auto places = Foreign(r);
         if (places.empty()) return false;
         const size_t place = Any(places, d);
         const size_t device = r.told[place].device;
         const uint64_t id = At<MessageCame>(r, place).message.msg_id();
         std::erase_if(r.told, [&](const Told& t) {
           if (t.kind != Told::Kind::kTook || t.device != device) return false;
           const auto* came = std::get_if<MessageCame>(&t.happening);
           const auto* repeat = std::get_if<RepeatCame>(&t.happening);
           return (came != nullptr && came->message.msg_id() == id) ||
                  (repeat != nullptr && repeat->msg_id == id);
         });
         return true;
       }},
      {"a message is shown twice",
       {"G2"},
       [](Record& r, Dice& d) {
         const auto places = Foreign(r);
         if (places.empty()) return false;
         const size_t place = Any(places, d);
         InsertAt(r, place + 1, r.told[place]);
         return true;
       }},
      {"two messages come in the wrong order", {"G3"}, SwapTexts},
      {"a text is forged",
       {"G2"},
       [](Record& r, Dice& d) {
         const auto places = Foreign(r);
         if (places.empty()) return false;
         At<MessageCame>(r, Any(places, d)).message.set_text("forged");
         return true;
       }},
      {"an author is forged",
       {"G2"},
       [](Record& r, Dice& d) {
         const auto places = Foreign(r);
         if (places.empty()) return false;
         const size_t place = Any(places, d);
         At<MessageCame>(r, place).message.set_author(r.devices[r.told[place].device].first);
         return true;
       }},
      {"an id is forged",
       {"G1", "G2", "G3"},
       [](Record& r, Dice& d) {
         const auto places = Foreign(r);
         if (places.empty()) return false;
         v1::Message& message = At<MessageCame>(r, Any(places, d)).message;
         message.set_msg_id(message.msg_id() + 1);
         return true;
       }},
      {"a message that nobody wrote",
       {"G2"},
       [](Record& r, Dice& d) {
         const auto places = Foreign(r);
         if (places.empty()) return false;
         const size_t place = Any(places, d);
         Told told = r.told[place];
         auto& came = std::get<MessageCame>(told.happening);
         came.seq += 1000;
         came.message.set_msg_id(came.message.msg_id() + (uint64_t{200'000} << 20));
         came.message.set_text("never written");
         InsertAt(r, place + 1, told);
         return true;
       }},
      {"taken for a repeat and never shown",
       {"G3", "G1"},
       [](Record& r, Dice& d) {
         const auto places = Foreign(r);
         if (places.empty()) return false;
         const size_t place = Any(places, d);
         const MessageCame came = At<MessageCame>(r, place);
         r.told[place].happening =
             RepeatCame{came.seq, came.message.chat_id(), came.message.msg_id()};
         return true;
       }},
      {"a mark comes before the acknowledgement",
       {"G5"},
       [](Record& r, Dice& d) {
         std::vector<size_t> places;
         for (const size_t p : Foreign(r)) {
           // Only where this is the first device of its user to have it.
           const auto& m = At<MessageCame>(r, p).message;
           const std::string& uid = r.devices[r.told[p].device].first;
           bool first = true;
           for (size_t i = 0; i < p; ++i) {
             const auto* came = std::get_if<MessageCame>(&r.told[i].happening);
             if (r.told[i].kind == Told::Kind::kTook && came != nullptr &&
                 came->message.msg_id() == m.msg_id() && r.devices[r.told[i].device].first == uid) {
               first = false;
             }
           }
           if (first) places.push_back(p);
         }
         if (places.empty()) return false;
         const size_t place = Any(places, d);
         const auto& m = At<MessageCame>(r, place).message;
         Told told = r.told[place];
         for (size_t i = 0; i < r.devices.size(); ++i) {
           if (r.devices[i] == std::make_pair(m.author(), std::string("phone"))) told.device = i;
         }
         told.happening = MarkMoved{m.chat_id(), r.devices[r.told[place].device].first, m.msg_id()};
         InsertAt(r, place + 1, told);
         return true;
       }},
      {"a mark goes back",
       {"G5"},
       [](Record& r, Dice& d) {
         const auto places = Find<MarkMoved>(r);
         if (places.empty()) return false;
         const size_t place = Any(places, d);
         Told told = r.told[place];
         std::get<MarkMoved>(told.happening).msg_id -= 1;
         InsertAt(r, place + 1, told);
         return true;
       }},
      {"the last mark is missing",
       {"G5"},
       [](Record& r, Dice& d) {
         std::set<std::pair<size_t, std::pair<std::string, std::string>>> later;
         std::vector<size_t> last;
         for (size_t i = r.told.size(); i-- > 0;) {
           const auto* mark = std::get_if<MarkMoved>(&r.told[i].happening);
           if (r.told[i].kind != Told::Kind::kTook || mark == nullptr) continue;
           if (later.insert({r.told[i].device, {mark->chat_id, mark->uid}}).second) {
             // Of a message of this device's own user, or nobody is owed the mark.
             const std::string& uid = r.devices[r.told[i].device].first;
             for (const auto& m : r.histories[mark->chat_id]) {
               if (m.msg_id() == mark->msg_id && m.author() == uid && mark->chat_id[0] == 'd' &&
                   m.device() == r.devices[r.told[i].device].second) {
                 last.push_back(i);
               }
             }
           }
         }
         if (last.empty()) return false;
         const size_t place = Any(last, d);
         const MarkMoved gone = At<MarkMoved>(r, place);
         const size_t device = r.told[place].device;
         // All marks that come near it, or an earlier one does for it.
         std::erase_if(r.told, [&](const Told& t) {
           const auto* mark = std::get_if<MarkMoved>(&t.happening);
           return t.kind == Told::Kind::kTook && mark != nullptr && t.device == device &&
                  mark->chat_id == gone.chat_id && mark->uid == gone.uid;
         });
         return true;
       }},
      {"entries are led over",
       {"G4"},
       [](Record& r, Dice& d) {
         const size_t device = d.Below(r.devices.size());
         bool any = false;
         for (Told& t : r.told) {
           if (t.kind != Told::Kind::kTook || t.device != device) continue;
           constexpr uint64_t kBy = 1'000'000;
           if (auto* s = std::get_if<Synced>(&t.happening); s != nullptr && any) {
             s->start += kBy;
             s->head += kBy;
             if (s->resync) return false;
           }
           if (auto* m = std::get_if<MessageCame>(&t.happening); m != nullptr && m->seq > 0) {
             any = true;
             m->seq += kBy;
           }
           if (auto* m = std::get_if<RepeatCame>(&t.happening); m != nullptr && any) m->seq += kBy;
           if (auto* m = std::get_if<ChatChanged>(&t.happening); m != nullptr && any) {
             m->seq += kBy;
           }
           if (auto* a = std::get_if<AckSent>(&t.happening); a != nullptr && any) a->seq += kBy;
         }
         return any;
       }},
      {"starts after what was not acknowledged",
       {"G4"},
       [](Record& r, Dice& d) {
         const auto places =
             Find<Synced>(r, [](const Synced& s, size_t) { return !s.resync && s.head > s.start; });
         if (places.empty()) return false;
         std::vector<size_t> again;
         for (const size_t p : places) {
           for (size_t i = 0; i < p; ++i) {
             if (r.told[i].device == r.told[p].device &&
                 std::holds_alternative<Synced>(r.told[i].happening) &&
                 r.told[i].kind == Told::Kind::kTook) {
               again.push_back(p);
               break;
             }
           }
         }
         if (again.empty()) return false;
         Synced& s = At<Synced>(r, Any(again, d));
         s.start = s.head;
         return true;
       }},
      {"a new epoch without resync",
       {"G4"},
       [](Record& r, Dice& d) {
         const auto places = Find<Synced>(r);
         const size_t place = Any(places, d);
         Told told = r.told[place];
         auto& s = std::get<Synced>(told.happening);
         s.epoch += 5;
         s.resync = false;
         InsertAt(r, place + 1, told);
         return true;
       }},
      {"an epoch goes back",
       {"G4"},
       [](Record& r, Dice& d) {
         const auto places = Find<Synced>(r);
         const size_t place = Any(places, d);
         Told told = r.told[place];
         std::get<Synced>(told.happening).epoch -= 1;
         InsertAt(r, place + 1, told);
         return true;
       }},
      {"accepted again under another id",
       {"G2"},
       [](Record& r, Dice& d) {
         const auto places = Find<SendAccepted>(r);
         if (places.empty()) return false;
         const size_t place = Any(places, d);
         Told told = r.told[place];
         std::get<SendAccepted>(told.happening).msg_id += 1;
         InsertAt(r, place + 1, told);
         return true;
       }},
      {"accepted, and never written",
       {"G2"},
       [](Record& r, Dice& d) {
         const auto places = Find<SendAccepted>(r);
         if (places.empty()) return false;
         const size_t place = Any(places, d);
         Told told = r.told[place];
         std::get<SendAccepted>(told.happening).client_msg_id += 77'777'777;
         InsertAt(r, place + 1, told);
         return true;
       }},
      {"two messages are given one id",
       {"G2", "G3"},
       [](Record& r, Dice& d) {
         const auto places = Find<SendAccepted>(r);
         for (const size_t p : places) {
           for (const size_t q : places) {
             auto& one = At<SendAccepted>(r, p);
             auto& two = At<SendAccepted>(r, q);
             if (p < q && one.chat_id == two.chat_id && d.Below(2) == 0) {
               two.msg_id = one.msg_id;
               return true;
             }
           }
         }
         return false;
       }},
      {"refused for good, and there",
       {"G2"},
       [](Record& r, Dice& d) {
         // The answer of a message that somebody else sees is turned round.
         std::set<uint64_t> seen;
         for (const size_t p : Foreign(r)) seen.insert(At<MessageCame>(r, p).message.msg_id());
         const auto places = Find<SendAccepted>(
             r, [&](const SendAccepted& a, size_t) { return seen.contains(a.msg_id); });
         if (places.empty()) return false;
         const size_t place = Any(places, d);
         const SendAccepted a = At<SendAccepted>(r, place);
         SendRefused refused{a.client_msg_id, a.chat_id, a.text, {}};
         refused.error.set_code(v1::INVALID_ARGUMENT);
         r.told[place].happening = refused;
         return true;
       }},
      {"seen by somebody who is no member",
       {"G10"},
       [](Record& r, Dice& d) {
         const auto places = Find<MessageCame>(r, [&](const MessageCame& c, size_t) {
           return c.seq > 0 && c.message.chat_id()[0] == 'd';
         });
         if (places.empty()) return false;
         const size_t place = Any(places, d);
         const auto& m = At<MessageCame>(r, place).message;
         for (size_t i = 0; i < r.devices.size(); ++i) {
           if (m.chat_id().find(r.devices[i].first) != std::string::npos) continue;
           Told told = r.told[place];
           told.device = i;
           // In its own place of that inbox: after everything.
           std::get<MessageCame>(told.happening).seq = 100'000;
           r.told.push_back(told);
           return true;
         }
         return false;
       }},
      {"history lacks a message", {"G1"}, [](Record& r, Dice& d) { return History(r, d, {}, -1); }},
      {"history has a message too many",
       {"G2"},
       [](Record& r, Dice& d) {
         return History(
             r, d, [](v1::Message& m) { m.set_msg_id(m.msg_id() + 1); }, 1);
       }},
      {"history has another text",
       {"G2"},
       [](Record& r, Dice& d) {
         return History(r, d, [](v1::Message& m) { m.set_text(m.text() + "!"); });
       }},
      {"history has another author",
       {"G2"},
       [](Record& r, Dice& d) {
         return History(r, d, [](v1::Message& m) { m.set_author("u9"); });
       }},
      {"history has a message twice",
       {"G2"},
       [](Record& r, Dice& d) {
         return History(
             r, d, [](v1::Message&) {}, 1);
       }},
      {"presence is wrong in the end",
       {"G6"},
       [](Record& r, Dice&) {
         const auto places = Find<PresenceSeen>(r);
         if (places.empty()) return false;
         At<PresenceSeen>(r, places.back())
             .presence.set_online(!At<PresenceSeen>(r, places.back()).presence.online());
         return true;
       }},
      {"nobody tells that somebody went",
       {"G6"},
       [](Record& r, Dice&) {
         // The end of the world: everybody goes, the watcher stays and is told nothing.
         const auto places = Find<PresenceSeen>(
             r, [](const PresenceSeen& s, size_t) { return s.presence.online(); });
         if (places.empty()) return false;
         for (size_t i = 0; i < r.devices.size(); ++i) {
           if (r.devices[i].first == "u0") continue;
           r.told.push_back({Told::Kind::kTook, i, WentDown{"end"}, r.end});
         }
         r.end.mono_ms += 60'000;
         return true;
       }},
  };
  return all;
}

TEST(JudgeMutation, EveryKindOfFaultIsFoundUnderItsPromise) {
  WorldShape shape;
  shape.epochs = false;
  shape.users = 4;
  shape.steps = 250;
  for (const Mutation& mutation : Mutations()) {
    int tried = 0;
    for (uint64_t seed = 0; seed < 60 && tried < 25; ++seed) {
      Record record = PlayWorld(1000 + seed, shape);
      Dice dice(seed);
      if (!mutation.spoil(record, dice)) continue;
      ++tried;
      const Judged judged = Judge(record);
      const bool found =
          std::any_of(judged.violations.begin(), judged.violations.end(),
                      [&](const Violation& v) { return mutation.promises.contains(v.promise); });
      std::string said;
      for (const auto& v : judged.violations) said += "\n  " + v.promise + " " + v.what;
      EXPECT_TRUE(found) << mutation.name << ", seed " << seed << ", found instead:" << said;
    }
    EXPECT_GE(tried, 5) << mutation.name << " had too little to spoil";
  }
}

TEST(JudgeMutation, AViolationTellsTheWholeStory) {
  Oracle oracle;
  const DeviceId alice = oracle.Expect("alice", "phone"), bob = oracle.Expect("bob", "phone");
  oracle.At(alice, "m0");
  const std::string chat = "d:alice:bob";
  oracle.Took(alice, Synced{1, 0, 0, false}, {1'000, 1'000});
  oracle.Took(bob, Synced{1, 0, 0, false}, {1'000, 1'000});
  oracle.Took(alice, Wrote{5, chat, "hello"}, {2'000, 2'000});
  oracle.Disturbed({2'050, 2'050}, "kill -9 of redis", true);
  oracle.Took(alice, SendAccepted{5, 77, chat, "hello", 2}, {2'100, 2'100});
  MessageCame came{1, {}};
  came.message.set_chat_id(chat);
  came.message.set_msg_id(77);
  came.message.set_author("alice");
  came.message.set_text("hallo");
  oracle.Took(bob, came, {2'200, 2'200});
  ASSERT_EQ(oracle.violations().size(), 1U);
  const Violation& broken = oracle.violations()[0];
  EXPECT_EQ(broken.promise, "G2");
  EXPECT_NE(broken.what.find("d:alice:bob/77"), std::string::npos) << broken.what;
  for (const char* part : {"alice:phone@m0 wrote it", "** kill -9 of redis", "accepted as 77",
                           "tried 2 times", "bob:phone sees it, seq 1"}) {
    EXPECT_NE(broken.story.find(part), std::string::npos) << part << "\n" << broken.story;
  }
}

}  // namespace
}  // namespace nightjar::client
