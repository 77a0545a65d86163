// Thousands of MQTT clients in one thread: one epoll loop, no thread and no buffer of its own for
// an idle client (about 150 bytes of memory each, besides the kernel's).
//
// Threads: one owner. Callbacks come from inside Turn(), on its thread; they may call anything
// here.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "client-sim/swarm/mqtt_codec.h"
#include "common/base/result.h"

namespace nightjar::swarm {

// Steady nanoseconds. The load generator measures microseconds, which SystemNow() does not have.
int64_t NanoNow();

struct Login {
  std::string client_id, user, password;  // no user: anonymous
  std::string inbox;                      // subscribed at once
  int qos = 0;
};

class SwarmEvents {
 public:
  virtual ~SwarmEvents() = default;
  virtual Login LoginOf(uint32_t client) = 0;
  virtual void Subscribed(uint32_t client) = 0;
  virtual void Came(uint32_t client, std::string_view topic, std::string_view payload,
                    int64_t now_ns) = 0;
  virtual void PubackCame(uint32_t client, uint16_t packet_id, int64_t now_ns) = 0;
  // The connection is gone and stays so.
  virtual void Lost(uint32_t client, const std::string& reason) = 0;
};

class Swarm {
 public:
  struct Options {
    std::string host = "127.0.0.1";  // IPv4
    int port = 1883;
    uint32_t connecting_at_once = 64;
    uint16_t keep_alive_s = 600;    // runs are shorter: no pings in the figures
    uint32_t per_address = 20'000;  // clients per source address 127.0.0.x; 0: do not bind
  };

  // `events` must outlive the swarm.
  Swarm(Options options, uint32_t clients, SwarmEvents* events);
  ~Swarm();
  Swarm(const Swarm&) = delete;
  Swarm& operator=(const Swarm&) = delete;

  // Prepares the loop and starts connecting clients; kUnavailable says what the machine lacks
  // (files).
  Status Start();
  // Waits for the network until `until_ns` at most, and handles what came. Returns after one round.
  void Turn(int64_t until_ns);
  // The packet id (0 with QoS 0). Written at the end of the client's turn, at the latest by
  // Flush().
  uint16_t Publish(uint32_t client, std::string_view topic, std::string_view payload, int qos);
  void Flush(uint32_t client);
  // Says DISCONNECT on all and closes.
  void Close();

  uint32_t size() const { return static_cast<uint32_t>(clients_.size()); }
  uint32_t up() const { return up_; }  // subscribed and not lost
  uint32_t lost() const { return lost_; }
  uint64_t bytes_out() const { return bytes_out_; }
  uint64_t bytes_in() const { return bytes_in_; }

 private:
  static constexpr size_t kMostUnsent = 1
                                        << 20;  // a client the server does not read any more is cut

  enum class State : uint8_t { kIdle, kConnecting, kGreeting, kUp, kLost };
  struct Client {
    int fd = -1;
    State state = State::kIdle;
    bool wants_out = false;  // EPOLLOUT is armed
    bool blocked = false;    // the socket is full
    uint16_t next_packet = 1;
    std::string in;   // the beginning of a packet, between turns
    std::string out;  // not yet written
  };

  void ConnectMore();
  bool Connect(uint32_t index);
  void Greet(uint32_t index);
  void Readable(uint32_t index);
  bool Handle(uint32_t index, const PacketView& packet, int64_t now_ns);
  void Arm(uint32_t index, bool out);
  void Lose(uint32_t index, const std::string& reason);

  Options options_;
  SwarmEvents* events_;
  std::vector<Client> clients_;
  std::vector<char> buffer_;
  sockaddr_in server_{};
  int epoll_ = -1, timer_ = -1;
  uint32_t next_to_connect_ = 0, connecting_ = 0, up_ = 0, lost_ = 0;
  uint64_t bytes_out_ = 0, bytes_in_ = 0;
};

}  // namespace nightjar::swarm
