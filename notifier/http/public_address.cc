#include "notifier/http/public_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace nightjar::notify {
namespace {

struct Net4 {
  uint32_t net;
  int bits;
};
constexpr uint32_t Ip(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}
constexpr std::array<Net4, 15> kNotPublic = {{
    {Ip(0, 0, 0, 0), 8},
    {Ip(10, 0, 0, 0), 8},
    {Ip(100, 64, 0, 0), 10},
    {Ip(127, 0, 0, 0), 8},
    {Ip(169, 254, 0, 0), 16},
    {Ip(172, 16, 0, 0), 12},
    {Ip(192, 0, 0, 0), 24},
    {Ip(192, 0, 2, 0), 24},
    {Ip(192, 88, 99, 0), 24},
    {Ip(192, 168, 0, 0), 16},
    {Ip(198, 18, 0, 0), 15},
    {Ip(198, 51, 100, 0), 24},
    {Ip(203, 0, 113, 0), 24},
    {Ip(224, 0, 0, 0), 4},
    {Ip(240, 0, 0, 0), 4},
}};

bool IsPublic4(uint32_t address) {
  for (const Net4& net : kNotPublic) {
    if ((address ^ net.net) >> (32 - net.bits) == 0) return false;
  }
  return true;
}

// Only 2000::/3 is given out; of it not Teredo and its neighbours (2001::/23), documentation
// (2001:db8::/32, 3fff::/20) and 6to4 (2002::/16).
bool IsPublic6(const in6_addr& address) {
  const uint8_t* const b = address.s6_addr;
  if (b[0] >> 5 != 1) return false;
  const uint32_t first = Ip(b[0], b[1], b[2], b[3]);
  return first >> 9 != 0x20010000 >> 9 && first != 0x20010db8 && first >> 16 != 0x2002 &&
         first >> 12 != 0x3fff0000 >> 12;
}

}  // namespace

bool IsPublicAddress(const sockaddr* address, socklen_t size) {
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in v4;
    std::memcpy(&v4, address, sizeof v4);
    return IsPublic4(ntohl(v4.sin_addr.s_addr));
  }
  if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 v6;
    std::memcpy(&v6, address, sizeof v6);
    return IsPublic6(v6.sin6_addr);
  }
  return false;
}

}  // namespace nightjar::notify
