// What goes over one client's socket.
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cstring>

#include "client-sim/swarm/swarm.h"

namespace nightjar::swarm {
namespace {
constexpr size_t kKeptCapacity = 256;  // of an empty buffer
}  // namespace

void Swarm::Greet(uint32_t index) {
  Client& client = clients_[index];
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(client.fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return Lose(index, std::string("connect: ") + std::strerror(error));
  client.state = State::kGreeting;
  client.login_done = true;
  const int64_t now_ns = NanoNow();
  client.last_in_s = client.last_out_s = Seconds(now_ns);
  if (Shaped* shaped = ShapedOf(index)) {
    shaped->line.Open(now_ns);
    shaped->next_ns = INT64_MAX;
  }
  const Login login = events_->LoginOf(index);
  PutConnect(client.out, login.client_id, login.user, login.password, options_.keep_alive_s);
  CountUp(static_cast<Kind>(PacketType::kConnect), 0, client);
  // MQTT allows a client to speak before CONNACK; one round trip less while thousands log in.
  const size_t before = client.out.size();
  client.subscribe_id = client.next_packet++;
  PutSubscribe(client.out, client.subscribe_id, login.subscribe, login.qos);
  CountUp(static_cast<Kind>(PacketType::kSubscribe), before, client);
  Arm(index, false, false);
  Flush(index);
}

void Swarm::Readable(uint32_t index) {
  const int64_t now_ns = NanoNow();
  if (Shaped* shaped = ShapedOf(index)) return ReadShaped(index, *shaped, now_ns);
  Client& client = clients_[index];
  const size_t kept = client.in.size();
  std::memcpy(buffer_.data(), client.in.data(), kept);
  const ssize_t got = recv(client.fd, buffer_.data() + kept, buffer_.size() - kept, 0);
  if (got <= 0) {
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    return Lose(index, got == 0 ? "closed by the server" : std::strerror(errno));
  }
  bytes_in_ += static_cast<uint64_t>(got);
  client.last_in_s = Seconds(now_ns);
  const std::string_view bytes(buffer_.data(), kept + static_cast<size_t>(got));
  size_t used = 0;
  if (!Parse(index, bytes, used, now_ns)) return;
  client.in.assign(bytes.substr(used));
  if (client.in.empty() && client.in.capacity() > kKeptCapacity) std::string().swap(client.in);
  Flush(index);
}

// False if the connection is gone.
bool Swarm::Parse(uint32_t index, std::string_view bytes, size_t& used, int64_t now_ns) {
  used = 0;
  for (;;) {
    PacketView packet;
    size_t size = 0;
    const Parsed parsed = ParsePacket(bytes.substr(used), packet, size);
    if (parsed == Parsed::kIncomplete) {
      if (bytes.size() - used < buffer_.size() / 2) return true;
      Lose(index, "a packet beyond any measure");
      return false;
    }
    if (parsed == Parsed::kMalformed) {
      Lose(index, "malformed packet");
      return false;
    }
    used += size;
    if (!Handle(index, packet, size, now_ns)) return false;
  }
}

bool Swarm::Handle(uint32_t index, const PacketView& packet, size_t size, int64_t now_ns) {
  Client& client = clients_[index];
  auto kind = static_cast<Kind>(packet.type);
  bool stands = true;
  switch (packet.type) {
    case PacketType::kConnack:
      if (packet.body.size() < 2 || packet.body[1] != 0) {
        const int code = packet.body.size() < 2 ? -1 : packet.body[1];
        Lose(index, "refused at CONNECT, code " + std::to_string(code));
        stands = false;
      }
      break;
    case PacketType::kSuback:
      for (size_t i = 2; i < packet.body.size() && stands; ++i) {
        stands = static_cast<uint8_t>(packet.body[i]) <= 2;
      }
      if (!stands || packet.body.size() < 3) {
        Lose(index, "subscription refused");
        stands = false;
        break;
      }
      if (client.state != State::kGreeting) break;
      client.state = State::kUp;
      ++up_;
      --connecting_;
      events_->Subscribed(index);
      stands = client.fd >= 0;
      break;
    case PacketType::kPublish: {
      PublishView publish;
      if (!ParsePublish(packet, publish)) {
        Lose(index, "malformed PUBLISH");
        return false;
      }
      if (publish.qos > 0) {
        const size_t before = client.out.size();
        PutPuback(client.out, publish.packet_id);
        CountUp(static_cast<Kind>(PacketType::kPuback), before, client);
      }
      kind = events_->Came(index, publish.topic, publish.payload, now_ns);
      stands = client.fd >= 0;
      break;
    }
    case PacketType::kPuback:
      events_->PubackCame(index, ParsePacketId(packet), now_ns);
      stands = client.fd >= 0;
      break;
    default:
      break;
  }
  ++down_by_kind_[kind].packets;
  down_by_kind_[kind].bytes += size;
  return stands;
}

uint16_t Swarm::Publish(uint32_t index, std::string_view topic, std::string_view payload, int qos,
                        Kind kind) {
  Client& client = clients_[index];
  if (client.state != State::kUp && client.state != State::kGreeting) return 0;
  uint16_t id = 0;
  if (qos > 0) {
    id = client.next_packet++;
    if (client.next_packet == 0) client.next_packet = 1;
  }
  const size_t before = client.out.size();
  PutPublish(client.out, topic, payload, qos, id);
  CountUp(kind, before, client);
  return id;
}

// False if the connection is broken. Counts; blocked when the socket takes no more.
bool Swarm::WriteOut(uint32_t index, std::string_view bytes, size_t& done) {
  Client& client = clients_[index];
  done = 0;
  while (done < bytes.size()) {
    const ssize_t sent = send(client.fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return false;
      client.blocked = true;
      break;
    }
    done += static_cast<size_t>(sent);
  }
  bytes_out_ += done;
  return true;
}

void Swarm::Flush(uint32_t index) {
  Client& client = clients_[index];
  if (client.fd < 0 || client.blocked) return;
  const bool something = !client.out.empty();
  if (Shaped* shaped = ShapedOf(index)) {
    FlushShaped(index, *shaped, NanoNow());
  } else if (something) {
    size_t done = 0;
    if (!WriteOut(index, client.out, done)) return Lose(index, std::strerror(errno));
    client.out.erase(0, done);
  }
  if (client.fd < 0) return;
  if (something) {
    client.last_out_s = Seconds(NanoNow());
    if (client.out.empty() && client.out.capacity() > kKeptCapacity) std::string().swap(client.out);
    if (client.out.size() > kMostUnsent) return Lose(index, "the server does not read");
  }
  if (client.blocked != client.wants_out) Arm(index, client.blocked, client.deaf);
}

void Swarm::Arm(uint32_t index, bool out, bool deaf) {
  Client& client = clients_[index];
  epoll_event event{};
  event.events = (out ? EPOLLOUT : 0U) | (deaf ? 0U : EPOLLIN);
  event.data.u32 = index;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, client.fd, &event);
  client.wants_out = out;
  client.deaf = deaf;
}

}  // namespace nightjar::swarm
