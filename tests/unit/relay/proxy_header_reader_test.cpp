#include "nsrelay/relay/proxy_header_reader.hpp"

#include <gtest/gtest.h>

#include "support/sockets.hpp"

namespace nsrelay {
namespace {

using Step = ProxyHeaderReader::Step;

class ProxyHeaderReaderTest : public testing::Test {
 protected:
  void send(std::string_view text) {
    test::send_text(pair_.far, text);
    ASSERT_TRUE(test::wait_for(pair_.near, POLLIN));
  }
  Step read(bool ended = false) { return reader_.read(pair_.near.get(), ended); }

  test::SocketPair pair_ = test::make_unix_pair();
  ProxyHeaderReader reader_;
  const ProxyAddresses addresses_{{*IpAddress::parse("192.0.2.1"), 5000},
                                  {*IpAddress::parse("10.0.0.9"), 80}};
};

TEST_F(ProxyHeaderReaderTest, TakesTheHeaderAndNotAByteMore) {
  for (const std::string& header :
       {encode_proxy_v1(addresses_), encode_proxy_v2(addresses_, "b")}) {
    reader_ = {};
    send(header + "hello");
    EXPECT_EQ(read(), Step::Done);
    EXPECT_EQ(reader_.header().addresses, addresses_);
    EXPECT_EQ(test::receive_text(pair_.near), "hello");
  }
}

TEST_F(ProxyHeaderReaderTest, WaitsForEveryByteOfIt) {
  for (const std::string& header :
       {encode_proxy_v1(addresses_), encode_proxy_v2(addresses_, "b")}) {
    reader_ = {};
    EXPECT_EQ(read(), Step::Wait);
    for (std::size_t i = 0; i + 1 < header.size(); ++i) {
      send(header.substr(i, 1));
      ASSERT_EQ(read(), Step::Wait) << i;
    }
    send(header.substr(header.size() - 1) + "rest");
    EXPECT_EQ(read(), Step::Done);
    EXPECT_EQ(test::receive_text(pair_.near), "rest");
  }
}

TEST_F(ProxyHeaderReaderTest, SkipsTheLongestHeader) {
  std::string header = encode_proxy_v2(addresses_, std::string(60'000, 'x'));
  send(header.substr(0, 30'000));
  EXPECT_EQ(read(), Step::Wait);
  send(header.substr(30'000) + "rest");
  EXPECT_EQ(read(), Step::Done);
  EXPECT_EQ(test::receive_text(pair_.near), "rest");
}

TEST_F(ProxyHeaderReaderTest, TellsWhatIsNoHeader) {
  send("GET / HTTP/1.1\r\n");
  EXPECT_EQ(read(), Step::Invalid);
  EXPECT_EQ(reader_.fault(), "the stream does not begin with one");
}

TEST_F(ProxyHeaderReaderTest, TellsThatTheStreamEndedWithinIt) {
  send("PROXY TCP4 192");
  EXPECT_EQ(read(), Step::Wait);
  pair_.far.close();
  EXPECT_EQ(read(true), Step::Ended);
  EXPECT_EQ(reader_.fault(), "the stream ended within it");
}

TEST_F(ProxyHeaderReaderTest, TellsThatTheStreamEndedBeforeIt) {
  pair_.far.close();
  EXPECT_EQ(read(true), Step::Ended);
  EXPECT_EQ(reader_.fault(), "the stream ended before it");
}

TEST_F(ProxyHeaderReaderTest, AHeaderWithNothingBehindItIsEnough) {
  send(encode_proxy_v1(addresses_));
  pair_.far.close();
  EXPECT_EQ(read(true), Step::Done);
}

TEST_F(ProxyHeaderReaderTest, TellsThatTheConnectionIsDead) {
  test::SocketPair pair = test::make_tcp_pair();
  test::reset(pair.far);
  ASSERT_TRUE(test::wait_for(pair.near, POLLIN));
  EXPECT_EQ(reader_.read(pair.near.get(), true), Step::Failed);
}

}  // namespace
}  // namespace nsrelay
