// Thousands of MQTT clients in one thread: one epoll loop, no thread and no buffer of its own for
// an idle client (about 120 bytes of memory each, besides the kernel's). Clients that should be on
// line come back by themselves: backoff with jitter, another broker of the list, never more new
// connections a second than wanted.
//
// Threads: one owner. Callbacks come from inside Turn() (Down also from Cut() and GoOffline()), on
// its thread; they may call anything here but Turn().
#pragma once

#include <netinet/in.h>

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client-sim/line/line.h"
#include "client-sim/swarm/mqtt_codec.h"
#include "common/base/dice.h"
#include "common/base/result.h"

namespace nightjar::swarm {

// Steady nanoseconds. The load generator measures microseconds, which SystemNow() does not have.
int64_t NanoNow();

struct Login {
  std::string client_id, user, password;  // no user: anonymous
  std::vector<std::string> subscribe;     // at once, with `qos`
  int qos = 0;
};

// What a PUBLISH is to the one who counts bytes; below kOwnKinds are MQTT's packet types.
using Kind = uint8_t;
inline constexpr Kind kOwnKinds = 16;
inline constexpr size_t kKinds = 32;

class SwarmEvents {
 public:
  virtual ~SwarmEvents() = default;
  // The connection stands; what shall be said first?
  virtual Login LoginOf(uint32_t client) = 0;
  // All subscriptions were granted.
  virtual void Subscribed(uint32_t client) = 0;
  // Says what kind of packet it was.
  virtual Kind Came(uint32_t client, std::string_view topic, std::string_view payload,
                    int64_t now_ns) = 0;
  virtual void PubackCame(uint32_t client, uint16_t packet_id, int64_t now_ns) = 0;
  // After LoginOf: the connection is gone. Before it: it did not come about. Clients that are
  // wanted on line try again.
  virtual void Down(uint32_t client, bool had_login, const std::string& reason) = 0;
};

struct Traffic {
  uint64_t packets = 0, bytes = 0;
};
using TrafficByKind = std::array<Traffic, kKinds>;

class Swarm {
 public:
  struct Endpoint {
    std::string host = "127.0.0.1";  // IPv4
    int port = 1883;
  };
  struct Options {
    std::vector<Endpoint> brokers;  // at least one; clients are spread over them
    double connects_per_s = 1000;
    uint32_t connecting_at_once = 256;
    uint16_t keep_alive_s = 60;
    uint32_t per_address = 2'000;  // clients per source address 127.0.0.x; 0: do not bind
    uint32_t first_address = 2;    // 127.0.0.2; other processes begin elsewhere
    int64_t first_wait_ms = 200, most_wait_ms = 5'000;  // before trying again
    uint64_t seed = 1;
  };

  // `events` must outlive the swarm.
  Swarm(Options options, uint32_t clients, SwarmEvents* events);
  ~Swarm();
  Swarm(const Swarm&) = delete;
  Swarm& operator=(const Swarm&) = delete;

  // Prepares the loop; kUnavailable says what the machine lacks (files).
  Status Start();
  // How many clients a process may have, by its limit of open files (raised as far as allowed).
  static uint32_t MostClients();

  // The client shall be connected from now on, from `at_ns` on at the earliest.
  void GoOnline(uint32_t client, int64_t at_ns = 0);
  // Says DISCONNECT (`goodbye`) or just drops the line, and stays away.
  void GoOffline(uint32_t client, bool goodbye);
  // Drops the line without goodbye; the client comes back at `at_ns` (0: after its usual wait).
  void Cut(uint32_t client, int64_t at_ns = 0);
  // The connection proved useful: the next loss waits shortly again.
  void Good(uint32_t client) { clients_[client].tries = 0; }
  // From the next connection on. `shape` must outlive the swarm.
  void Shape(uint32_t client, const line::Shape* shape);

  // Waits for the network until `until_ns` at most, and handles what came. Returns after one round.
  void Turn(int64_t until_ns);
  // The packet id (0 with QoS 0, or without a connection). Written at the end of the client's turn,
  // at the latest by Flush().
  uint16_t Publish(uint32_t client, std::string_view topic, std::string_view payload, int qos,
                   Kind kind);
  void Flush(uint32_t client);
  // Says DISCONNECT on all and closes.
  void Close();

