#include "tests/worlds/tokens.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <tuple>

#include "nightjar/v1/client.pb.h"

namespace nightjar::worlds {
namespace {

// 32 bytes in base64url; the worlds' own.
constexpr char kKeys[] =
    R"({"keys":[{"kid":"w","alg":"HS256","secret":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]})";
constexpr int64_t kDayMs = int64_t{24} * 3600 * 1000;

const std::string& KeyFile() {
  struct File {
    File() { std::ofstream(path) << kKeys; }
    ~File() { std::filesystem::remove(path); }
    const std::string path = (std::filesystem::temp_directory_path() /
                              ("nightjar_worlds_" + std::to_string(getpid()) + ".json"))
                                 .string();
  };
  static const File file;
  return file.path;
}

template <typename T>
T OrDie(Result<T> result) {
  if (!result.ok()) {
    std::cerr << "worlds: " << result.status().message() << std::endl;
    std::abort();
  }
  return std::move(result.value());
}

template <typename M>
std::string Text(std::string_view payload) {
  M message;
  if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
    return "(not decodable)";
  return message.ShortDebugString();
}

}  // namespace

std::shared_ptr<const KeySet> WorldKeys() {
  static const std::shared_ptr<const KeySet> keys = OrDie(KeySet::Parse(kKeys, ""));
  return keys;
}

const std::string& SomeToken(const std::string& uid, bool service, int64_t unix_ms) {
  static std::mutex mutex;
  static std::map<std::tuple<std::string, bool, int64_t>, std::string> tokens;
  const std::lock_guard lock(mutex);
  const int64_t day = unix_ms / kDayMs;
  std::string& token = tokens[{uid, service, day}];
  if (token.empty()) {
    Claims claims;
    claims.uid = uid;
    claims.service = service;
    claims.expires_ms = (day + 2) * kDayMs;
    token = OrDie(SignToken(KeyFile(), claims));
  }
  return token;
}

std::string PacketText(const std::string& topic, std::string_view payload) {
  if (!payload.empty() && payload[0] == '{') return std::string(payload);
  if (topic == "chat/send" || topic == "s") return Text<v1::Send>(payload);
  if (topic == "chat/ack" || topic == "a") return Text<v1::Ack>(payload);
  if (topic == "chat/req" || topic == "r") return Text<v1::Request>(payload);
  if (topic == "i" || topic.find("inbox/") != std::string::npos)
    return Text<v1::ServerFrame>(payload);
  if (topic.starts_with("presence/") && topic.find('/', 9) == std::string::npos)
    return Text<v1::Presence>(payload);
  return std::to_string(payload.size()) + " bytes";
}

}  // namespace nightjar::worlds
