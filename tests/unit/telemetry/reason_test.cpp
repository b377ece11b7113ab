#include "nsrelay/telemetry/reason.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace nsrelay {
namespace {

TEST(Reason, EveryOneHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kReasons; ++i) {
    const std::string_view name = to_string(static_cast<Reason>(i));
    EXPECT_THAT(std::string(name), testing::MatchesRegex("[a-z]+(_[a-z]+)*")) << "reason " << i;
    names.insert(name);
  }
  EXPECT_EQ(names.size(), kReasons);
  EXPECT_EQ(to_string(static_cast<Reason>(kReasons)), "") << "a new reason belongs in this test";
}

TEST(Reason, TheEndsOfForwardedConnectionsAreNoFailures) {
  for (const Reason reason :
       {Reason::ClientClosed, Reason::UpstreamClosed, Reason::ClientReset, Reason::UpstreamReset,
        Reason::ClientTimeout, Reason::UpstreamTimeout, Reason::ClientRestarted,
        Reason::UpstreamRestarted, Reason::IdleTimeout, Reason::HalfCloseTimeout, Reason::Drained,
        Reason::NetnsDeleted, Reason::UpstreamMoved})
    EXPECT_FALSE(is_failure(reason)) << to_string(reason);
}

TEST(Reason, WhatKeptAConnectionFromBeingForwardedIsAFailure) {
  for (const Reason reason :
       {Reason::Denied, Reason::PerSourceConnections, Reason::PerSourceRate,
        Reason::ProxyHeaderInvalid, Reason::ProxyHeaderTimeout, Reason::ForwardingLoop,
        Reason::SourceAbsent, Reason::ConnectRefused, Reason::ConnectTimeout,
        Reason::ConnectUnreachable, Reason::ConnectFailed, Reason::NameNotFound,
        Reason::NoSourcePort, Reason::UpstreamNetnsAbsent, Reason::OutOfDescriptors,
        Reason::OutOfMemory, Reason::AcceptFailed, Reason::MessageTooLong, Reason::TooFewStreams})
    EXPECT_TRUE(is_failure(reason)) << to_string(reason);
}

TEST(Reason, HasTheNamesThatUsersRelyOn) {
  EXPECT_EQ(to_string(Reason::ClientClosed), "client_closed");
  EXPECT_EQ(to_string(Reason::UpstreamClosed), "upstream_closed");
  EXPECT_EQ(to_string(Reason::ClientReset), "client_reset");
  EXPECT_EQ(to_string(Reason::UpstreamReset), "upstream_reset");
  EXPECT_EQ(to_string(Reason::IdleTimeout), "idle_timeout");
  EXPECT_EQ(to_string(Reason::ConnectRefused), "connect_refused");
  EXPECT_EQ(to_string(Reason::ConnectTimeout), "connect_timeout");
  EXPECT_EQ(to_string(Reason::NetnsDeleted), "netns_deleted");
  EXPECT_EQ(to_string(Reason::Drained), "drained");
}

}  // namespace
}  // namespace nsrelay
