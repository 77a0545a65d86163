#include "persister/commands/dead_letters.h"

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "common/base/log.h"
#include "common/hub/redis/open_hub.h"
#include "nightjar/v1/hub.pb.h"
#include "persister/dead_letters.h"
#include "persister/startup.h"

namespace nightjar::persist {
namespace {

using nlohmann::ordered_json;

constexpr int kSomeLeft = 3;

// Which kind of record it is, if that can be seen. What people wrote is never shown.
std::string KindOf(const std::string& bytes) {
  v1::JournalRecord record;
  if (!record.ParseFromString(bytes)) return "undecodable";
  const auto* body = v1::JournalRecord::descriptor()->FindFieldByNumber(record.body_case());
  return body == nullptr ? "empty" : body->name();
}

// One line whatever the bytes are: a reason may quote a name out of a bad record.
std::string Printable(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte >= 0x7f ? '?' : c;
  }
  return out;
}

void PrintJson(const ordered_json& json) {
  std::cout << json.dump(-1, ' ', true, ordered_json::error_handler_t::replace) << "\n";
}

void Print(const DeadLetterDesk::Letter& letter, bool json) {
  const auto& [at_ms, reason, record] = letter.letter;
  if (json) {
    PrintJson({{"id", letter.id},
               {"partition", letter.partition},
               {"at_ms", at_ms},
               {"kind", KindOf(record)},
               {"bytes", record.size()},
               {"reason", reason}});
    return;
  }
  std::cout << fmt::format("{}  {}  {}  {} bytes  {}\n", letter.id, IsoTime(at_ms), KindOf(record),
                           record.size(), Printable(reason));
}

int Complain(const Status& status) {
  std::cout.flush();
  std::cerr << "nightjar-persister: " << status.message() << "\n";
  return 1;
}

int List(DeadLetterDesk& desk, const DeadLetterDesk::Choice& choice, const DeadLetterArgs& args) {
  uint64_t shown = 0;
  bool more = false;
  // One beyond the limit is asked for, to tell whether there are more.
  const auto total = desk.List(choice, args.limit + 1, [&](const DeadLetterDesk::Letter& letter) {
    more = shown == args.limit;
    if (more) return;
    ++shown;
    Print(letter, args.json);
  });
  if (!total.ok()) return Complain(total.status());
  if (args.json) return 0;
  std::cout << fmt::format("{} dead letters{}\n", shown, more ? "; there are more (--limit)" : "");
  return 0;
}

int Tell(const DeadLetterDesk::Counts& counts, const char* done, bool json) {
  if (json) {
    PrintJson({{done, counts.done}, {"refused", counts.refused}, {"missing", counts.missing}});
  } else {
    for (const std::string& id : counts.missing) std::cout << id << "  is not there\n";
    std::cout << fmt::format("{} {}, {} refused, {} not there\n", done, counts.done, counts.refused,
                             counts.missing.size());
  }
  return counts.refused == 0 && counts.missing.empty() ? 0 : kSomeLeft;
}

// Nothing: fine.
std::optional<std::string> WrongWith(const DeadLetterArgs& args, uint32_t partitions) {
  if (args.partition && *args.partition >= partitions) {
    return fmt::format("--partition: there are {}, from 0 on", partitions);
  }
  for (const std::string& id : args.ids) {
    const auto partition = PartitionOfDeadLetter(id);
    if (!partition || *partition >= partitions) return "not a dead letter's id: " + Printable(id);
  }
  return std::nullopt;
}

}  // namespace

CLI::App* AddDeadLetters(CLI::App& app, DeadLetterArgs& args) {
  CLI::App* command = app.add_subcommand("deadletters", "Records that could not be stored.");
  command->fallthrough()->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, DeadLetterArgs::What what) {
    CLI::App* sub = command->add_subcommand(name, help);
    sub->fallthrough();
    sub->callback([&args, what] { args.what = what; });
    sub->add_option("--partition", args.partition, "only this one's");
    sub->add_option_function<std::string>(
           "--format", [&args](const std::string& format) { args.json = format == "json"; },
           "text, or json: one object a line")
        ->check(CLI::IsMember({"text", "json"}));
    return sub;
  };
  add("list", "Shows them, by partition, oldest first.", DeadLetterArgs::What::kList)
      ->add_option("--limit", args.limit, "at most so many")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  // What is not named is not touched: all of them must be said to be meant.
  const auto choose = [&](CLI::App* sub) {
    auto* ids = sub->add_option("ids", args.ids, "as list shows them");
    sub->add_flag("--all", args.all, "all there are now (of the --partition, if given)")
        ->excludes(ids);
    sub->get_option("--partition")->excludes(ids);
  };
  choose(add("replay",
             "Puts them to the --store, and takes out of the list what it has stored. Where a "
             "persister is at work on them, it must be stopped first.",
             DeadLetterArgs::What::kReplay));
  choose(add("drop", "Takes them out of the list for good.", DeadLetterArgs::What::kDrop));
  return command;
}

int RunDeadLetters(const ProcessOptions& options, const DeadLetterArgs& args) {
  if (args.what != DeadLetterArgs::What::kList && args.ids.empty() && !args.all) {
    std::cerr << "nightjar-persister: name the letters by their ids, or say --all\n";
    return 2;
  }
  Signals signals;
  std::unique_ptr<Store> store;
  if (args.what == DeadLetterArgs::What::kReplay && !(store = OpenStore(options, signals))) {
    return 1;
  }
  const auto found = FindHub(options, signals);
  if (!found) return 1;
  const uint32_t partitions = found->info.partitions;
  if (const auto wrong = WrongWith(args, partitions)) {
    std::cerr << "nightjar-persister: " << *wrong << "\n";
    return 2;
  }
  const auto hub = hub::OpenHub(options.redis, partitions);
  DeadLetterDesk desk({.partitions = partitions,
                       .owner = fmt::format("{}#{:016x}", options.id, RandomSeed()),
                       .stop = [&signals] { return signals.Wait(0); }},
                      *hub);
  const DeadLetterDesk::Choice choice{args.partition, {args.ids.begin(), args.ids.end()}};
  if (args.what == DeadLetterArgs::What::kList) return List(desk, choice, args);
  const bool drop = args.what == DeadLetterArgs::What::kDrop;
  const auto counts =
      drop
          ? desk.Drop(choice)
          : desk.Replay(choice, *store, [&](const DeadLetterDesk::Letter& letter, const auto& why) {
              if (!args.json) std::cout << letter.id << "  refused: " << Printable(why) << "\n";
            });
  if (!counts.ok()) return Complain(counts.status());
  return Tell(*counts, drop ? "dropped" : "replayed", args.json);
}

}  // namespace nightjar::persist
