#include "client-sim/swarm/swarm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace nightjar::swarm {
namespace {
constexpr uint32_t kTimer = UINT32_MAX;
constexpr size_t kReadBuffer = 256 * 1024;
constexpr int kEvents = 256;
constexpr uint32_t kSpareFiles = 100;
}  // namespace

int64_t NanoNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

Swarm::Swarm(Options options, uint32_t clients, SwarmEvents* events)
    : options_(std::move(options)), events_(events), clients_(clients), buffer_(kReadBuffer) {}

Swarm::~Swarm() {
  Close();
  if (epoll_ >= 0) close(epoll_);
  if (timer_ >= 0) close(timer_);
}

Status Swarm::Start() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < clients_.size() + kSpareFiles) {
    return Status(Code::kUnavailable, "this machine allows only " + std::to_string(files.rlim_cur) +
                                          " open files (ulimit -Hn)");
  }
  server_.sin_family = AF_INET;
  server_.sin_port = htons(static_cast<uint16_t>(options_.port));
  if (inet_pton(AF_INET, options_.host.c_str(), &server_.sin_addr) != 1) {
    return Status(Code::kInvalidArgument, options_.host + " is not an IPv4 address");
  }
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = kTimer;
  if (epoll_ < 0 || timer_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &event) != 0) {
    return Status(Code::kUnavailable, std::string("epoll: ") + std::strerror(errno));
  }
  ConnectMore();
  return Status::Ok();
}

void Swarm::ConnectMore() {
  while (connecting_ < options_.connecting_at_once && next_to_connect_ < clients_.size()) {
    const uint32_t index = next_to_connect_++;
    ++connecting_;
    if (!Connect(index)) Lose(index, std::string("connect: ") + std::strerror(errno));
  }
}

bool Swarm::Connect(uint32_t index) {
  Client& client = clients_[index];
  client.state = State::kConnecting;
  client.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (client.fd < 0) return false;
  const int on = 1;
  setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const bool loopback = (ntohl(server_.sin_addr.s_addr) >> 24) == 127;
  if (options_.per_address > 0 && loopback) {
    // One address has too few ports for a big swarm: 127.0.0.2, .3, ... share the load.
    setsockopt(client.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    sockaddr_in source{};
    source.sin_family = AF_INET;
    source.sin_addr.s_addr = htonl(0x7f000002U + index / options_.per_address);
    if (bind(client.fd, reinterpret_cast<sockaddr*>(&source), sizeof(source)) != 0) return false;
  }
  if (connect(client.fd, reinterpret_cast<sockaddr*>(&server_), sizeof(server_)) != 0 &&
      errno != EINPROGRESS) {
    return false;
  }
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.u32 = index;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &event) == 0;
}

void Swarm::Greet(uint32_t index) {
  Client& client = clients_[index];
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(client.fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return Lose(index, std::string("connect: ") + std::strerror(error));
  client.state = State::kGreeting;
  const Login login = events_->LoginOf(index);
  PutConnect(client.out, login.client_id, login.user, login.password, options_.keep_alive_s);
  // MQTT allows a client to speak before CONNACK; one round trip less while thousands log in.
  PutSubscribe(client.out, client.next_packet++, login.inbox, login.qos);
  client.wants_out = true;  // as it was armed by Connect()
  Flush(index);
}

void Swarm::Turn(int64_t until_ns) {
  int wait_ms = 0;
  if (until_ns > NanoNow()) {
    itimerspec when{};
    when.it_value.tv_sec = until_ns / 1'000'000'000;
    when.it_value.tv_nsec = until_ns % 1'000'000'000;
    timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr);
    wait_ms = -1;
  }
  epoll_event events[kEvents];
  const int count = epoll_wait(epoll_, events, kEvents, wait_ms);
  for (int i = 0; i < count; ++i) {
    const uint32_t index = events[i].data.u32;
    if (index == kTimer) {
      uint64_t expirations = 0;
      (void)!read(timer_, &expirations, sizeof(expirations));
      continue;
    }
    Client& client = clients_[index];
    if (client.fd < 0) continue;  // lost earlier in this round
    if (client.state == State::kConnecting) {
      Greet(index);
      continue;
    }
    if ((events[i].events & EPOLLOUT) != 0) {
      client.blocked = false;
      Flush(index);
    }
    if (client.fd >= 0 && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
      Readable(index);
    }
  }
  ConnectMore();
}