  uint32_t size() const { return static_cast<uint32_t>(clients_.size()); }
  uint32_t up() const { return up_; }  // subscribed
  bool up(uint32_t client) const { return clients_[client].state == State::kUp; }
  uint32_t wanted() const { return wanted_; }
  // The index of the broker of the present (or last) connection.
  uint32_t broker(uint32_t client) const { return clients_[client].broker; }
  uint64_t reconnects() const { return reconnects_; }
  uint64_t bytes_out() const { return bytes_out_; }
  uint64_t bytes_in() const { return bytes_in_; }
  const TrafficByKind& up_by_kind() const { return up_by_kind_; }
  const TrafficByKind& down_by_kind() const { return down_by_kind_; }

 private:
  static constexpr size_t kMostUnsent = 1 << 20;  // who is not read any more is cut

  enum class State : uint8_t { kAway, kWaiting, kConnecting, kGreeting, kUp };
  struct Client {
    int fd = -1;
    State state = State::kAway;
    bool wants_out = false;  // EPOLLOUT is armed
    bool deaf = false;       // EPOLLIN is not
    bool blocked = false;    // the socket is full
    bool queued = false;     // in ready_
    bool login_done = false;
    uint8_t tries = 0;
    uint8_t broker = 0;
    uint16_t next_packet = 1;
    uint16_t subscribe_id = 0;
    uint32_t since_s = 0;  // began to connect
    uint32_t last_in_s = 0, last_out_s = 0, pinged_s = 0;
    std::string in;   // the beginning of a packet, between turns
    std::string out;  // not yet written
  };
  struct Due {
    int64_t at_ns;
    uint32_t client;
    bool operator>(const Due& other) const { return at_ns > other.at_ns; }
  };
  struct Shaped {
    explicit Shaped(const line::Shape* shape, uint64_t seed) : line(shape, seed) {}
    line::Line line;
    int64_t next_ns = INT64_MAX;  // scheduled in moving_
  };
  class Later : public std::vector<Due> {  // a heap, earliest first
   public:
    void Add(Due due);
    Due Next();
    int64_t at_ns() const { return empty() ? INT64_MAX : front().at_ns; }
  };

  int64_t Admit(int64_t now_ns);
  bool Connect(uint32_t index);
  void Greet(uint32_t index);
  void Happened(uint32_t index, uint32_t events);
  void Readable(uint32_t index);
  bool Parse(uint32_t index, std::string_view bytes, size_t& used, int64_t now_ns);
  bool Handle(uint32_t index, const PacketView& packet, size_t size, int64_t now_ns);
  bool WriteOut(uint32_t index, std::string_view bytes, size_t& done);
  void Arm(uint32_t index, bool out, bool deaf);
  void Lose(uint32_t index, const std::string& reason);
  // Closes and forgets the connection; true if a login was under way or done.
  bool Drop(uint32_t index, bool reset);
  void WaitUntil(uint32_t index, int64_t at_ns);
  int64_t NextWaitNs(Client& client);
  void Sweep(int64_t now_ns);
  uint32_t Seconds(int64_t now_ns) const {
    return static_cast<uint32_t>((now_ns - start_ns_) / 1'000'000'000) + 1;
  }
  void CountUp(Kind kind, size_t before, const Client& client) {
    ++up_by_kind_[kind].packets;
    up_by_kind_[kind].bytes += client.out.size() - before;
  }

  // -- shaped lines (shaped.cc) -----------------------------------------------------------------
  Shaped* ShapedOf(uint32_t index) { return shaped_.empty() ? nullptr : shaped_[index].get(); }
  void ReadShaped(uint32_t index, Shaped& shaped, int64_t now_ns);
  void Hear(uint32_t index, Shaped& shaped, int64_t now_ns);
  void FlushShaped(uint32_t index, Shaped& shaped, int64_t now_ns);
  void Schedule(uint32_t index, Shaped& shaped, int64_t now_ns);
  void MoveLines(int64_t now_ns);

  Options options_;
  SwarmEvents* events_;
  std::vector<Client> clients_;
  std::vector<std::unique_ptr<Shaped>> shaped_;  // empty: nobody is
  std::vector<char> buffer_;
  std::vector<sockaddr_in> servers_;
  Dice dice_;
  Later waiting_, moving_;
  std::deque<uint32_t> ready_;  // may connect as soon as admission allows
  int64_t start_ns_ = 0, next_admit_ns_ = 0, next_sweep_ns_ = 0;
  int epoll_ = -1;
  uint32_t connecting_ = 0, up_ = 0, wanted_ = 0;
  uint64_t reconnects_ = 0;
  uint64_t bytes_out_ = 0, bytes_in_ = 0;
  TrafficByKind up_by_kind_{}, down_by_kind_{};
};

}  // namespace nightjar::swarm
