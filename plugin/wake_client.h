// Wakes the broker thread: a lean MQTT 3.1.1 client of the broker's own Unix-socket listener, which
// sends one QoS 0 PUBLISH to a private topic. The broker sleeps in epoll up to 100 ms; a packet on
// a socket of its own is the one thing that wakes it at once, on every version.
//
// CONNECT and PUBLISH are written together, without waiting for the CONNACK: the broker reads
// packets in order. Nothing comes back but that CONNACK. Nothing here waits: what cannot be written
// now is given up, the connection opened anew at the next wake (not more often than kRetryMs), and
// meanwhile the broker's own tick does the work a little later.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace nightjar::plugin {

// The wake client's identity, which nobody else can have: the secret is made anew by every process.
struct WakeIdentity {
  static WakeIdentity Make();  // from the system's random numbers
  std::string client_id;       // cannot be any client's: '$' is not allowed in a uid
  std::string user;
  std::string password;  // the secret, hexadecimal

  // In time that does not depend on where they differ.
  bool Matches(std::string_view client_id, std::string_view user, std::string_view password) const;
};

// Packets, for the client and its tests.
std::string ConnectPacket(const WakeIdentity& identity, uint16_t keep_alive_s);
std::string PublishPacket(std::string_view topic);  // QoS 0, no payload

class WakeClient {
 public:
  static constexpr std::string_view kTopic = "$nightjar/wake";
  static constexpr uint16_t kKeepAliveS = 20;  // below any sensible max_keepalive
  static constexpr int64_t kRetryMs = 200;
  static constexpr int64_t kLookMs = 1000;
  static constexpr int64_t kBeatMs = 8000;  // an idle connection is used at least so often

  WakeClient(std::string socket_path, WakeIdentity identity);
  ~WakeClient();
  WakeClient(const WakeClient&) = delete;
  WakeClient& operator=(const WakeClient&) = delete;

  // Any thread. Never waits. Many calls before the next Woken() cost one packet.
  void Wake();

  // The broker's thread, before it drains: what is finished after this wakes it again.
  void Woken() { pending_.store(false, std::memory_order_seq_cst); }

  // The broker's thread, on its tick: opens the connection, keeps it alive.
  void Tend(int64_t mono_ms);

  // What the broker said to the last CONNECT: -1 nothing yet, 0 welcome, else its refusal.
  int last_connack() const { return connack_.load(std::memory_order_relaxed); }
  uint64_t wakes() const { return wakes_.load(std::memory_order_relaxed); }
  bool connected() const;

 private:
  void SendLocked(int64_t mono_ms);
  bool OpenLocked(int64_t mono_ms);
  void ReadLocked();
  void CloseLocked();

  const std::string path_;
  const WakeIdentity identity_;
  const std::string connect_, publish_;

  std::atomic<bool> pending_{false};
  std::atomic<int> connack_{-1};
  std::atomic<uint64_t> wakes_{0};

  mutable std::mutex mutex_;  // never held over anything that waits
  int fd_ = -1;
  int64_t last_try_ms_ = INT64_MIN / 2;
  int64_t last_send_ms_ = INT64_MIN / 2;
  int64_t last_look_ms_ = INT64_MIN / 2;
};

}  // namespace nightjar::plugin
