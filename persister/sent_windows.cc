#include "persister/sent_windows.h"

#include <algorithm>

#include "common/wire/limits.h"

namespace nightjar::persist {
namespace {

constexpr size_t kWindowsInPart = 64;
constexpr size_t kFloorsInPart = 500;

}  // namespace

void SentWindows::Add(const v1::Message& message) {
  const uint64_t client_msg_id = message.client_msg_id();
  if (client_msg_id == 0 || message.device().empty()) return;
  User& user = users_[message.author()];
  auto device = user.sent.find(message.device());
  if (device == user.sent.end()) {
    if (user.sent.size() >= limits::kDevices) {
      user.floor = std::max(user.floor, client_msg_id);
      return;
    }
    device = user.sent.try_emplace(message.device()).first;
  }
  auto& window = device->second;
  const auto [at, fresh] = window.emplace(client_msg_id, message.msg_id());
  if (!fresh) at->second = std::min<MsgId>(at->second, message.msg_id());
  if (window.size() > limits::kRepeatWindow) window.erase(window.begin());
}

std::vector<hub::RestoreChat> SentWindows::Parts(const std::string& chat) const {
  std::vector<hub::RestoreChat> parts;
  const auto part = [&]() -> hub::RestoreChat& {
    if (parts.empty() || parts.back().windows.size() >= kWindowsInPart ||
        parts.back().floors.size() >= kFloorsInPart) {
      parts.emplace_back().record.chat = chat;
    }
    return parts.back();
  };
  for (const auto& [uid, user] : users_) {
    for (const auto& [device, window] : user.sent) {
      part().windows.push_back({uid, device, {window.begin(), window.end()}});
    }
    if (user.floor != 0) part().floors.push_back({uid, user.floor});
  }
  return parts;
}

}  // namespace nightjar::persist
