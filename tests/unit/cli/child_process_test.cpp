#include "child_process.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nsrelay {
namespace {

/// The pipe of which a child holds the writing end for its life.
class LifeLine {
 public:
  LifeLine() { EXPECT_EQ(::pipe(ends_), 0); }
  LifeLine(const LifeLine&) = delete;
  LifeLine& operator=(const LifeLine&) = delete;
  ~LifeLine() {
    ::close(ends_[0]);
    close_writer();
  }
  void close_writer() {
    if (ends_[1] >= 0)
      ::close(std::exchange(ends_[1], -1));
  }
  void say(char word) const { EXPECT_EQ(::write(ends_[1], &word, 1), 1); }
  /// The next byte; 0 when all writers are gone.
  [[nodiscard]] char listen() const {
    char byte = 0;
    return ::read(ends_[0], &byte, 1) == 1 ? byte : '\0';
  }

 private:
  int ends_[2]{-1, -1};
};

TEST(ChildProcess, RunsItsBodyAndEndsWhenItIsDestroyed) {
  LifeLine line;
  const Interruptible signals;
  {
    auto child = ChildProcess::start(signals, [&] {
      line.say('x');
      while (true)
        ::pause();
      return 0;
    });
    ASSERT_TRUE(child);
    line.close_writer();
    EXPECT_EQ(line.listen(), 'x');
  }
  EXPECT_EQ(line.listen(), '\0');
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // nobody is left to be waited for
}

TEST(ChildProcess, IsSweptUpAlsoWhenItEndedByItself) {
  const Interruptible signals;
  auto child = ChildProcess::start(signals, [] { return 3; });
  ASSERT_TRUE(child);
  child->stop();
  child->stop();
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST(ChildProcess, EndsTheFormerWhenAnotherTakesItsPlace) {
  LifeLine line;
  const Interruptible signals;
  auto child = ChildProcess::start(signals, [] {
    while (true)
      ::pause();
    return 0;
  });
  ASSERT_TRUE(child);
  line.close_writer();
  *child = ChildProcess();
  EXPECT_EQ(line.listen(), '\0');  // the child had the other writing end
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

}  // namespace
}  // namespace nsrelay
