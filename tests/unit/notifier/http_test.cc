#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "notifier/http/host_gate.h"
#include "notifier/http/public_address.h"

namespace nightjar::notify {
namespace {

bool IsPublic(const char* text) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
    return IsPublicAddress(reinterpret_cast<sockaddr*>(&v4), sizeof v4);
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, text, &v6.sin6_addr), 1) << text;
  return IsPublicAddress(reinterpret_cast<sockaddr*>(&v6), sizeof v6);
}

TEST(PublicAddress, WhatEverybodyReaches) {
  for (const char* good : {"8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.255.255",
                           "100.128.0.0", "192.169.0.1", "223.255.255.255", "11.0.0.0",
                           "2606:4700::1111", "2a00:1450:4001::200e", "2001:4860:4860::8888"}) {
    EXPECT_TRUE(IsPublic(good)) << good;
  }
}

TEST(PublicAddress, WhatOnlyTheOperatorReaches) {
  for (const char* bad : {"0.0.0.0",
                          "10.1.2.3",
                          "100.64.0.1",
                          "100.127.255.255",
                          "127.0.0.1",
                          "127.255.255.254",
                          "169.254.169.254",
                          "172.16.0.1",
                          "172.31.255.255",
                          "192.168.1.1",
                          "192.0.0.8",
                          "192.0.2.1",
                          "198.18.0.1",
                          "198.19.255.255",
                          "203.0.113.9",
                          "224.0.0.1",
                          "255.255.255.255",
                          "::",
                          "::1",
                          "::ffff:127.0.0.1",
                          "::ffff:8.8.8.8",
                          "fe80::1",
                          "fc00::1",
                          "fd12::1",
                          "ff02::1",
                          "64:ff9b::7f00:1",
                          "2001::1",
                          "2001:db8::1",
                          "2002:7f00:1::",
                          "3fff::1",
                          "4000::1"}) {
    EXPECT_FALSE(IsPublic(bad)) << bad;
  }
  sockaddr_in cut{};
  cut.sin_family = AF_INET;
  cut.sin_addr.s_addr = htonl(0x08080808);
  EXPECT_FALSE(IsPublicAddress(reinterpret_cast<sockaddr*>(&cut), 4));
  cut.sin_family = AF_UNIX;
  EXPECT_FALSE(IsPublicAddress(reinterpret_cast<sockaddr*>(&cut), sizeof cut));
}

using Health = HostGate::Health;

TEST(HostGate, SoManyAtOnce) {
  HostGate gate({.in_flight = 2}, 1);
  gate.Start();
  EXPECT_TRUE(gate.HasRoom(0));
  gate.Start();
  EXPECT_FALSE(gate.HasRoom(0));
  gate.End(Health::kGood, 0, 0);
  EXPECT_TRUE(gate.HasRoom(0));
}

TEST(HostGate, IsLeftAloneAsLongAsItSaid) {
  HostGate gate({}, 1);
  gate.Start();
  gate.End(Health::kNeither, 7'000, 100);
  EXPECT_EQ(gate.HeldMs(100), 7'000);
  EXPECT_FALSE(gate.HasRoom(7'099));
  EXPECT_TRUE(gate.HasRoom(7'100));
}

TEST(HostGate, FailuresOpenTheCircuitAndOneProbeClosesIt) {
  HostGate gate({.failures = 3, .pause_first_ms = 1'000, .pause_most_ms = 8'000}, 1);
  for (int i = 0; i < 10; ++i) gate.Start();
  for (int i = 0; i < 10; ++i) gate.End(Health::kBad, 0, 0);
  const int64_t first = gate.HeldMs(0);
  EXPECT_GE(first, 500) << "those that failed together are one step";
  EXPECT_LE(first, 1'000);
  int64_t now = first;
  int64_t longest = 0;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(gate.HasRoom(now));
    gate.Start();
    EXPECT_FALSE(gate.HasRoom(now)) << "one at a time";
    gate.End(Health::kBad, 0, now);
    longest = gate.HeldMs(now);
    EXPECT_LE(longest, 8'000);
    now += longest;
  }
  EXPECT_GE(longest, 4'000) << "the pauses grow";
  gate.Start();
  gate.End(Health::kGood, 0, now);
  EXPECT_FALSE(gate.Failing());
  gate.Start();
  EXPECT_TRUE(gate.HasRoom(now)) << "as many as before";
}

TEST(HostGate, FailuresInBetweenDoNot) {
  HostGate gate({.failures = 3}, 1);
  for (int i = 0; i < 20; ++i) {
    gate.Start();
    gate.End(i % 3 == 2 ? Health::kGood : Health::kBad, 0, 0);
    EXPECT_EQ(gate.HeldMs(0), 0);
  }
}

}  // namespace
}  // namespace nightjar::notify
