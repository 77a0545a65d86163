#include "persister/commands/backup.h"

#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/log.h"
#include "persister/rocksdb_backup.h"
#include "persister/startup.h"

namespace nightjar::persist {
namespace {

using nlohmann::json;

int Fail(const Status& status) {
  std::cerr << "nightjar-persister: " << status.message() << "\n";
  return status.code() == Code::kInvalidArgument ? 2 : 1;
}

std::string Describe(const Backup& backup) {
  return fmt::format("{}  {}  {:.1f} MiB", backup.number, IsoTime(backup.made_ms),
                     static_cast<double>(backup.bytes) / (1 << 20));
}

// ---- between the two processes

std::string QuestionOf(const BackupArgs& args) {
  return json{{"backup", args.to}, {"keep", args.keep}, {"mib_per_s", args.mib_per_s}}.dump();
}

// Nothing: not a question.
std::optional<BackupOptions> ParseQuestion(const std::string& line) {
  const json question = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!question.is_object()) return std::nullopt;
  const auto to = question.find("backup");
  const auto keep = question.find("keep");
  const auto rate = question.find("mib_per_s");
  const bool good = to != question.end() && to->is_string() && keep != question.end() &&
                    keep->is_number_unsigned() && rate != question.end() &&
                    rate->is_number_unsigned();
  if (!good) return std::nullopt;
  return BackupOptions{to->get<std::string>(), keep->get<uint32_t>(), rate->get<uint32_t>(), {}};
}

std::string AnswerOf(const Result<Backup>& backup) {
  if (backup.ok()) {
    return json{{"number", backup->number}, {"made_ms", backup->made_ms}, {"bytes", backup->bytes}}
        .dump();
  }
  return json{{"code", static_cast<int>(backup.status().code())},
              {"error", backup.status().message()}}
      .dump(-1, ' ', true, json::error_handler_t::replace);
}

Result<Backup> ParseAnswer(const std::string& line) {
  const json answer = json::parse(line, nullptr, /*allow_exceptions=*/false);
  const Status odd(Code::kInternal, "the persister gave an odd answer: is it of another version?");
  if (!answer.is_object()) return odd;
  try {
    if (answer.contains("error")) {
      return Status(answer.at("code") == static_cast<int>(Code::kInvalidArgument)
                        ? Code::kInvalidArgument
                        : Code::kUnavailable,
                    answer.at("error").get<std::string>());
    }
    return Backup{answer.at("number").get<uint32_t>(), answer.at("made_ms").get<int64_t>(),
                  answer.at("bytes").get<uint64_t>()};
  } catch (const json::exception&) {
    return odd;
  }
}

// By who has the store open, or by this process if nobody has.
Result<Backup> BackUpAnyhow(const ProcessOptions& options, const BackupArgs& args) {
  bool gone = false;
  if (const auto answer = AskAtDoor(options.store_dir, QuestionOf(args), gone)) {
    return ParseAnswer(*answer);
  }
  if (gone) {
    return Status(Code::kUnavailable, "the persister ended before the backup was whole");
  }
  Signals signals;  // from here on: until then they just end this
  const auto store = OpenRocksDb(options, signals);
  if (!store) return Status(Code::kUnavailable, "the store could not be opened");
  return store->BackUp(
      {args.to, args.keep, args.mib_per_s, [&signals] { return signals.Wait(0); }});
}

Status OnlyRocksDb(const ProcessOptions& options) {
  if (!options.hbase) return Status::Ok();
  return {
      Code::kInvalidArgument,
      "only for --store rocksdb:DIR; HBase has its own snapshots and backups (docs/storage.md)"};
}

}  // namespace

CLI::App* AddBackup(CLI::App& app, BackupArgs& args) {
  CLI::App* command = app.add_subcommand("backup",
                                         "Copies the --store (rocksdb:DIR) into a folder of "
                                         "backups, while a persister uses it or not.\n"
                                         "What earlier backups in it have is not copied again.");
  command->fallthrough();
  command
      ->add_option("--to", args.to,
                   "folder of this store's backups, made if missing; a running persister writes it")
      ->required();
  command
      ->add_option("--keep", args.keep, "the newest so many stay, others are removed; 0: all stay")
      ->capture_default_str()
      ->check(CLI::Range(0, 1'000'000));
  command->add_option("--mib-per-s", args.mib_per_s, "written at most; 0: as fast as it goes")
      ->capture_default_str()
      ->check(CLI::Range(0, 1'000'000));
  return command;
}

CLI::App* AddRestore(CLI::App& app, RestoreArgs& args) {
  CLI::App* command = app.add_subcommand(
      "restore",
      "Makes the --store (rocksdb:DIR, missing or empty) out of a backup, with every checksum "
      "verified.");
  command->fallthrough();
  command->add_option("--from", args.from, "folder of backups, as backup --to")->required();
  command->add_option("--backup", args.number, "its number; else the newest")
      ->check(CLI::Range(1U, UINT32_MAX));
  command->add_flag("--list", args.list, "only shows which backups there are");
  return command;
}

int RunBackup(const ProcessOptions& options, const BackupArgs& args) {
  if (Status s = OnlyRocksDb(options); !s.ok()) return Fail(s);
  std::error_code error;
  if (!std::filesystem::exists(options.store_dir + "/CURRENT", error)) {
    return Fail({Code::kInvalidArgument, "store " + options.store_dir + ": there is none"});
  }
  BackupArgs absolute = args;  // who makes it may be in another folder
  absolute.to = std::filesystem::absolute(args.to, error).lexically_normal().string();
  const auto backup = BackUpAnyhow(options, absolute);
  if (!backup.ok()) return Fail(backup.status());
  std::cout << "backup " << Describe(*backup) << "\n";
  return 0;
}

int RunRestore(const ProcessOptions& options, const RestoreArgs& args) {
  if (args.list) {
    const auto backups = storage::ListBackups(args.from);
    if (!backups.ok()) return Fail(backups.status());
    for (const Backup& backup : *backups) std::cout << Describe(backup) << "\n";
    return 0;
  }
  if (Status s = OnlyRocksDb(options); !s.ok()) return Fail(s);
  const auto backup = storage::Restore(args.from, args.number, options.store_dir);
  if (!backup.ok()) return Fail(backup.status());
  std::cout << "restored " << Describe(*backup) << "\n";
  return 0;
}

std::unique_ptr<StoreDoor> ServeBackups(const std::string& dir, RocksDbStore& store) {
  auto door =
      StoreDoor::Open(dir, [&store](const std::string& line, const std::function<bool()>& closing) {
        auto asked = ParseQuestion(line);
        if (!asked) return AnswerOf(Status(Code::kInvalidArgument, "not a question"));
        log::Notice("backup to={} begins", asked->to);
        asked->stop = closing;
        const auto backup = store.BackUp(*asked);
        if (backup.ok()) {
          log::Notice("backup to={} number={} bytes={}", asked->to, backup->number, backup->bytes);
        } else {
          log::Warning("backup to={}: {}", asked->to, backup.status().message());
        }
        return AnswerOf(backup);
      });
  if (door.ok()) return std::move(door).value();
  log::Warning("{}: backups can only be made while this is stopped", door.status().message());
  return nullptr;
}

}  // namespace nightjar::persist
