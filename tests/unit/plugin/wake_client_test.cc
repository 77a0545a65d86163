#include "plugin/wake_client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>
#include <vector>

#include "common/base/clock.h"

namespace nightjar::plugin {
namespace {

// The broker's end, as far as bytes go.
class Listener {
 public:
  Listener() {
    char dir[] = "/tmp/nightjar-wake-XXXXXX";
    dir_ = mkdtemp(dir);
    path_ = dir_ + "/b.sock";
    Open();
  }
  ~Listener() {
    Close();
    unlink(path_.c_str());
    rmdir(dir_.c_str());
  }
  void Open() {
    unlink(path_.c_str());
    fd_ = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(listen(fd_, 4), 0);
  }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  int Accept() const { return accept(fd_, nullptr, nullptr); }
  const std::string& path() const { return path_; }

 private:
  std::string dir_, path_;
  int fd_ = -1;
};

std::string ReadSome(int fd) {
  char bytes[4096];
  const ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
  return got > 0 ? std::string(bytes, static_cast<size_t>(got)) : "";
}

const WakeIdentity kIdentity{"$id", "$user", "secret"};
const std::string kConnect = ConnectPacket(kIdentity, WakeClient::kKeepAliveS);
const std::string kPublish = PublishPacket(WakeClient::kTopic);

TEST(WakePackets, ConnectIsMqtt311WithUserPasswordAndCleanSession) {
  using namespace std::string_literals;
  EXPECT_EQ(ConnectPacket({"id", "u", "pw"}, 20),
            "\x10\x15\0\x04MQTT\x04\xc2\0\x14\0\x02id\0\x01u\0\x02pw"s);
}

TEST(WakePackets, ALongBodyHasALengthOfTwoBytes) {
  const std::string packet = ConnectPacket({std::string(200, 'i'), "u", "p"}, 1);
  const size_t body = 10 + 2 + 200 + 3 + 3;
  EXPECT_EQ(packet.size(), 3 + body);
  EXPECT_EQ(static_cast<unsigned char>(packet[1]), (body & 0x7f) | 0x80);
  EXPECT_EQ(static_cast<unsigned char>(packet[2]), body >> 7);
}

TEST(WakePackets, PublishIsQos0WithoutPayload) {
  using namespace std::string_literals;
  EXPECT_EQ(PublishPacket("a/b"),
            "\x30\x05\0\x03"s
            "a/b"s);
}

TEST(WakeIdentity, IsNewEveryTimeAndMatchesOnlyItself) {
  const WakeIdentity a = WakeIdentity::Make(), b = WakeIdentity::Make();
  EXPECT_NE(a.password, b.password);
  EXPECT_NE(a.client_id, b.client_id);
  EXPECT_EQ(a.password.size(), 64u);
  EXPECT_TRUE(a.Matches(a.client_id, a.user, a.password));
  EXPECT_FALSE(a.Matches(a.client_id, a.user, b.password));
  EXPECT_FALSE(a.Matches(b.client_id, a.user, a.password));
  EXPECT_FALSE(a.Matches(a.client_id, "alice", a.password));
  EXPECT_FALSE(a.Matches(a.client_id, a.user, ""));
  EXPECT_FALSE(WakeIdentity{}.Matches("", "", ""));  // no random numbers: nobody gets in
}

TEST(WakeClient, ConnectsAndWakesInOneWriteAndThenOnlyPublishes) {
  Listener listener;
  WakeClient client(listener.path(), kIdentity);
  client.Wake();
  const int broker = listener.Accept();
  EXPECT_EQ(ReadSome(broker), kConnect + kPublish);
  client.Woken();
  client.Wake();
  EXPECT_EQ(ReadSome(broker), kPublish);
  close(broker);
}

TEST(WakeClient, ManyWakesAreOnePacketUntilTheBrokerHasWoken) {
  Listener listener;
  WakeClient client(listener.path(), kIdentity);
  for (int i = 0; i < 100; ++i) client.Wake();
  const int broker = listener.Accept();
  EXPECT_EQ(ReadSome(broker), kConnect + kPublish);
  client.Woken();
  for (int i = 0; i < 100; ++i) client.Wake();
  EXPECT_EQ(ReadSome(broker), kPublish);
  EXPECT_EQ(client.wakes(), 2u);
  close(broker);
}

TEST(WakeClient, WithoutAListenerNothingFailsAndTheTickConnectsLater) {
  Listener listener;
  listener.Close();
  WakeClient client(listener.path(), kIdentity);
  client.Wake();
  EXPECT_FALSE(client.connected());
  listener.Open();
  const int64_t later = SystemNow().mono_ms + WakeClient::kRetryMs;
  client.Tend(later);
  ASSERT_TRUE(client.connected());
  const int broker = listener.Accept();
  EXPECT_EQ(ReadSome(broker), kConnect + kPublish);
  close(broker);
}

TEST(WakeClient, AClosedConnectionIsOpenedAgain) {
  Listener listener;
  WakeClient client(listener.path(), kIdentity);
  const int64_t start = SystemNow().mono_ms;
  client.Tend(start);
  close(listener.Accept());
  client.Tend(start + 1);  // notices, but it is too early for another try
  EXPECT_FALSE(client.connected());
  client.Tend(start + WakeClient::kRetryMs);
  EXPECT_TRUE(client.connected());
  const int broker = listener.Accept();
  EXPECT_EQ(ReadSome(broker), kConnect + kPublish);
  close(broker);
}

TEST(WakeClient, AnIdleConnectionIsKeptAlive) {
  Listener listener;
  WakeClient client(listener.path(), kIdentity);
  const int64_t start = SystemNow().mono_ms;
  client.Tend(start);
  const int broker = listener.Accept();
  EXPECT_EQ(ReadSome(broker), kConnect + kPublish);
  client.Tend(start + WakeClient::kBeatMs - 1);
  EXPECT_EQ(ReadSome(broker), "");
  client.Tend(start + WakeClient::kBeatMs);
  EXPECT_EQ(ReadSome(broker), kPublish);
  static_assert(WakeClient::kBeatMs < WakeClient::kKeepAliveS * 1000);
  close(broker);
}

TEST(WakeClient, TellsWhatTheBrokerSaidToIt) {
  Listener listener;
  WakeClient client(listener.path(), kIdentity);
  const int64_t start = SystemNow().mono_ms;
  client.Tend(start);
  const int broker = listener.Accept();
  EXPECT_EQ(client.last_connack(), -1);
  ASSERT_EQ(send(broker, "\x20\x02\0\x05", 4, 0), 4);
  client.Tend(start + 1);
  EXPECT_EQ(client.last_connack(), 5);
  close(broker);
}

// A broker that reads nothing: the socket fills, and still nothing waits.
TEST(WakeClient, AFullSocketDoesNotBlock) {
  Listener listener;
  WakeClient client(listener.path(), kIdentity);
  client.Wake();
  const int broker = listener.Accept();
  uint64_t before = 0;
  do {
    before = client.wakes();
    client.Woken();
    client.Wake();
  } while (client.wakes() > before);
  EXPECT_TRUE(client.connected());
  close(broker);
}

// For ThreadSanitizer: wakes from several threads while the owner tends. None is lost: after the
// last Woken() of the loop there is always a packet to come or the work was seen.
TEST(WakeClient, WakesFromManyThreadsAreNeverLost) {
  Listener listener;
  WakeClient client(listener.path(), kIdentity);
  client.Tend(SystemNow().mono_ms);
  const int broker = listener.Accept();
  constexpr int kThreads = 3, kEach = 2000;
  std::atomic<int> made{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        made.fetch_add(1);
        client.Wake();
      }
    });
  }
  // As the broker does: blocks until bytes come, never looks at `made` without being woken.
  int seen = 0;
  while (seen < kThreads * kEach) {
    char bytes[4096];
    ASSERT_GT(recv(broker, bytes, sizeof(bytes), 0), 0);
    client.Woken();
    seen = made.load();
  }
  for (auto& thread : threads) thread.join();
  close(broker);
}

}  // namespace
}  // namespace nightjar::plugin
