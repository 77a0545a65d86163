#include "persister/hbase_link.h"

#include <thrift/TApplicationException.h>
#include <thrift/TOutput.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

#include <algorithm>
#include <random>

#include "THBaseService.h"
#include "common/base/clock.h"

namespace nightjar::hbase {
namespace {

using apache::thrift::TException;
using apache::thrift::transport::TTransportException;

constexpr int64_t kDownFirstMs = 250;
constexpr int64_t kDownMostMs = 5'000;
constexpr size_t kReasonMost = 500;  // of what HBase says: it says it with stack traces

std::string FirstLine(const std::string& text) {
  return text.substr(0, std::min(text.find('\n'), kReasonMost));
}

// What HBase itself has answered.
Status Told(const std::string& doing, const TIOError& error) {
  const auto says = [&](const char* name) { return error.message.find(name) != std::string::npos; };
  const std::string text = "store hbase: cannot " + doing + ": ";
  if (says("TableNotFoundException")) {
    return {Code::kUnavailable, text +
                                    "a table is missing (restore it; a persister that starts "
                                    "makes an empty one): " +
                                    FirstLine(error.message)};
  }
  if (says("TableNotEnabledException") || says("is disabled")) {
    return {Code::kUnavailable,
            text + "a table is disabled (enable it): " + FirstLine(error.message)};
  }
  if (says("NoSuchColumnFamilyException")) {
    return {Code::kInternal,
            text + "a table of that name is not ours: " + FirstLine(error.message)};
  }
  return {Code::kUnavailable, text + FirstLine(error.message)};
}

}  // namespace

struct Link::Connection {
  size_t server = 0;
  std::shared_ptr<apache::thrift::transport::TSocket> socket;
  std::unique_ptr<THBaseServiceClient> client;

