#include "nsrelay/net/pipe_pool.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/system_limits.hpp"

namespace nsrelay {
namespace {

/// Puts one byte into a pipe, and lets it know.
void put_byte(Pipe& pipe) {
  ASSERT_EQ(::write(pipe.write_end(), "x", 1), 1);
  pipe.add(1);
}

TEST(PipePool, LendsAnEmptyPipeThatNeitherBlocksNorLeaksIntoChildren) {
  PipePool pool({});
  const PipePool::Loan pipe = pool.borrow();
  ASSERT_TRUE(pipe);
  EXPECT_TRUE(pipe->empty());
  for (const int end : {pipe->read_end(), pipe->write_end()}) {
    EXPECT_TRUE(::fcntl(end, F_GETFL) & O_NONBLOCK);
    EXPECT_TRUE(::fcntl(end, F_GETFD) & FD_CLOEXEC);
  }
}

TEST(PipePool, ReportsTheCapacityThatTheKernelGranted) {
  PipePool pool({.capacity = 100'000});  // the kernel rounds up to a power of two
  const PipePool::Loan pipe = pool.borrow();
  ASSERT_TRUE(pipe);
  EXPECT_EQ(pipe->capacity(), 131'072U);
  EXPECT_EQ(::fcntl(pipe->read_end(), F_GETPIPE_SZ), 131'072);
}

TEST(PipePool, LendsNothingWhereThePipeIsTooSmallToBeOfUse) {
  PipePool pool({.capacity = 4096});
  EXPECT_FALSE(pool.borrow());
  EXPECT_EQ(pool.in_existence(), 0U);
}

TEST(PipePool, LendsAnEmptyPipeAgain) {
  PipePool pool({});
  const Pipe* first = pool.borrow().get();
  EXPECT_EQ(pool.idle(), 1U);
  EXPECT_EQ(pool.borrow().get(), first);
  EXPECT_EQ(pool.in_existence(), 1U);
}

TEST(PipePool, NeverLendsAPipeAgainWithAByteLeftInIt) {
  PipePool pool({});
  {
    const PipePool::Loan pipe = pool.borrow();
    put_byte(*pipe);
  }
  EXPECT_EQ(pool.idle(), 0U);
  EXPECT_EQ(pool.in_existence(), 0U);
  const PipePool::Loan next = pool.borrow();
  char byte;
  EXPECT_EQ(::read(next->read_end(), &byte, 1), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST(PipePool, LendsNoMoreThanItsCapAndGoesOnWhenOneComesBack) {
  PipePool pool({.most = 2});
  PipePool::Loan first = pool.borrow();
  const PipePool::Loan second = pool.borrow();
  EXPECT_TRUE(second);
  EXPECT_FALSE(pool.borrow());
  EXPECT_EQ(pool.in_existence(), 2U);
  put_byte(*first);
  first.reset();
  EXPECT_EQ(pool.in_existence(), 1U);
  EXPECT_TRUE(pool.borrow());
}

TEST(PipePool, KeepsNoMoreIdlePipesThanItsBound) {
  PipePool pool({.most_idle = 1});
  {
    const PipePool::Loan first = pool.borrow();
    const PipePool::Loan second = pool.borrow();
    EXPECT_EQ(pool.in_existence(), 2U);
  }
  EXPECT_EQ(pool.idle(), 1U);
  EXPECT_EQ(pool.in_existence(), 1U);
}

TEST(PipePool, LendsNothingWhenOutOfDescriptors) {
  PipePool pool({});
  {
    const test::FewDescriptors limit(1);  // a pipe needs two
    EXPECT_FALSE(pool.borrow());
    EXPECT_EQ(pool.in_existence(), 0U);
  }
  EXPECT_TRUE(pool.borrow());
}

}  // namespace
}  // namespace nsrelay
