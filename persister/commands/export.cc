#include "persister/commands/export.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <fstream>
#include <iostream>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/wire/names.h"
#include "persister/record_check.h"
#include "persister/startup.h"

namespace nightjar::persist {
namespace {

constexpr int kUnknownChat = 3;
constexpr uint32_t kPage = 200;
constexpr int64_t kProgressEveryMs = 5'000;

int Fail(int code, const std::string& what) {
  std::cerr << "nightjar-persister: " << what << "\n";
  return code;
}

// Page by page, the oldest first: memory is bounded, and what comes meanwhile comes at the end.
class Exporter {
 public:
  Exporter(const ExportArgs& args, Store& store, Signals& signals, std::ostream& out)
      : args_(args), store_(store), signals_(signals), out_(out) {}

  Status Run() {
    // No id is as low as 1: `after` alone asks for the oldest.
    HistoryQuery query{args_.chat, 0, std::max<MsgId>(args_.after, 1), kPage};
    for (bool more = true; more;) {
      const auto page = store_.History(query);
      if (!page.ok()) return page.status();
      more = page->more && !page->messages.empty();
      for (const v1::Message& message : page->messages) {
        if (args_.before != 0 && message.msg_id() >= args_.before) return Flush();
        if (Status s = Write(message); !s.ok()) return s;
        query.after = message.msg_id();
      }
      if (signals_.Wait(0)) return {Code::kUnavailable, "told to stop"};
      Tell();
    }
    return Flush();
  }

  uint64_t written() const { return written_; }

 private:
  Status Write(const v1::Message& message) {
    std::string line;
    if (!google::protobuf::util::MessageToJsonString(message, &line).ok()) {
      return {Code::kInternal, fmt::format("message {} cannot be printed", message.msg_id())};
    }
    line.push_back('\n');
    out_.write(line.data(), static_cast<std::streamsize>(line.size()));
    if (!out_) return CannotWrite();
    ++written_;
    newest_ms_ = MsgIdMs(message.msg_id());
    return Status::Ok();
  }
  Status Flush() { return out_.flush() ? Status::Ok() : CannotWrite(); }
  Status CannotWrite() const {
    return {Code::kUnavailable,
            "cannot write to " + (args_.out.empty() ? "standard output" : args_.out)};
  }
  void Tell() {
    const int64_t now = SystemNow().mono_ms;
    if (now - told_ms_ < kProgressEveryMs) return;
    told_ms_ = now;
    log::Notice("progress messages={} up_to={}", written_, IsoTime(newest_ms_));
  }

  const ExportArgs& args_;
  Store& store_;
  Signals& signals_;
  std::ostream& out_;
  uint64_t written_ = 0;
  int64_t newest_ms_ = 0;
  int64_t told_ms_ = SystemNow().mono_ms;
};

}  // namespace

CLI::App* AddExport(CLI::App& app, ExportArgs& args) {
  CLI::App* command = app.add_subcommand(
      "export",
      "Writes the messages of a chat that are in the --store, the oldest first: JSON, one object a "
      "line.\n"
      "Persisters may be running. What they have not stored yet is not in it.");
  command->fallthrough();
  command->add_option("--chat", args.chat, "its id, such as d:alice:bob")->required();
  command->add_option("--format", "json: one object a line, as protobuf prints messages")
      ->default_str("json")
      ->check(CLI::IsMember({"json"}));
  const auto ids = CLI::Range(uint64_t{0}, kMaxStoredMsgId);
  command->add_option("--after", args.after, "only messages with a higher id")->check(ids);
  command->add_option("--before", args.before, "only messages with a lower id")->check(ids);
  command->add_option("--out", args.out, "file to write to; else standard output");
  return command;
}

int RunExport(const ProcessOptions& options, const ExportArgs& args) {
  if (!ParseChatId(args.chat)) return Fail(2, "--chat: not a chat's id: " + args.chat);
  Signals signals;
  const auto store = OpenStoreToRead(options, signals);
  if (!store) return 1;
  const auto chat = store->ReadChat(args.chat);
  if (!chat.ok()) return Fail(1, chat.status().message());
  if (!chat.value()) {
    return Fail(kUnknownChat, "the store does not know the chat " + args.chat);
  }
  std::ofstream file;
  if (!args.out.empty()) {
    file.open(args.out, std::ios::binary | std::ios::trunc);
    if (!file) return Fail(1, "cannot write to " + args.out);
  }
  Exporter exporter(args, *store, signals, args.out.empty() ? std::cout : file);
  if (const Status status = exporter.Run(); !status.ok()) {
    return Fail(1,
                fmt::format("{}; {} messages were written", status.message(), exporter.written()));
  }
  log::Notice("exported messages={}", exporter.written());
  return 0;
}

}  // namespace nightjar::persist
