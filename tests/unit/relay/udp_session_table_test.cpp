#include "nsrelay/relay/udp_session_table.hpp"

#include <gtest/gtest.h>

namespace nsrelay {
namespace {

UdpSession& session(std::uintptr_t number) {
  return *reinterpret_cast<UdpSession*>(number);  // only its address is used
}

DatagramPath path(const char* client, std::uint16_t port, const char* hit,
                  std::uint32_t scope = 0) {
  return {{*IpAddress::parse(client), port}, scope, *IpAddress::parse(hit)};
}

TEST(UdpSessionTable, TellsApartByClientPortHitAddressAndLink) {
  UdpSessionTable table;
  const DatagramPath paths[] = {path("10.0.0.1", 1, "10.0.0.9"),  path("10.0.0.2", 1, "10.0.0.9"),
                                path("10.0.0.1", 2, "10.0.0.9"),  path("10.0.0.1", 1, "10.0.0.8"),
                                path("fe80::1", 1, "fe80::9", 2), path("fe80::1", 1, "fe80::9", 3)};
  std::uintptr_t number = 0;
  for (const DatagramPath& one : paths)
    table.add(one, session(++number));
  number = 0;
  for (const DatagramPath& one : paths)
    EXPECT_EQ(table.find(one), &session(++number));
  table.remove(paths[0]);
  EXPECT_EQ(table.find(paths[0]), nullptr);
  EXPECT_EQ(table.find(paths[1]), &session(2));
  EXPECT_EQ(table.size(), 5U);
}

TEST(UdpSessionTable, VisitsEverySessionOnce) {
  UdpSessionTable table;
  for (std::uint16_t port = 1; port <= 1000; ++port)
    table.add(path("::1", port, "::2"), session(port));
  std::uintptr_t sum = 0;
  table.for_each([&](UdpSession& one) { sum += reinterpret_cast<std::uintptr_t>(&one); });
  EXPECT_EQ(sum, 1000U * 1001 / 2);
}

}  // namespace
}  // namespace nsrelay
