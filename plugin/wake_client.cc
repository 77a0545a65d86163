#include "plugin/wake_client.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/clock.h"

namespace nightjar::plugin {
namespace {

std::string RandomHex(size_t bytes) {
  std::string raw(bytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(raw.data()), static_cast<int>(bytes)) != 1) {
    return {};
  }
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const unsigned char c : raw) hex += {kDigits[c >> 4], kDigits[c & 15]};
  return hex;
}

void AppendString(std::string& out, std::string_view text) {
  out += static_cast<char>(text.size() >> 8);
  out += static_cast<char>(text.size() & 0xff);
  out += text;
}

std::string Packet(char type, const std::string& body) {
  std::string out(1, type);
  size_t length = body.size();
  do {
    const auto low = static_cast<unsigned char>(length & 0x7f);
    length >>= 7;
    out += static_cast<char>(length > 0 ? low | 0x80 : low);
  } while (length > 0);
  return out + body;
}

bool Equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

WakeIdentity WakeIdentity::Make() {
  return {"$nightjar-wake:" + RandomHex(8), "$nightjar-wake", RandomHex(32)};
}

bool WakeIdentity::Matches(std::string_view id, std::string_view name,
                           std::string_view secret) const {
  return !password.empty() && id == client_id && name == user && Equal(secret, password);
}

std::string ConnectPacket(const WakeIdentity& identity, uint16_t keep_alive_s) {
  std::string body;
  AppendString(body, "MQTT");
  body += '\x04';                                 // 3.1.1
  body += static_cast<char>(0x80 | 0x40 | 0x02);  // user name, password, clean session
  body += static_cast<char>(keep_alive_s >> 8);
  body += static_cast<char>(keep_alive_s & 0xff);
  AppendString(body, identity.client_id);
  AppendString(body, identity.user);
  AppendString(body, identity.password);
  return Packet('\x10', body);
}

std::string PublishPacket(std::string_view topic) {
  std::string body;
  AppendString(body, topic);
  return Packet('\x30', body);
}

WakeClient::WakeClient(std::string socket_path, WakeIdentity identity)
    : path_(std::move(socket_path)),
      identity_(std::move(identity)),
      connect_(ConnectPacket(identity_, kKeepAliveS)),
      publish_(PublishPacket(kTopic)) {}

WakeClient::~WakeClient() {
  std::lock_guard lock(mutex_);
  CloseLocked();
}

bool WakeClient::connected() const {
  std::lock_guard lock(mutex_);
  return fd_ >= 0;
}

void WakeClient::Wake() {
  if (pending_.exchange(true, std::memory_order_seq_cst)) return;
  const int64_t mono_ms = SystemNow().mono_ms;
  std::lock_guard lock(mutex_);
  SendLocked(mono_ms);
}

void WakeClient::Tend(int64_t mono_ms) {
  std::lock_guard lock(mutex_);
  // Nothing but the CONNACK comes, so it is enough to look now and then whether the broker hung up.
  if (fd_ >= 0 && (last_connack() < 0 || mono_ms - last_look_ms_ >= kLookMs)) {
    last_look_ms_ = mono_ms;
    ReadLocked();
  }
  if (fd_ < 0 || mono_ms - last_send_ms_ >= kBeatMs) SendLocked(mono_ms);
}

void WakeClient::SendLocked(int64_t mono_ms) {
  // Twice: a connection that the broker has closed meanwhile is noticed only here.
  for (int round = 0; round < 2; ++round) {
    std::string_view bytes = publish_;
    std::string both;
    if (fd_ < 0) {
      if (!OpenLocked(mono_ms)) return;
      both = connect_ + publish_;
      bytes = both;
    }
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(bytes.size())) {
      last_send_ms_ = mono_ms;
      wakes_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    // A full socket has wakes in it that the broker has not read: one is enough.
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    CloseLocked();
  }
}

bool WakeClient::OpenLocked(int64_t mono_ms) {
  if (mono_ms - last_try_ms_ < kRetryMs) return false;
  last_try_ms_ = mono_ms;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    close(fd);
    return false;
  }
  connack_.store(-1, std::memory_order_relaxed);
  fd_ = fd;
  return true;
}

void WakeClient::ReadLocked() {
  unsigned char bytes[64];
  const ssize_t got = recv(fd_, bytes, sizeof(bytes), MSG_DONTWAIT);
  if (got >= 4 && bytes[0] == 0x20) connack_.store(bytes[3], std::memory_order_relaxed);
  const bool again = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
  if (got == 0 || (got < 0 && !again)) CloseLocked();
}

void WakeClient::CloseLocked() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

}  // namespace nightjar::plugin
