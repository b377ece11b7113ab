#include "nsrelay/relay/stream_mover.hpp"

#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <random>

#include "nsrelay/net/socket_options.hpp"
#include "support/failing_system_call.hpp"
#include "support/sockets.hpp"

namespace nsrelay {
namespace {

using test::SocketPair;

class StreamMoverTest : public testing::Test {
 protected:
  static constexpr std::size_t kBuffer = 4096;
  static constexpr std::size_t kSmallSplice = 16 * 1024;

  StreamMoverTest() { std::signal(SIGPIPE, SIG_IGN); }

  /// Puts `size` bytes where the mover can read them.
  void offer(std::size_t size) {
    const std::string block(size, 'x');
    test::send_text(source_.far, block);
    const auto end = std::chrono::steady_clock::now() + test::kPatience;
    while (readable_bytes(source_.near.get()) < static_cast<int>(size) &&
           std::chrono::steady_clock::now() < end) {
    }
    ASSERT_EQ(readable_bytes(source_.near.get()), static_cast<int>(size));
  }

  StreamMover::Moved move(PipePool& pool, bool copy_only = false) {
    return mover_.read_and_deliver(source_.near.get(), sink_.near.get(), copy_only,
                                   {buffer_, pool});
  }
  StreamMover::Moved move() { return move(pool_); }

  /// Whether the next move uses a pipe.
  bool splices(bool copy_only = false) {
    PipePool pool({});
    const StreamMover::Moved moved = move(pool, copy_only);
    EXPECT_EQ(moved.source.status, IoStatus::Ok);
    EXPECT_FALSE(mover_.has_pending());
    return pool.in_existence() > 0;
  }

  /// Makes the mover see bulk: one read that fills the buffer.
  void see_bulk() {
    offer(kBuffer);
    EXPECT_FALSE(splices());
    drain();
  }

  /// Reads everything that has arrived behind the sink.
  std::string drain() {
    std::string all;
    for (std::string part = test::receive_text(sink_.far); !part.empty();
         part = test::receive_text(sink_.far))
      all += part;
    return all;
  }

  /// Lets the sink take nothing; returns how many bytes it has.
  std::size_t stop_sink() {
    const std::string block(65536, '-');
    std::size_t taken = 0;
    for (ssize_t sent = 0; sent >= 0; taken += static_cast<std::size_t>(std::max<ssize_t>(sent, 0)))
      sent = ::send(sink_.near.get(), block.data(), block.size(), MSG_NOSIGNAL);
    return taken;
  }

