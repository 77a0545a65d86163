// Clients on a shaped line (line/line.h): between the socket and the parser, and between the
// client's packets and the socket.
#include <errno.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "client-sim/swarm/swarm.h"

namespace nightjar::swarm {

void Swarm::Shape(uint32_t index, const line::Shape* shape) {
  if (shape->unshaped()) return;
  if (shaped_.empty()) shaped_.resize(clients_.size());
  shaped_[index] = std::make_unique<Shaped>(shape, options_.seed * 1'000'003 + index);
}

void Swarm::ReadShaped(uint32_t index, Shaped& shaped, int64_t now_ns) {
  Client& client = clients_[index];
  const size_t room = std::min(shaped.line.Room(now_ns), buffer_.size());
  if (room == 0) {
    if (!client.deaf) Arm(index, client.wants_out, true);
    return Schedule(index, shaped, now_ns);
  }
  const ssize_t got = recv(client.fd, buffer_.data(), room, 0);
  if (got <= 0) {
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    return Lose(index, got == 0 ? "closed by the server" : std::strerror(errno));
  }
  bytes_in_ += static_cast<uint64_t>(got);
  shaped.line.Arrived({buffer_.data(), static_cast<size_t>(got)}, now_ns);
  Hear(index, shaped, now_ns);
}

void Swarm::Hear(uint32_t index, Shaped& shaped, int64_t now_ns) {
  const std::string_view audible = shaped.line.Audible(now_ns);
  Client& client = clients_[index];
  if (!audible.empty()) {
    client.last_in_s = Seconds(now_ns);
    // Copied: callbacks may cut the line while its bytes are read.
    const std::string bytes = client.in + std::string(audible);
    shaped.line.Heard(audible.size());
    size_t used = 0;
    if (!Parse(index, bytes, used, now_ns)) return;
    client.in.assign(bytes, used);
  }
  Flush(index);
}

void Swarm::FlushShaped(uint32_t index, Shaped& shaped, int64_t now_ns) {
  Client& client = clients_[index];
  if (!client.out.empty()) client.out.erase(0, shaped.line.Write(client.out, now_ns));
  const std::string_view sendable = shaped.line.Sendable(now_ns);
  if (!sendable.empty() && !client.blocked) {
    size_t done = 0;
    if (!WriteOut(index, sendable, done)) return Lose(index, std::strerror(errno));
    shaped.line.Sent(done);
  }
  if (shaped.line.state(now_ns) == line::Line::State::kCut) return Lose(index, "the line was cut");
  Schedule(index, shaped, now_ns);
}

void Swarm::Schedule(uint32_t index, Shaped& shaped, int64_t now_ns) {
  const int64_t at_ns = std::max(shaped.line.NextAt(), now_ns + 1);
  if (at_ns >= shaped.next_ns || at_ns == INT64_MAX) return;
  shaped.next_ns = at_ns;
  moving_.Add({at_ns, index});
}

void Swarm::MoveLines(int64_t now_ns) {
  while (moving_.at_ns() <= now_ns) {
    const Due due = moving_.Next();
    Client& client = clients_[due.client];
    Shaped& shaped = *shaped_[due.client];
    if (shaped.next_ns != due.at_ns) continue;  // put forward meanwhile
    shaped.next_ns = INT64_MAX;
    if (client.fd < 0) continue;
    if (client.deaf && client.state != State::kConnecting && shaped.line.Room(now_ns) > 0) {
      Arm(due.client, client.wants_out, false);
    }
    Hear(due.client, shaped, now_ns);
    if (client.fd >= 0 && client.out.empty() && client.wants_out && !client.blocked) {
      Arm(due.client, false, client.deaf);
    }
  }
}

}  // namespace nightjar::swarm
