// Which addresses a client may have us connect to: those that everybody can reach. Not this
// machine, nor the networks that only the operator's machines see.
#pragma once

#include <sys/socket.h>

namespace nightjar::notify {

// False for everything that is not global unicast by the registries of IANA: loopback, private,
// link local, shared (RFC 6598), documentation, benchmarks, multicast, reserved, and forms of IPv6
// that have an IPv4 address in them. Any thread.
bool IsPublicAddress(const sockaddr* address, socklen_t size);

}  // namespace nightjar::notify