  SocketPair source_ = test::make_tcp_pair();
  SocketPair sink_ = test::make_tcp_pair();
  std::array<std::byte, kBuffer> buffer_{};
  PipePool pool_{{}};
  StreamMover mover_;
};

TEST_F(StreamMoverTest, DeliversAPrefixInFrontOfTheFirstRead) {
  offer(3);
  const auto moved =
      mover_.deliver_behind("prefix ", source_.near.get(), sink_.near.get(), {buffer_, pool_});
  EXPECT_EQ(moved.read, 3U);
  EXPECT_TRUE(moved.source_is_drained);
  EXPECT_EQ(drain(), "prefix xxx");
}

TEST_F(StreamMoverTest, DeliversAPrefixAloneWhereThereIsNothingElse) {
  const auto moved =
      mover_.deliver_behind("prefix", source_.near.get(), sink_.near.get(), {buffer_, pool_});
  EXPECT_EQ(moved.source.status, IoStatus::WouldBlock);
  EXPECT_EQ(moved.read, 0U);
  EXPECT_EQ(drain(), "prefix");
}

TEST_F(StreamMoverTest, DeliversAPrefixBeforeTheEndOfTheStream) {
  source_.far.close();
  const auto moved =
      mover_.deliver_behind("prefix", source_.near.get(), sink_.near.get(), {buffer_, pool_});
  EXPECT_EQ(moved.source.status, IoStatus::Eof);
  EXPECT_EQ(drain(), "prefix");
}

TEST_F(StreamMoverTest, KeepsAPrefixThatTheSinkDoesNotTake) {
  offer(3);
  stop_sink();
  const auto moved =
      mover_.deliver_behind("prefix ", source_.near.get(), sink_.near.get(), {buffer_, pool_});
  EXPECT_EQ(moved.read, 3U);
  EXPECT_TRUE(mover_.has_pending());
  drain();
  mover_.deliver(sink_.near.get());
  EXPECT_EQ(drain(), "prefix xxx");
}

TEST_F(StreamMoverTest, CopiesASmallMessageInOneGo) {
  test::send_text(source_.far, "hello");
  ASSERT_TRUE(test::wait_for(source_.near, POLLIN));
  const StreamMover::Moved moved = move();
  EXPECT_EQ(moved.source.status, IoStatus::Ok);
  EXPECT_EQ(moved.read, 5U);
  EXPECT_EQ(moved.delivered, 5U);
  EXPECT_TRUE(moved.source_is_drained);
  EXPECT_FALSE(mover_.has_pending());
  EXPECT_EQ(pool_.in_existence(), 0U);
  ASSERT_TRUE(test::wait_for(sink_.far, POLLIN));
  EXPECT_EQ(test::receive_text(sink_.far), "hello");
}

TEST_F(StreamMoverTest, ReportsAnEmptySourceItsEndAndItsReset) {
  EXPECT_EQ(move().source.status, IoStatus::WouldBlock);
  ASSERT_EQ(::shutdown(source_.far.get(), SHUT_WR), 0);
  ASSERT_TRUE(test::wait_for(source_.near, POLLIN));
  EXPECT_EQ(move().source.status, IoStatus::Eof);
  source_ = test::make_tcp_pair();
  test::reset(source_.far);
  ASSERT_TRUE(test::wait_for(source_.near, POLLIN));
  const StreamMover::Moved moved = move();
  EXPECT_EQ(moved.source.status, IoStatus::Error);
  EXPECT_EQ(moved.source.error, ECONNRESET);
}

TEST_F(StreamMoverTest, SplicesAfterAReadThatFilledTheBuffer) {
  offer(kBuffer - 1);
  EXPECT_FALSE(splices());
  offer(kSmallSplice);
  EXPECT_FALSE(splices());  // this one filled it
  EXPECT_TRUE(splices());
}

TEST_F(StreamMoverTest, GoesBackToCopyingAfterFourSmallSplicesInARow) {
  see_bulk();
  for (int i = 0; i < 4; ++i) {
    offer(kSmallSplice - 1);
    EXPECT_TRUE(splices()) << i;
  }
  offer(1);
  EXPECT_FALSE(splices());
}

TEST_F(StreamMoverTest, TakesNoUrgentMarkBeforeAFinForTheEnd) {
  const int on = 1;
  ::setsockopt(source_.near.get(), SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
  see_bulk();
  ASSERT_EQ(::send(source_.far.get(), "!", 1, MSG_OOB), 1);
  test::send_text(source_.far, "after");
  ::shutdown(source_.far.get(), SHUT_WR);
  ASSERT_TRUE(test::wait_for(source_.near, POLLRDHUP));
  while (move().source.status == IoStatus::Ok) {
  }
  EXPECT_EQ(drain(), "!after");
}

TEST_F(StreamMoverTest, KeepsSplicingWhenALargeOneComesBetweenTheSmall) {
  see_bulk();
  for (int i = 0; i < 3; ++i) {
    offer(1);
    EXPECT_TRUE(splices()) << i;
  }
  drain();
  offer(kSmallSplice);
  EXPECT_TRUE(splices());
  for (int i = 0; i < 4; ++i) {
    offer(1);
    EXPECT_TRUE(splices()) << i;
  }
  offer(1);
  EXPECT_FALSE(splices());
}

TEST_F(StreamMoverTest, CopiesWhereACopyIsAskedFor) {
  see_bulk();
  offer(1);
  EXPECT_FALSE(splices(true));
  offer(1);
  EXPECT_TRUE(splices());
}

TEST_F(StreamMoverTest, CopiesWhenThereIsNoPipe) {
  see_bulk();
  PipePool none({.most = 0});
  test::send_text(source_.far, "still goes");
  ASSERT_TRUE(test::wait_for(source_.near, POLLIN));
  EXPECT_EQ(move(none).delivered, 10U);
  ASSERT_TRUE(test::wait_for(sink_.far, POLLIN));
  EXPECT_EQ(drain(), "still goes");
}

TEST_F(StreamMoverTest, CopiesForEverWhereTheSocketCannotBeSpliced) {
  see_bulk();
  test::send_text(source_.far, "still goes");
  ASSERT_TRUE(test::wait_for(source_.near, POLLIN));
  test::with_failing_system_call({SYS_splice, EINVAL}, [&] {
    const StreamMover::Moved refused = move();
    EXPECT_EQ(refused.source.status, IoStatus::Ok);  // to be called again
    EXPECT_EQ(refused.read, 0U);
    EXPECT_FALSE(mover_.has_pending());
    EXPECT_EQ(move().delivered, 10U);
  });
  drain();
  offer(2 * kBuffer);
  EXPECT_FALSE(splices());
  EXPECT_FALSE(splices());  // bulk does not tempt it again
}

TEST_F(StreamMoverTest, HoldsNoPipeWhenNothingIsPending) {
  see_bulk();
  EXPECT_EQ(move().source.status, IoStatus::WouldBlock);
  EXPECT_EQ(pool_.idle(), 1U);
  EXPECT_FALSE(mover_.has_pending());
}

TEST_F(StreamMoverTest, KeepsWhatTheSinkDoesNotTakeAndDeliversItLater) {
  std::size_t before = stop_sink();
  test::send_text(source_.far, "pending");
  ASSERT_TRUE(test::wait_for(source_.near, POLLIN));
  const StreamMover::Moved moved = move();
  EXPECT_EQ(moved.read, 7U);
  EXPECT_EQ(moved.delivered, 0U);
  EXPECT_EQ(moved.sink.status, IoStatus::WouldBlock);
  EXPECT_TRUE(mover_.has_pending());
  EXPECT_EQ(mover_.deliver(sink_.near.get()).sink.status, IoStatus::WouldBlock);
  while (before > 0) {
    ASSERT_TRUE(test::wait_for(sink_.far, POLLIN));
    before -= test::receive_text(sink_.far, std::min<std::size_t>(before, 65536)).size();
  }
  ASSERT_TRUE(test::wait_for(sink_.near, POLLOUT));
  EXPECT_EQ(mover_.deliver(sink_.near.get()).delivered, 7U);
  EXPECT_FALSE(mover_.has_pending());
  ASSERT_TRUE(test::wait_for(sink_.far, POLLIN));
  EXPECT_EQ(test::receive_text(sink_.far), "pending");
}

TEST_F(StreamMoverTest, DiscardThrowsCopiedBytesAway) {
  stop_sink();
  offer(10);
  move();
  ASSERT_TRUE(mover_.has_pending());
  mover_.discard();
  EXPECT_FALSE(mover_.has_pending());
}

TEST_F(StreamMoverTest, DiscardThrowsASplicedPipeAwayWithItsBytes) {
  see_bulk();
  stop_sink();
  offer(10);
  move();
  ASSERT_TRUE(mover_.has_pending());
  EXPECT_EQ(pool_.in_existence(), 1U);
  mover_.discard();
  EXPECT_FALSE(mover_.has_pending());
  EXPECT_EQ(pool_.in_existence(), 0U);  // never lent to anybody again
}

TEST_F(StreamMoverTest, ReportsADeadSink) {
  test::reset(sink_.far);
  ASSERT_TRUE(test::wait_for(sink_.near, POLLIN));
  offer(10);
  const StreamMover::Moved moved = move();
  EXPECT_EQ(moved.read, 10U);
  EXPECT_EQ(moved.sink.status, IoStatus::Error);
  EXPECT_TRUE(moved.sink.error == ECONNRESET || moved.sink.error == EPIPE) << moved.sink.error;
}

/// Random bytes in random portions, through a reader that takes random portions.
class StreamMoverIntegrity : public StreamMoverTest,
                             public testing::WithParamInterface<std::size_t> {};

TEST_P(StreamMoverIntegrity, NoByteIsLostDoubledOrMoved) {
  PipePool pool({.most = GetParam(), .capacity = 128 * 1024});
  std::mt19937 random(GetParam() == 0 ? 1 : 2);
  std::string sent(3'000'000, '\0');
  for (char& byte : sent)
    byte = static_cast<char>(random());
  std::string received;
  std::size_t offered = 0;
  const auto end = std::chrono::steady_clock::now() + test::kPatience;
  while (received.size() < sent.size() && std::chrono::steady_clock::now() < end) {
    const std::size_t portion =
        std::min(sent.size() - offered, random() % 100'000 + std::size_t{1});
    if (const ssize_t count =
            portion == 0 ? -1
                         : ::send(source_.far.get(), sent.data() + offered, portion, MSG_NOSIGNAL);
        count > 0)
      offered += static_cast<std::size_t>(count);
    for (int i = 0; i < 8; ++i) {
      if (mover_.has_pending())
        mover_.deliver(sink_.near.get());
      else
        move(pool);
    }
    received += test::receive_text(sink_.far, random() % 60'000 + 1);
  }
  EXPECT_TRUE(received == sent) << "received " << received.size() << " of " << sent.size();
  EXPECT_FALSE(mover_.has_pending());
}

INSTANTIATE_TEST_SUITE_P(CopiedAndSpliced, StreamMoverIntegrity, testing::Values(0, 1));

}  // namespace
}  // namespace nsrelay
