#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/sctp.h>

#include <cstdlib>

#include "nsrelay/net/sctp_socket.hpp"
#include "support/sockets.hpp"

namespace nsrelay::test {

/// A test that needs a kernel with SCTP. Elsewhere it is skipped, but where NSRELAY_NEEDS_SCTP is
/// set, as it is in the guest: there it fails.
class SctpTest : public testing::Test {
 protected:
  void SetUp() override {
    const UniqueFd socket = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP));
    if (socket)
      return;
    ASSERT_EQ(std::getenv("NSRELAY_NEEDS_SCTP"), nullptr) << "this kernel has no SCTP";
    GTEST_SKIP() << "this kernel has no SCTP; the guest lane runs it";
  }

  static UniqueFd make_sctp_socket(const SctpOptions& options = {},
                                   SctpStreams streams = {10, 10}) {
    UniqueFd socket = UniqueFd::adopt(
        ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_SCTP));
    EXPECT_TRUE(apply_sctp_options(socket.get(), options));
    EXPECT_TRUE(request_sctp_streams(socket.get(), streams));
    return socket;
  }

  /// Two ends of an association; the near one has asked for `near_streams`.
  static SocketPair make_sctp_pair(SctpStreams near_streams = {10, 10},
                                   SctpStreams far_streams = {10, 10},
                                   const SctpOptions& options = {}) {
    const UniqueFd listener = make_sctp_socket(options, far_streams);
    const SocketAddress any = loopback();
    EXPECT_TRUE(bind_sctp(listener.get(), {&any, 1}));
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    SocketPair pair;
    pair.near = make_sctp_socket(options, near_streams);
    const SocketAddress address = local_address(listener);
    EXPECT_TRUE(connect_sctp(pair.near.get(), {&address, 1}));
    EXPECT_TRUE(wait_for(listener, POLLIN));
    pair.far =
        UniqueFd::adopt(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    EXPECT_TRUE(wait_for(pair.near, POLLOUT));
    return pair;
  }
};

}  // namespace nsrelay::test
