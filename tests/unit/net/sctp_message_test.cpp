#include "nsrelay/net/sctp_message.hpp"

#include <array>
#include <string>

#include "nsrelay/net/socket_options.hpp"
#include "support/sctp_test.hpp"

namespace nsrelay {
namespace {

class SctpMessage : public test::SctpTest {
 protected:
  static IoResult send(const UniqueFd& socket, std::string_view text,
                       const SctpMessageInfo& info = {}) {
    return send_sctp(socket.get(), std::as_bytes(std::span(text)), info);
  }

  /// The next thing that is not the notice that the association stands.
  SctpReceived receive(const UniqueFd& socket) {
    for (;;) {
      EXPECT_TRUE(test::wait_for(socket, POLLIN));
      const auto received = receive_sctp(socket.get(), buffer_);
      if (received.notice != SctpNotice::Up)
        return received;
      streams_ = received.streams;
    }
  }

  [[nodiscard]] std::string text(const SctpReceived& received) const {
    return {reinterpret_cast<const char*>(buffer_.data()), received.io.bytes};
  }

  std::array<std::byte, 4096> buffer_{};
  SctpStreams streams_;
};

TEST_F(SctpMessage, KeepsWhatBelongsToIt) {
  const auto pair = make_sctp_pair();
  for (const SctpMessageInfo& info :
       {SctpMessageInfo{0, 0, false}, SctpMessageInfo{9, 0x01020304, false},
        SctpMessageInfo{3, 0xffffffff, true}}) {
    EXPECT_EQ(send(pair.near, "hello", info).status, IoStatus::Ok);
    const auto received = receive(pair.far);
    EXPECT_EQ(text(received), "hello");
    EXPECT_TRUE(received.ends_message);
    EXPECT_EQ(received.info, info);
  }
  EXPECT_EQ(streams_, (SctpStreams{10, 10}));
}

TEST_F(SctpMessage, ComesInPartsWhereItIsLongerThanTheBuffer) {
  const auto pair = make_sctp_pair();
  send(pair.near, std::string(buffer_.size() + 1, 'x'), {5, 6, false});
  const auto first = receive(pair.far);
  EXPECT_EQ(first.io.bytes, buffer_.size());
  EXPECT_FALSE(first.ends_message);
  const auto second = receive(pair.far);
  EXPECT_EQ(second.io.bytes, 1U);
  EXPECT_TRUE(second.ends_message);
  EXPECT_EQ(second.info, (SctpMessageInfo{5, 6, false}));
}

TEST_F(SctpMessage, SaysThatTheAssociationWasClosedBehindTheLast) {
  auto pair = make_sctp_pair();
  send(pair.near, "last");
  receive_sctp(pair.near.get(), buffer_);
  pair.near.close();
  EXPECT_EQ(text(receive(pair.far)), "last");
  const auto end = receive(pair.far);
  EXPECT_TRUE(end.notice == SctpNotice::Closed || end.io.status == IoStatus::Eof);
}

TEST_F(SctpMessage, SaysThatTheAssociationWasLostBehindTheLast) {
  auto pair = make_sctp_pair();
  send(pair.near, "last");
  reset_on_close(pair.near.get());
  EXPECT_EQ(text(receive(pair.far)), "last");
  pair.near.close();
  EXPECT_EQ(receive(pair.far).notice, SctpNotice::Lost);
  EXPECT_EQ(send(pair.far, "too late").status, IoStatus::Error);
}

TEST_F(SctpMessage, SaysWhenEverythingIsAcknowledged) {
  const auto pair = make_sctp_pair();
  send(pair.near, "hello");
  ASSERT_TRUE(notify_when_acknowledged(pair.near.get()));
  EXPECT_EQ(receive(pair.near).notice, SctpNotice::SenderDry);
}

TEST_F(SctpMessage, IsTakenWholeOrNotAtAll) {
  const auto pair = make_sctp_pair();
  EXPECT_EQ(send(pair.near, "x", {10, 0, false}).error, EINVAL);  // streams 0 to 9
  const std::string too_long(8 * 1024 * 1024, 'x');
  EXPECT_EQ(send(pair.near, too_long).error, EMSGSIZE);
  IoResult last;
  int sent = 0;
  for (; sent < 100'000; ++sent)
    if (last = send(pair.near, std::string(1000, 'y')); last.status != IoStatus::Ok)
      break;
  EXPECT_EQ(last.status, IoStatus::WouldBlock);
  for (int received = 0; received < sent; ++received)
    EXPECT_EQ(receive(pair.far).io.bytes, 1000U);
}

}  // namespace
}  // namespace nsrelay