  // Throws TTransportException if nobody is there.
  static std::unique_ptr<Connection> Open(const LinkOptions& options, size_t server) {
    using apache::thrift::protocol::TBinaryProtocol;
    using apache::thrift::protocol::TCompactProtocol;
    using apache::thrift::protocol::TProtocol;
    using apache::thrift::transport::TBufferedTransport;
    using apache::thrift::transport::TFramedTransport;
    using apache::thrift::transport::TTransport;
    auto made = std::make_unique<Connection>();
    made->server = server;
    const LinkOptions::Server& at = options.servers[server];
    made->socket = std::make_shared<apache::thrift::transport::TSocket>(at.host, at.port);
    made->socket->setConnTimeout(static_cast<int>(options.connect_timeout_ms));
    made->socket->setSendTimeout(static_cast<int>(options.timeout_ms));
    made->socket->setRecvTimeout(static_cast<int>(options.timeout_ms));
    made->socket->setNoDelay(true);
    made->socket->setKeepAlive(true);
    constexpr uint32_t kBuffer = 64 << 10;
    std::shared_ptr<TTransport> transport;
    if (options.framed) {
      transport = std::make_shared<TFramedTransport>(made->socket, kBuffer);
    } else {
      transport = std::make_shared<TBufferedTransport>(made->socket, kBuffer);
    }
    std::shared_ptr<TProtocol> protocol;
    if (options.compact) {
      protocol = std::make_shared<TCompactProtocol>(transport);
    } else {
      protocol = std::make_shared<TBinaryProtocol>(transport);
    }
    made->client = std::make_unique<THBaseServiceClient>(protocol);
    transport->open();
    return made;
  }
};

Link::Link(LinkOptions options)
    : options_(std::move(options)),
      dice_(std::random_device()()),
      health_(options_.servers.size()) {
  // Thrift would print every refused connection to standard error; callers get it as a Status.
  apache::thrift::GlobalOutput.setOutputFunction([](const char*) {});
  turn_ = dice_ % options_.servers.size();
}

Link::~Link() = default;

std::string Link::Where() const {
  std::string text;
  for (const LinkOptions::Server& server : options_.servers) {
    text += (text.empty() ? "" : ",") + server.host + ":" + std::to_string(server.port);
  }
  return text;
}

std::unique_ptr<Link::Connection> Link::TakeIdle() {
  std::lock_guard lock(mutex_);
  if (idle_.empty()) return nullptr;
  auto connection = std::move(idle_.back());
  idle_.pop_back();
  return connection;
}

void Link::GiveBack(std::unique_ptr<Connection> connection) {
  std::lock_guard lock(mutex_);
  health_[connection->server] = {};
  idle_.push_back(std::move(connection));
}

// All servers, those that are thought to be up first.
std::vector<size_t> Link::ServersInTurn() {
  std::lock_guard lock(mutex_);
  const int64_t now = SystemNow().mono_ms;
  std::vector<size_t> servers;
  for (size_t i = 0; i < health_.size(); ++i) servers.push_back((turn_ + i) % health_.size());
  turn_ = (turn_ + 1) % health_.size();
  std::stable_sort(servers.begin(), servers.end(), [&](size_t a, size_t b) {
    return std::max(now, health_[a].down_until_ms) < std::max(now, health_[b].down_until_ms);
  });
  return servers;
}

// Its other connections are as good as broken, too.
void Link::Broke(size_t server) {
  std::lock_guard lock(mutex_);
  std::erase_if(idle_, [&](const auto& connection) { return connection->server == server; });
  Health& health = health_[server];
  health.breaks = std::min(health.breaks + 1, 16u);
  const int64_t step = std::min(kDownMostMs, kDownFirstMs << (health.breaks - 1));
  dice_ = dice_ * 6364136223846793005u + 1442695040888963407u;
  health.down_until_ms =
      SystemNow().mono_ms + step / 2 + static_cast<int64_t>((dice_ >> 33) % (step / 2 + 1));
}

Link::Ran Link::Run(Connection& connection, const char* doing,
                    const std::function<void(THBaseServiceClient&)>& call, Status& status) {
  const LinkOptions::Server& at = options_.servers[connection.server];
  const std::string where = " (" + at.host + ":" + std::to_string(at.port) + ")";
  try {
    call(*connection.client);
    status = Status::Ok();
    return Ran::kDone;
  } catch (const TIOError& error) {
    status = Told(doing + where, error);
    return Ran::kDone;
  } catch (const TTransportException& error) {
    status = {Code::kUnavailable,
              "store hbase: cannot " + (doing + where) + ": " + FirstLine(error.what())};
  } catch (const TException& error) {
    status = {Code::kUnavailable,
              "store hbase: cannot " + (doing + where) +
                  ": no sound answer (framed, compact as the server?): " + FirstLine(error.what())};
  }
  return Ran::kBroke;
}

Status Link::CallAny(const char* doing, const std::function<void(THBaseServiceClient&)>& call) {
  const int64_t until = SystemNow().mono_ms + options_.timeout_ms;
  Status status;
  if (auto connection = TakeIdle()) {
    if (Run(*connection, doing, call, status) == Ran::kDone) {
      GiveBack(std::move(connection));
      return status;
    }
    // The server may have been restarted since: it is tried anew like the others.
    const size_t server = connection->server;
    connection.reset();
    Broke(server);
  }
  for (const size_t server : ServersInTurn()) {
    if (!status.ok() && SystemNow().mono_ms >= until) return status;
    std::unique_ptr<Connection> connection;
    try {
      connection = Connection::Open(options_, server);
    } catch (const TException& error) {
      const LinkOptions::Server& at = options_.servers[server];
      status = {Code::kUnavailable, "store hbase: cannot reach " + at.host + ":" +
                                        std::to_string(at.port) + ": " + FirstLine(error.what())};
      Broke(server);
      continue;
    }
    if (Run(*connection, doing, call, status) == Ran::kDone) {
      GiveBack(std::move(connection));
      return status;
    }
    Broke(server);
  }
  return status;
}

Status Link::Call(const char* doing, const std::function<void(THBaseServiceClient&)>& call) {
  {
    std::unique_lock lock(mutex_);
    const auto free = [this] { return in_use_ < options_.connections; };
    if (!freed_.wait_for(lock, std::chrono::milliseconds(options_.timeout_ms), free)) {
      return {Code::kUnavailable, "store hbase: all connections are busy"};
    }
    ++in_use_;
  }
  const Status status = CallAny(doing, call);
  {
    std::lock_guard lock(mutex_);
    --in_use_;
  }
  freed_.notify_one();
  return status;
}

}  // namespace nightjar::hbase