void Swarm::Readable(uint32_t index) {
  Client& client = clients_[index];
  const size_t kept = client.in.size();
  std::memcpy(buffer_.data(), client.in.data(), kept);
  const ssize_t got = recv(client.fd, buffer_.data() + kept, buffer_.size() - kept, 0);
  if (got <= 0) {
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    return Lose(index, got == 0 ? "closed by the server" : std::strerror(errno));
  }
  const int64_t now_ns = NanoNow();
  bytes_in_ += static_cast<uint64_t>(got);
  std::string_view rest(buffer_.data(), kept + static_cast<size_t>(got));
  for (;;) {
    PacketView packet;
    size_t size = 0;
    const Parsed parsed = ParsePacket(rest, packet, size);
    if (parsed == Parsed::kIncomplete) break;
    if (parsed == Parsed::kMalformed) return Lose(index, "malformed packet");
    rest.remove_prefix(size);
    if (!Handle(index, packet, now_ns)) return;
  }
  client.in.assign(rest);
  if (rest.empty() && client.in.capacity() > 512) std::string().swap(client.in);
  Flush(index);
}

bool Swarm::Handle(uint32_t index, const PacketView& packet, int64_t now_ns) {
  Client& client = clients_[index];
  switch (packet.type) {
    case PacketType::kConnack:
      if (packet.body.size() < 2 || packet.body[1] != 0) {
        const int code = packet.body.size() < 2 ? -1 : packet.body[1];
        Lose(index, "refused at CONNECT, code " + std::to_string(code));
        return false;
      }
      return true;
    case PacketType::kSuback:
      if (packet.body.size() < 3 || static_cast<uint8_t>(packet.body[2]) > 2) {
        Lose(index, "subscription refused");
        return false;
      }
      client.state = State::kUp;
      ++up_;
      --connecting_;
      events_->Subscribed(index);
      ConnectMore();
      return client.fd >= 0;
    case PacketType::kPublish: {
      PublishView publish;
      if (!ParsePublish(packet, publish)) {
        Lose(index, "malformed PUBLISH");
        return false;
      }
      if (publish.qos > 0) PutPuback(client.out, publish.packet_id);
      events_->Came(index, publish.topic, publish.payload, now_ns);
      return client.fd >= 0;
    }
    case PacketType::kPuback:
      events_->PubackCame(index, ParsePacketId(packet), now_ns);
      return client.fd >= 0;
    default:
      return true;
  }
}

uint16_t Swarm::Publish(uint32_t index, std::string_view topic, std::string_view payload, int qos) {
  Client& client = clients_[index];
  if (client.state != State::kUp) return 0;
  uint16_t id = 0;
  if (qos > 0) {
    id = client.next_packet++;
    if (client.next_packet == 0) client.next_packet = 1;
  }
  PutPublish(client.out, topic, payload, qos, id);
  return id;
}

void Swarm::Flush(uint32_t index) {
  Client& client = clients_[index];
  if (client.fd < 0 || client.blocked) return;
  size_t done = 0;
  while (done < client.out.size()) {
    const ssize_t sent =
        send(client.fd, client.out.data() + done, client.out.size() - done, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return Lose(index, std::strerror(errno));
      client.blocked = true;
      break;
    }
    done += static_cast<size_t>(sent);
  }
  bytes_out_ += done;
  client.out.erase(0, done);
  if (client.out.empty() && client.out.capacity() > 512) std::string().swap(client.out);
  if (client.out.size() > kMostUnsent) return Lose(index, "the server does not read");
  if (client.blocked != client.wants_out) Arm(index, client.blocked);
}

void Swarm::Arm(uint32_t index, bool out) {
  Client& client = clients_[index];
  epoll_event event{};
  event.events = out ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u32 = index;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, client.fd, &event);
  client.wants_out = out;
}

void Swarm::Lose(uint32_t index, const std::string& reason) {
  Client& client = clients_[index];
  if (client.state == State::kUp) {
    --up_;
  } else {
    --connecting_;
  }
  client.state = State::kLost;
  if (client.fd >= 0) close(client.fd);
  client.fd = -1;
  std::string().swap(client.in);
  std::string().swap(client.out);
  ++lost_;
  events_->Lost(index, reason);
  // No ConnectMore() here: it would recurse through Connect(). The next SUBACK or the owner's turn
  // does.
}

void Swarm::Close() {
  for (auto& client : clients_) {
    if (client.fd < 0) continue;
    std::string bye;
    PutDisconnect(bye);
    (void)!send(client.fd, bye.data(), bye.size(), MSG_NOSIGNAL);
    close(client.fd);
    client.fd = -1;
    client.state = State::kIdle;
  }
  up_ = 0;
}

}  // namespace nightjar::swarm
