#include "common/hub/redis/link.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace nightjar::hub {
namespace {

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};

}  // namespace

Status Link::Open(int64_t now_ms, const RedisAddress& to, int64_t timeout_ms, Opening& opening) {
  Close();
  to_ = to;
  opening_ = &opening;
  context_.reset(to.unix_path.empty() ? redisConnectNonBlock(to.host.c_str(), to.port)
                                      : redisConnectUnixNonBlock(to.unix_path.c_str()));
  if (context_ == nullptr || context_->err != 0) {
    Status status = Broken();
    Close();
    return status;
  }
  state_ = State::kConnecting;
  heard_ms_ = now_ms;
  deadline_ms_ = now_ms + timeout_ms;
  return {};
}

void Link::Close() {
  context_.reset();
  state_ = State::kClosed;
  unwritten_ = false;
}

int Link::fd() const { return context_ == nullptr ? -1 : context_->fd; }

short Link::events() const {
  if (state_ == State::kConnecting) return POLLOUT;
  return static_cast<short>(unwritten_ ? POLLIN | POLLOUT : POLLIN);
}

Status Link::Broken() const {
  std::string why = context_ == nullptr ? "out of memory" : context_->errstr;
  if (why.empty()) why = std::strerror(errno);
  return NotThere(why);
}

Status Link::NotThere(const std::string& why) const {
  return {Code::kUnavailable,
          "no " + std::string(opening_->with()) + " at " + Text(to_) + ": " + why};
}

Status Link::TooLate() const {
  return {Code::kUnavailable,
          std::string(opening_->with()) + " at " + Text(to_) + " did not answer in time"};
}

void Link::Queue(std::string_view commands) {
  redisAppendFormattedCommand(context_.get(), commands.data(), commands.size());
  unwritten_ = true;
}

Status Link::Flush() {
  while (unwritten_) {
    const size_t before = sdslen(context_->obuf);
    int done = 0;
    if (redisBufferWrite(context_.get(), &done) != REDIS_OK) return Broken();
    unwritten_ = done == 0;
    if (unwritten_ && sdslen(context_->obuf) == before) break;  // the socket takes no more
  }
  return {};
}

Status Link::Connected() {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error != 0) return NotThere(std::strerror(error));
  // Non-blocking contexts of this hiredis do not know by themselves that they are connected.
  context_->flags |= REDIS_CONNECTED;
  state_ = State::kGreeting;
  Queue(opening_->Next());
  return Flush();
}

Status Link::OnEvents(short revents, int64_t now_ms,
                      const std::function<bool(const redisReply&)>& on_reply) {
  // Polled together with others, whose events have closed this one since.
  if (state_ == State::kClosed) return {};
  if (state_ == State::kConnecting) {
    if (revents == 0) return {};
    return Connected();
  }
  if ((revents & POLLOUT) != 0) {
    if (Status status = Flush(); !status.ok()) return status;
  }
  if ((revents & (POLLIN | POLLHUP | POLLERR)) != 0) return Read(now_ms, on_reply);
  return {};
}

Status Link::Greet(const redisReply& reply) {
  if (Status status = opening_->Take(reply); !status.ok()) return status;
  if (opening_->done()) {
    state_ = State::kUp;
    return {};
  }
  Queue(opening_->Next());
  return Flush();
}

Status Link::Read(int64_t now_ms, const std::function<bool(const redisReply&)>& on_reply) {
  if (redisBufferRead(context_.get()) != REDIS_OK) return Broken();
  heard_ms_ = now_ms;
  while (true) {
    void* raw = nullptr;
    if (redisReaderGetReply(context_->reader, &raw) != REDIS_OK) {
      return {Code::kUnavailable, std::string("Redis sent what is no reply: ") +
                                      context_->reader->errstr};
    }
    if (raw == nullptr) return {};
    const std::unique_ptr<redisReply, FreeReply> reply(static_cast<redisReply*>(raw));
    if (state_ == State::kGreeting) {
      if (Status status = Greet(*reply); !status.ok()) return status;
    } else if (!on_reply(*reply)) {
      return {Code::kUnavailable, "Redis cannot serve: " + std::string(Text(*reply))};
    }
  }
}

}  // namespace nightjar::hub
