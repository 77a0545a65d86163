#include "client-sim/chaos/stack_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace nightjar::chaos {

using Json = nlohmann::ordered_json;  // the file keeps its order

struct StackFile::Document {
  Json json;
};

namespace {

StackFile::Entry ReadEntry(const Json& json) {
  StackFile::Entry entry;
  json.at("name").get_to(entry.name);
  json.at("argv").get_to(entry.argv);
  for (const auto& [name, value] : json.at("env").items()) {
    entry.env.push_back(name + "=" + value.get<std::string>());
  }
  json.at("cwd").get_to(entry.cwd);
  json.at("log").get_to(entry.log);
  json.at("pid").get_to(entry.pid);
  json.at("start").get_to(entry.start_ticks);
  return entry;
}

// The part of the document beside "processes" that also names the process's pid; null if none.
Json* PartOf(Json& document, const std::string& name) {
  for (Json& broker : document.at("brokers")) {
    if (broker.value("id", "") == name) return &broker;
  }
  return document.contains(name) && document[name].is_object() ? &document[name] : nullptr;
}

}  // namespace

StackFile::StackFile() : document_(std::make_unique<Document>()) {}

StackFile::~StackFile() {
  if (lock_ >= 0) close(lock_);
}

Result<std::unique_ptr<StackFile>> StackFile::Open(const std::string& path) {
  std::unique_ptr<StackFile> file(new StackFile);
  file->path_ = path;
  // The lock first: what is read under it is still so when it is used.
  if (Status status = file->Lock(); !status.ok()) return status;
  if (Status status = file->Read(path); !status.ok()) return status;
  return file;
}

Status StackFile::Lock() {
  const std::string path = std::filesystem::path(path_).replace_filename("lock");
  lock_ = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0) {
    return {Code::kNotFound, "cannot open " + path + ": " + std::strerror(errno) +
                                 " (is the stack up? try ./nj up)"};
  }
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    return {Code::kFailedPrecondition, "somebody else is busy with the stack of " + path_};
  }
  return {};
}

Status StackFile::Read(const std::string& path) {
  std::ifstream file(path);
  if (!file) return {Code::kNotFound, "cannot read " + path + " (is the stack up? try ./nj up)"};
  Json& json = document_->json;
  json = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return {Code::kInvalidArgument, path + " is not a stack.json"};
  try {
    for (const Json& process : json.at("processes")) {
      Entry entry = ReadEntry(process);
      if (const Json* part = PartOf(json, entry.name)) {
        entry.port = part->value("mqtt", part->value("port", 0));
      }
      if (entry.argv.empty() || entry.pid <= 1) {
        return {Code::kInvalidArgument, path + ": " + entry.name + " was never started"};
      }
      entries_.push_back(std::move(entry));
    }
  } catch (const Json::exception& e) {
    return {Code::kInvalidArgument, path + ": " + e.what()};
  }
  if (entries_.empty()) return {Code::kInvalidArgument, path + " names no process"};
  return {};
}

Status StackFile::Restarted(const std::string& name, int pid, uint64_t start_ticks) {
  Json& json = document_->json;
  for (Json& process : json.at("processes")) {
    if (process.at("name") != name) continue;
    process["pid"] = pid;
    process["start"] = start_ticks;
  }
  if (Json* part = PartOf(json, name)) (*part)["pid"] = pid;

  const std::string temporary = path_ + "." + std::to_string(getpid());
  {
    std::ofstream file(temporary, std::ios::trunc);
    chmod(temporary.c_str(), 0600);
    file << json.dump(2) << "\n";
    if (!file.flush()) return {Code::kUnavailable, "cannot write " + temporary};
  }
  if (rename(temporary.c_str(), path_.c_str()) != 0) {
    return {Code::kUnavailable, "cannot replace " + path_ + ": " + std::strerror(errno)};
  }
  return {};
}

}  // namespace nightjar::chaos
