#include "nsrelay/net/io_result.hpp"

#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <array>
#include <csignal>

#include "nsrelay/net/pipe_pool.hpp"
#include "support/failing_system_call.hpp"
#include "support/sockets.hpp"

namespace nsrelay {
namespace {

using test::SocketPair;

class IoResultTest : public testing::Test {
 protected:
  // As the daemon does: splice(2) has no MSG_NOSIGNAL.
  IoResultTest() { std::signal(SIGPIPE, SIG_IGN); }

  static std::span<const std::byte> bytes(std::string_view text) {
    return std::as_bytes(std::span(text));
  }
  [[nodiscard]] std::string_view text(std::size_t size) const {
    return {reinterpret_cast<const char*>(buffer_.data()), size};
  }
  static void fill(const UniqueFd& socket) {
    const std::string block(65536, 'x');
    while (send(socket.get(), bytes(block)).status == IoStatus::Ok) {
    }
  }

  std::array<std::byte, 4096> buffer_{};
  PipePool pool_{{.capacity = 64 * 1024}};
  PipePool::Loan pipe_ = pool_.borrow();
};

TEST_F(IoResultTest, SendAndReceiveSayHowManyBytesTheyMoved) {
  const SocketPair pair = test::make_tcp_pair();
  const IoResult sent = send(pair.near.get(), bytes("hello"));
  EXPECT_EQ(sent.status, IoStatus::Ok);
  EXPECT_EQ(sent.bytes, 5U);
  ASSERT_TRUE(test::wait_for(pair.far, POLLIN));
  const IoResult received = receive(pair.far.get(), buffer_);
  EXPECT_EQ(received.status, IoStatus::Ok);
  EXPECT_EQ(text(received.bytes), "hello");
}

TEST_F(IoResultTest, AnEmptyQueueWouldBlock) {
  const SocketPair pair = test::make_tcp_pair();
  EXPECT_EQ(receive(pair.near.get(), buffer_).status, IoStatus::WouldBlock);
  EXPECT_EQ(splice_from(pair.near.get(), *pipe_).status, IoStatus::WouldBlock);
  EXPECT_TRUE(pipe_->empty());
}

TEST_F(IoResultTest, AFullQueueWouldBlockAfterWhatItTook) {
  const SocketPair pair = test::make_tcp_pair();
  fill(pair.near);
  const IoResult result = send(pair.near.get(), bytes("more"));
  EXPECT_EQ(result.status, IoStatus::WouldBlock);
  EXPECT_EQ(result.bytes, 0U);
}

TEST_F(IoResultTest, AFinIsTheEndBehindWhatCameBefore) {
  const SocketPair pair = test::make_tcp_pair();
  test::send_text(pair.near, "last");
  ASSERT_EQ(::shutdown(pair.near.get(), SHUT_WR), 0);
  ASSERT_TRUE(test::wait_for(pair.far, POLLRDHUP));
  EXPECT_EQ(receive(pair.far.get(), buffer_).bytes, 4U);
  EXPECT_EQ(receive(pair.far.get(), buffer_).status, IoStatus::Eof);
  EXPECT_EQ(splice_from(pair.far.get(), *pipe_).status, IoStatus::Eof);
}

TEST_F(IoResultTest, AResetIsAnErrorBehindWhatCameBefore) {
  SocketPair pair = test::make_tcp_pair();
  test::send_text(pair.near, "last");
  ASSERT_TRUE(test::wait_for(pair.far, POLLIN));
  test::reset(pair.near);
  ASSERT_TRUE(test::wait_for(pair.far, POLLRDHUP));
  EXPECT_EQ(receive(pair.far.get(), buffer_).bytes, 4U);
  const IoResult result = receive(pair.far.get(), buffer_);
  EXPECT_EQ(result.status, IoStatus::Error);
  EXPECT_EQ(result.error, ECONNRESET);
  EXPECT_EQ(result.bytes, 0U);
}

TEST_F(IoResultTest, SendingToNobodyIsEpipeAndNoSignal) {
  std::signal(SIGPIPE, SIG_DFL);
  SocketPair pair = test::make_unix_pair();
  pair.far.close();
  const IoResult result = send(pair.near.get(), bytes("x"));
  EXPECT_EQ(result.status, IoStatus::Error);
  EXPECT_EQ(result.error, EPIPE);
}

TEST_F(IoResultTest, SplicingToNobodyIsEpipeAndKeepsTheBytesInThePipe) {
  SocketPair source = test::make_unix_pair();
  SocketPair sink = test::make_unix_pair();
  test::send_text(source.far, "hello");
  ASSERT_EQ(splice_from(source.near.get(), *pipe_).bytes, 5U);
  sink.far.close();
  const IoResult result = splice_to(sink.near.get(), *pipe_);
  EXPECT_EQ(result.status, IoStatus::Error);
  EXPECT_EQ(result.error, EPIPE);
  EXPECT_EQ(pipe_->size(), 5U);
}

TEST_F(IoResultTest, ASplicedByteIsCountedIntoThePipeAndOutOfIt) {
  const SocketPair source = test::make_tcp_pair();
  const SocketPair sink = test::make_tcp_pair();
  test::send_text(source.far, "hello");
  ASSERT_TRUE(test::wait_for(source.near, POLLIN));
  const IoResult in = splice_from(source.near.get(), *pipe_);
  EXPECT_EQ(in.status, IoStatus::Ok);
  EXPECT_EQ(in.bytes, 5U);
  EXPECT_EQ(pipe_->size(), 5U);
  const IoResult out = splice_to(sink.near.get(), *pipe_);
  EXPECT_EQ(out.status, IoStatus::Ok);
  EXPECT_EQ(out.bytes, 5U);
  EXPECT_TRUE(pipe_->empty());
  ASSERT_TRUE(test::wait_for(sink.far, POLLIN));
  EXPECT_EQ(test::receive_text(sink.far), "hello");
}

TEST_F(IoResultTest, WhatAFullSinkDoesNotTakeStaysInThePipe) {
  const SocketPair source = test::make_tcp_pair();
  const SocketPair sink = test::make_tcp_pair();
  fill(sink.near);
  test::send_text(source.far, "hello");
  ASSERT_TRUE(test::wait_for(source.near, POLLIN));
  ASSERT_EQ(splice_from(source.near.get(), *pipe_).bytes, 5U);
  EXPECT_EQ(splice_to(sink.near.get(), *pipe_).status, IoStatus::WouldBlock);
  EXPECT_EQ(pipe_->size(), 5U);
}

TEST_F(IoResultTest, SpliceNeverTakesMoreThanThePipeHolds) {
  const SocketPair source = test::make_tcp_pair();
  fill(source.far);
  ASSERT_TRUE(test::wait_for(source.near, POLLIN));
  const IoResult result = splice_from(source.near.get(), *pipe_);
  EXPECT_EQ(result.status, IoStatus::Ok);
  EXPECT_LE(result.bytes, pipe_->capacity());
  EXPECT_EQ(pipe_->size(), result.bytes);
}

TEST_F(IoResultTest, WhatCannotBeSplicedIsEinval) {
  const UniqueFd epoll = UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC));
  const IoResult result = splice_from(epoll.get(), *pipe_);
  EXPECT_EQ(result.status, IoStatus::Error);
  EXPECT_EQ(result.error, EINVAL);
  EXPECT_TRUE(pipe_->empty());
}

TEST_F(IoResultTest, BeingOutOfMemoryIsNotTheEndOfTheConnection) {
  const SocketPair pair = test::make_unix_pair();
  for (const int error : {ENOMEM, ENOBUFS}) {
    test::with_failing_system_call({SYS_recvfrom, error}, [&] {
      const IoResult result = receive(pair.near.get(), buffer_);
      EXPECT_EQ(result.status, IoStatus::NoMemory);
      EXPECT_EQ(result.error, error);
    });
    test::with_failing_system_call({SYS_sendto, error}, [&] {
      EXPECT_EQ(send(pair.near.get(), bytes("x")).status, IoStatus::NoMemory);
    });
  }
}

}  // namespace
}  // namespace nsrelay
