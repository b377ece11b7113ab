#include "nsrelay/telemetry/log.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

#include "nsrelay/base/unique_fd.hpp"

namespace nsrelay {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

constexpr LogEvent kEvent = {"thing_done", "thing done"};

class LogTest : public testing::Test {
 protected:
  void make_pipe() {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);  // blocking, as whoever starts us leaves it
    adopt(ends);
    ASSERT_EQ(::fcntl(reader_.get(), F_SETFL, O_NONBLOCK), 0);
  }
  void make_socket(int type) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
    adopt(ends);
    ASSERT_EQ(::fcntl(reader_.get(), F_SETFL, O_NONBLOCK), 0);
  }
  void adopt(const int (&ends)[2]) {
    reader_ = UniqueFd::adopt(ends[0]);
    writer_ = UniqueFd::adopt(ends[1]);
  }

  /// One read: at most `most` bytes of what is there.
  [[nodiscard]] std::string read_once(std::size_t most = 65536) const {
    std::string text(most, '\0');
    const ssize_t count = ::read(reader_.get(), text.data(), text.size());
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
  }
  [[nodiscard]] std::string read_all() const {
    std::string all;
    for (std::string part = read_once(); !part.empty(); part = read_once())
      all += part;
    return all;
  }

  UniqueFd reader_;
  UniqueFd writer_;
};

TEST_F(LogTest, WritesALineWithTimeLevelAndRecord) {
  make_pipe();
  Log log(LogLevel::Info, writer_.get());
  log.write({.level = LogLevel::Warn, .event = kEvent, .rule = "web"});
  log.flush();
  EXPECT_THAT(read_all(), MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\."
                                       "[0-9]{6}Z warn thing done event=thing_done rule=web\n"));
}

TEST_F(LogTest, TakesWhatIsAtLeastAsGraveAsItsLevel) {
  make_pipe();
  Log log(LogLevel::Info, writer_.get());
  EXPECT_FALSE(log.takes(LogLevel::Debug));
  EXPECT_TRUE(log.takes(LogLevel::Info));
  for (const LogLevel level :
       {LogLevel::Trace, LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error})
    log.write({.level = level, .event = kEvent});
  log.flush();
  const std::string text = read_all();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
  EXPECT_THAT(text, Not(HasSubstr("debug")));
}

TEST_F(LogTest, WritesNothingBeforeFlush) {
  make_pipe();
  Log log(LogLevel::Info, writer_.get());
  log.write({.event = kEvent});
  EXPECT_EQ(read_once(), "");
}

TEST_F(LogTest, WritesEverythingOfOneIterationInOneWrite) {
  make_socket(SOCK_SEQPACKET);  // keeps every write apart
  Log log(LogLevel::Info, writer_.get());
  for (int i = 0; i < 3; ++i)
    log.write({.event = kEvent});
  log.flush();
  const std::string first = read_once();
  EXPECT_EQ(std::count(first.begin(), first.end(), '\n'), 3);
  EXPECT_EQ(read_once(), "");
}

TEST_F(LogTest, FlushesWhenItIsDestroyed) {
  make_pipe();
  {
    Log log(LogLevel::Info, writer_.get());
    log.write({.event = kEvent});
  }
  EXPECT_THAT(read_all(), HasSubstr("thing done"));
}

TEST_F(LogTest, NeverChangesTheDescriptorThatItShares) {
  make_pipe();
  Log log(LogLevel::Info, writer_.get());
  log.write({.event = kEvent});
  log.flush();
  EXPECT_FALSE(::fcntl(writer_.get(), F_GETFL) & O_NONBLOCK);
}

TEST_F(LogTest, WritesToAFile) {
  reader_ = UniqueFd::adopt(::memfd_create("log", MFD_CLOEXEC));
  Log log(LogLevel::Info, reader_.get());
  log.write({.event = kEvent, .rule = "one"});
  log.flush();
  log.write({.event = kEvent, .rule = "two"});
  log.flush();
  ASSERT_EQ(::lseek(reader_.get(), 0, SEEK_SET), 0);
  const std::string text = read_all();
  EXPECT_THAT(text, HasSubstr("rule=one\n"));
  EXPECT_THAT(text, HasSubstr("rule=two\n"));
}

TEST_F(LogTest, WritesToASocket) {
  make_socket(SOCK_STREAM);
  Log log(LogLevel::Info, writer_.get());
  log.write({.event = kEvent});
  log.flush();
  EXPECT_THAT(read_all(), HasSubstr("thing done"));
}

TEST_F(LogTest, GoesOnSilentlyWhereNobodyReadsAnyMore) {
  std::signal(SIGPIPE, SIG_IGN);
  make_pipe();
  Log log(LogLevel::Info, writer_.get());
  reader_.close();
  for (int i = 0; i < 3; ++i) {
    log.write({.event = kEvent});
    log.flush();
  }
  EXPECT_EQ(::fcntl(writer_.get(), F_GETFD), FD_CLOEXEC);  // still there, still the caller's
}

/// Fills a stalled reader's log; the alarm of the test's time limit is what would end a block.
class StalledReader : public LogTest {
 protected:
  /// Writes records until far more than the log holds back has been written.
  static int write_many(Log& log) {
    const std::string rule(1000, 'r');
    constexpr int kRecords = 4000;
    for (int i = 0; i < kRecords; ++i) {
      log.write({.event = kEvent, .rule = rule});
      log.flush();
    }
    return kRecords;
  }

  void expect_bounded_loss(Log& log, int written) {
    std::string text;
    for (std::string part = read_all(); !part.empty(); part = read_all()) {
      text += part;
      log.flush();
    }
    int arrived = 0;
    for (std::size_t at = text.find("thing done"); at != std::string::npos;
         at = text.find("thing done", at + 1))
      ++arrived;
    EXPECT_GT(arrived, 1000);  // a mebibyte is held back
    EXPECT_LT(arrived, written);
    EXPECT_THAT(text, HasSubstr("warn log records dropped event=log_dropped records=" +
                                std::to_string(written - arrived) + "\n"));
    EXPECT_EQ(text.back(), '\n');
  }
};

TEST_F(StalledReader, OfAPipeBlocksNothingAndTheLossIsReportedWhenItGoesOn) {
  make_pipe();
  Log log(LogLevel::Info, writer_.get());
  expect_bounded_loss(log, write_many(log));
}

TEST_F(StalledReader, OfASocketBlocksNothingAndTheLossIsReportedWhenItGoesOn) {
  make_socket(SOCK_STREAM);
  Log log(LogLevel::Info, writer_.get());
  expect_bounded_loss(log, write_many(log));
}

TEST_F(StalledReader, IsToldOfTheLossOnce) {
  make_pipe();
  Log log(LogLevel::Info, writer_.get());
  expect_bounded_loss(log, write_many(log));
  log.write({.event = kEvent});
  log.flush();
  EXPECT_THAT(read_all(), Not(HasSubstr("log_dropped")));
}

}  // namespace
}  // namespace nsrelay
