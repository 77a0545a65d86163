// Who is connected, who wants to be, and the loop.
#include "client-sim/swarm/swarm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>

namespace nightjar::swarm {
namespace {
constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;
constexpr size_t kReadBuffer = 256 * 1024;
constexpr int kEvents = 256;
constexpr uint32_t kSpareFiles = 100;
constexpr int64_t kSweepEvery = kSecond / 2;
constexpr uint32_t kGreetingPatienceS = 20;
constexpr uint32_t kLeastPatienceS = 4;  // for the answer to a ping
constexpr int64_t kAdmitAhead = 5 * kMs;
}  // namespace

int64_t NanoNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * kSecond + now.tv_nsec;
}

void Swarm::Later::Add(Due due) {
  push_back(due);
  std::push_heap(begin(), end(), std::greater<>());
}
Swarm::Due Swarm::Later::Next() {
  const Due due = front();
  std::pop_heap(begin(), end(), std::greater<>());
  pop_back();
  return due;
}

Swarm::Swarm(Options options, uint32_t clients, SwarmEvents* events)
    : options_(std::move(options)),
      events_(events),
      clients_(clients),
      buffer_(kReadBuffer),
      dice_(options_.seed) {
  const auto brokers = static_cast<uint32_t>(std::max<size_t>(options_.brokers.size(), 1));
  for (uint32_t i = 0; i < clients; ++i) clients_[i].broker = static_cast<uint8_t>(i % brokers);
}

Swarm::~Swarm() {
  Close();
  if (epoll_ >= 0) close(epoll_);
}

uint32_t Swarm::MostClients() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  return files.rlim_cur <= kSpareFiles ? 0
                                       : static_cast<uint32_t>(std::min<rlim_t>(
                                             files.rlim_cur - kSpareFiles, UINT32_MAX / 2));
}

Status Swarm::Start() {
  const uint32_t most = MostClients();
  if (most < clients_.size()) {
    return {Code::kUnavailable, std::to_string(clients_.size()) +
                                    " clients need more open files than a process gets "
                                    "here: " +
                                    std::to_string(most) +
                                    " clients fit (ulimit -Hn); use more --processes"};
  }
  if (options_.brokers.empty()) return {Code::kInvalidArgument, "no broker to connect to"};
  for (const auto& broker : options_.brokers) {
    sockaddr_in server{};
    server.sin_family = AF_INET;
    server.sin_port = htons(static_cast<uint16_t>(broker.port));
    if (inet_pton(AF_INET, broker.host.c_str(), &server.sin_addr) != 1) {
      return {Code::kInvalidArgument, broker.host + " is not an IPv4 address"};
    }
    servers_.push_back(server);
  }
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return {Code::kUnavailable, std::string("epoll: ") + std::strerror(errno)};
  start_ns_ = next_admit_ns_ = NanoNow();
  return Status::Ok();
}

void Swarm::GoOnline(uint32_t index, int64_t at_ns) {
  Client& client = clients_[index];
  if (client.state != State::kAway) return;
  ++wanted_;
  client.tries = 0;
  WaitUntil(index, at_ns);
}

void Swarm::WaitUntil(uint32_t index, int64_t at_ns) {
  clients_[index].state = State::kWaiting;
  waiting_.Add({at_ns, index});
}

int64_t Swarm::NextWaitNs(Client& client) {
  const int64_t step =
      std::min(options_.most_wait_ms, options_.first_wait_ms << std::min<int>(client.tries, 10)) *
      kMs;
  if (client.tries < 255) ++client.tries;
  return dice_.Between(step / 2, step);
}

