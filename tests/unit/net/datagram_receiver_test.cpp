#include "nsrelay/net/datagram_receiver.hpp"

#include <gmock/gmock.h>

#include "udp_test_support.hpp"

namespace nsrelay {
namespace {

void send_to(const UdpSocket& from, const IpEndpoint& to, std::string_view text) {
  const SocketAddress address(to);
  EXPECT_EQ(::sendto(from.fd(), text.data(), text.size(), 0, address.data(), address.size()),
            static_cast<ssize_t>(text.size()));
}

TEST(DatagramReceiver, NothingThereIsNoError) {
  const UdpSocket socket;
  DatagramReceiver receiver;
  EXPECT_EQ(receiver.receive(socket.fd()).status, IoStatus::WouldBlock);
  EXPECT_TRUE(receiver.received().empty());
}

TEST(DatagramReceiver, ReportsWhoSentAndWhichAddressWasHit) {
  const UdpSocket client;
  const UdpSocket any("0.0.0.0");
  send_to(client, {*IpAddress::parse("127.0.0.9"), any.endpoint().port}, "hello");
  DatagramReceiver receiver;
  const IoResult got = receiver.receive(any.fd());
  ASSERT_EQ(got.status, IoStatus::Ok);
  EXPECT_EQ(got.bytes, 5U);
  const ReceivedDatagrams& one = receiver.received()[0];
  EXPECT_EQ(text_of(one.run), "hello");
  EXPECT_EQ(one.path.peer, client.endpoint());
  EXPECT_EQ(one.path.local.to_string(), "127.0.0.9");
  EXPECT_FALSE(one.truncated);
}

TEST(DatagramReceiver, DualStackSocketReportsIpv4AsIpv4) {
  UdpSocket any("::");
  const UdpSocket client;
  send_to(client, {*IpAddress::parse("127.0.0.9"), any.endpoint().port}, "x");
  DatagramReceiver receiver;
  ASSERT_EQ(receiver.receive(any.fd()).status, IoStatus::Ok);
  EXPECT_EQ(receiver.received()[0].path.peer, client.endpoint());
  EXPECT_EQ(receiver.received()[0].path.local.to_string(), "127.0.0.9");
}

TEST(DatagramReceiver, TakesNoMoreThanAskedFor) {
  const UdpSocket client;
  const UdpSocket server;
  for (int i = 0; i < 5; ++i)
    send_to(client, server.endpoint(), "x");
  DatagramReceiver receiver;
  ASSERT_EQ(receiver.receive(server.fd(), 3).status, IoStatus::Ok);
  EXPECT_EQ(receiver.received().size(), 3U);
  ASSERT_EQ(receiver.receive(server.fd()).status, IoStatus::Ok);
  EXPECT_EQ(receiver.received().size(), 2U);
}

TEST(DatagramReceiver, LongestDatagramIsWhole) {
  const UdpSocket client;
  const UdpSocket server;
  const std::string longest(65507, 'x');
  send_to(client, server.endpoint(), longest);
  DatagramReceiver receiver;
  ASSERT_EQ(receiver.receive(server.fd()).status, IoStatus::Ok);
  EXPECT_EQ(text_of(receiver.received()[0].run), longest);
  EXPECT_FALSE(receiver.received()[0].truncated);
}

TEST(DatagramReceiver, PendingErrorOfAConnectedSocketIsReportedOnce) {
  const UdpSocket client;
  {
    const UdpSocket gone;
    client.connect_to(gone);
  }
  EXPECT_EQ(::send(client.fd(), "x", 1, 0), 1);
  DatagramReceiver receiver;
  const IoResult got = receiver.receive(client.fd());
  EXPECT_EQ(got.status, IoStatus::Error);
  EXPECT_EQ(got.error, ECONNREFUSED);
  EXPECT_EQ(receiver.receive(client.fd()).status, IoStatus::WouldBlock);
}

TEST(OverflowMeter, GivesDifferencesAlsoWhenTheCountWraps) {
  OverflowMeter meter;
  EXPECT_EQ(meter.since_last(0), 0U);
  EXPECT_EQ(meter.since_last(5), 5U);
  EXPECT_EQ(meter.since_last(5), 0U);
  EXPECT_EQ(meter.since_last(0xffffffffU), 0xffffffffU - 5);
  EXPECT_EQ(meter.since_last(3), 4U);
}

}  // namespace
}  // namespace nsrelay