bool Swarm::Drop(uint32_t index, bool reset) {
  Client& client = clients_[index];
  if (client.state == State::kUp) --up_;
  if (client.state == State::kConnecting || client.state == State::kGreeting) --connecting_;
  if (client.fd >= 0) {
    if (reset) {  // no goodbye on any level, and no port left in TIME_WAIT
      const linger now{1, 0};
      setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    close(client.fd);
  }
  client.fd = -1;
  client.blocked = client.wants_out = client.deaf = false;
  client.pinged_s = 0;
  std::string().swap(client.in);
  std::string().swap(client.out);
  return std::exchange(client.login_done, false);
}

void Swarm::GoOffline(uint32_t index, bool goodbye) {
  Client& client = clients_[index];
  if (client.state == State::kAway) return;
  --wanted_;
  if (goodbye && client.state == State::kUp) {
    const size_t before = client.out.size();
    PutDisconnect(client.out);
    CountUp(static_cast<Kind>(PacketType::kDisconnect), before, client);
    size_t done = 0;
    (void)WriteOut(index, client.out, done);
  }
  const bool had_login = Drop(index, !goodbye);
  client.state = State::kAway;
  events_->Down(index, had_login, goodbye ? "left" : "cut");
}

void Swarm::Cut(uint32_t index, int64_t at_ns) {
  Client& client = clients_[index];
  if (client.state == State::kAway || client.state == State::kWaiting) return;
  const bool had_login = Drop(index, true);
  ++reconnects_;
  WaitUntil(index, at_ns > 0 ? at_ns : NanoNow() + NextWaitNs(client));
  events_->Down(index, had_login, "cut");
}

void Swarm::Lose(uint32_t index, const std::string& reason) {
  Client& client = clients_[index];
  const bool had_login = Drop(index, true);
  ++reconnects_;
  if (const size_t others = options_.brokers.size() - 1; others > 0) {  // whoever is left shares
    client.broker = static_cast<uint8_t>((client.broker + 1 + dice_.Below(others)) % (others + 1));
  }
  WaitUntil(index, NanoNow() + NextWaitNs(client));
  events_->Down(index, had_login, reason);
}

int64_t Swarm::Admit(int64_t now_ns) {
  while (waiting_.at_ns() <= now_ns) {
    const Due due = waiting_.Next();
    Client& client = clients_[due.client];
    if (client.state != State::kWaiting || client.queued) continue;
    client.queued = true;
    ready_.push_back(due.client);
  }
  const auto gap_ns = static_cast<int64_t>(1e9 / options_.connects_per_s);
  next_admit_ns_ = std::max(next_admit_ns_, now_ns - kAdmitAhead);
  while (!ready_.empty() && connecting_ < options_.connecting_at_once && next_admit_ns_ <= now_ns) {
    const uint32_t index = ready_.front();
    ready_.pop_front();
    clients_[index].queued = false;
    if (clients_[index].state != State::kWaiting) continue;
    next_admit_ns_ += gap_ns;
    clients_[index].state = State::kConnecting;
    ++connecting_;
    if (!Connect(index)) Lose(index, std::string("connect: ") + std::strerror(errno));
  }
  const bool full = connecting_ >= options_.connecting_at_once;
  return std::min(waiting_.at_ns(), ready_.empty() || full ? INT64_MAX : next_admit_ns_);
}

bool Swarm::Connect(uint32_t index) {
  Client& client = clients_[index];
  client.since_s = Seconds(NanoNow());
  client.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (client.fd < 0) return false;
  const int on = 1;
  setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const sockaddr_in& server = servers_[client.broker];
  const bool loopback = (ntohl(server.sin_addr.s_addr) >> 24) == 127;
  if (options_.per_address > 0 && loopback) {
    // One address has too few ports for a big swarm: 127.0.0.2, .3, ... share the load.
    setsockopt(client.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    sockaddr_in source{};
    source.sin_family = AF_INET;
    source.sin_addr.s_addr =
        htonl(0x7f000000U + options_.first_address + index / options_.per_address);
    if (bind(client.fd, reinterpret_cast<sockaddr*>(&source), sizeof(source)) != 0) return false;
  }
  if (connect(client.fd, reinterpret_cast<const sockaddr*>(&server), sizeof(server)) != 0 &&
      errno != EINPROGRESS) {
    return false;
  }
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.u32 = index;
  client.wants_out = client.deaf = true;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &event) == 0;
}

void Swarm::Turn(int64_t until_ns) {
  int64_t now_ns = NanoNow();
  until_ns = std::min({until_ns, Admit(now_ns), moving_.at_ns(), next_sweep_ns_});
  const int64_t wait_ns = std::max<int64_t>(until_ns - now_ns, 0);
  const timespec wait{static_cast<time_t>(wait_ns / kSecond), static_cast<long>(wait_ns % kSecond)};
  epoll_event events[kEvents];
  const int count = epoll_pwait2(epoll_, events, kEvents, &wait, nullptr);
  for (int i = 0; i < count; ++i) Happened(events[i].data.u32, events[i].events);
  now_ns = NanoNow();
  if (moving_.at_ns() <= now_ns) MoveLines(now_ns);
  if (next_sweep_ns_ <= now_ns) Sweep(now_ns);
}

void Swarm::Happened(uint32_t index, uint32_t events) {
  Client& client = clients_[index];
  if (client.fd < 0) return;  // lost earlier in this round
  if (client.state == State::kConnecting) return Greet(index);
  if ((events & EPOLLOUT) != 0) {
    client.blocked = false;
    Flush(index);
  }
  if (client.fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) Readable(index);
}

void Swarm::Sweep(int64_t now_ns) {
  next_sweep_ns_ = now_ns + kSweepEvery;
  const uint32_t now_s = Seconds(now_ns);
  const uint32_t quiet_s = std::max<uint32_t>(options_.keep_alive_s * 3U / 4U, 1);
  const uint32_t patience_s = std::max<uint32_t>(options_.keep_alive_s / 2U, kLeastPatienceS);
  for (uint32_t index = 0; index < clients_.size(); ++index) {
    Client& client = clients_[index];
    if (client.fd < 0) continue;
    if (client.state != State::kUp) {
      if (now_s - client.since_s > kGreetingPatienceS) Lose(index, "no answer to CONNECT");
      continue;
    }
    if (client.pinged_s > 0 && client.last_in_s < client.pinged_s) {
      if (now_s - client.pinged_s > patience_s) Lose(index, "no answer to a ping");
      continue;
    }
    if (now_s - client.last_in_s < quiet_s && now_s - client.last_out_s < quiet_s) continue;
    client.pinged_s = now_s;
    const size_t before = client.out.size();
    PutPingreq(client.out);
    CountUp(static_cast<Kind>(PacketType::kPingreq), before, client);
    Flush(index);
  }
}

void Swarm::Close() {
  for (uint32_t index = 0; index < clients_.size(); ++index) {
    Client& client = clients_[index];
    if (client.fd >= 0) {
      PutDisconnect(client.out);
      size_t done = 0;
      (void)WriteOut(index, client.out, done);
      Drop(index, false);
    }
    client.state = State::kAway;
  }
  wanted_ = 0;
}

}  // namespace nightjar::swarm
