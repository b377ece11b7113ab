#include "journal_sink.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "nsrelay/telemetry/log.hpp"

namespace nsrelay {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr LogEvent kEvent = {"thing_done", "thing done", "0123456789abcdef0123456789abcdef"};

/// Something that reads datagrams at a path, as journald does.
class JournalSinkTest : public testing::Test {
 protected:
  JournalSinkTest() {
    char folder[] = "/tmp/nsrelay-journal-XXXXXX";
    folder_ = ::mkdtemp(folder);
    path_ = folder_ + "/socket";
    listen();
  }
  ~JournalSinkTest() override {
    ::unlink(path_.c_str());
    ::rmdir(folder_.c_str());
  }

  void listen() {
    ::unlink(path_.c_str());
    reader_ = UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(reader_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }

  /// The next datagram, or what the file says that came instead of one; empty: nothing is there.
  [[nodiscard]] std::string read_one() const {
    std::string text(1 << 20, '\0');
    iovec part{text.data(), text.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t count = ::recvmsg(reader_.get(), &message, MSG_CMSG_CLOEXEC);
    if (count < 0)
      return "";
    if (const cmsghdr* rights = CMSG_FIRSTHDR(&message)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
      const UniqueFd file = UniqueFd::adopt(fd);
      count = ::pread(fd, text.data(), text.size(), 0);
      EXPECT_NE(::write(fd, "x", 1), 1) << "a file that is not sealed";
    }
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
  }

  std::string folder_;
  std::string path_;
  UniqueFd reader_;
};

TEST_F(JournalSinkTest, SendsEveryFieldOfARecordInOneDatagram) {
  auto sink = JournalSink::create(path_);
  ASSERT_TRUE(sink);
  const LogRecord record{.level = LogLevel::Warn,
                         .event = kEvent,
                         .rule = "web",
                         .netns = "blue",
                         .protocol = "tcp",
                         .client = "192.0.2.1:5000",
                         .listener = "0.0.0.0:80",
                         .upstream = "10.0.0.5:80",
                         .received = 12,
                         .sent = 0,
                         .duration = std::chrono::microseconds(345),
                         .reason = "client_closed",
                         .more = {{"see_also", "that"}}};
  (*sink)->write(record);
  EXPECT_EQ(read_one(), "");  // before flush()
  (*sink)->flush();
  EXPECT_EQ(read_one(),
            "MESSAGE=" + format_as_text(record) +
                "\nMESSAGE_ID=0123456789abcdef0123456789abcdef\nPRIORITY=4\n"
                "SYSLOG_IDENTIFIER=nsrelay\nSYSLOG_FACILITY=3\nNSRELAY_EVENT=thing_done\n"
                "NSRELAY_RULE=web\nNSRELAY_NETNS=blue\nNSRELAY_PROTOCOL=tcp\n"
                "NSRELAY_CLIENT=192.0.2.1:5000\nNSRELAY_LISTENER=0.0.0.0:80\n"
                "NSRELAY_UPSTREAM=10.0.0.5:80\nNSRELAY_BYTES_RECEIVED=12\nNSRELAY_BYTES_SENT=0\n"
                "NSRELAY_DURATION_USEC=345\nNSRELAY_REASON=client_closed\n"
                "NSRELAY_SEE_ALSO=that\n");
  EXPECT_FALSE((*sink)->is_behind());
}

TEST(FormatForJournal, LeavesOutWhatIsAbsent) {
  const std::string datagram = format_for_journal({.event = {"a", "b"}});
  EXPECT_EQ(datagram,
            "MESSAGE=b event=a\nPRIORITY=6\nSYSLOG_IDENTIFIER=nsrelay\nSYSLOG_FACILITY=3\n"
            "NSRELAY_EVENT=a\n");
}

TEST(FormatForJournal, AValueWithANewlineHasItsLengthInFront) {
  EXPECT_THAT(format_for_journal({.event = kEvent, .rule = "a\nMESSAGE=b"}),
              HasSubstr(std::string("\nNSRELAY_RULE\n\x0b\0\0\0\0\0\0\0a\nMESSAGE=b\n", 34)));
}

TEST(FormatForJournal, HasThePriorityOfTheLevel) {
  const std::pair<LogLevel, char> cases[] = {{LogLevel::Trace, '7'},
                                             {LogLevel::Debug, '7'},
                                             {LogLevel::Info, '6'},
                                             {LogLevel::Warn, '4'},
                                             {LogLevel::Error, '3'}};
  for (const auto& [level, priority] : cases)
    EXPECT_THAT(format_for_journal({.level = level, .event = kEvent}),
                HasSubstr(std::string("\nPRIORITY=") + priority + "\n"));
}

TEST_F(JournalSinkTest, ARecordThatIsTooLongForADatagramGoesAsAFile) {
  auto sink = JournalSink::create(path_);
  ASSERT_TRUE(sink);
  const std::string rule(250'000, 'r');
  const LogRecord record{.event = kEvent, .rule = rule};
  (*sink)->write(record);
  (*sink)->flush();
  EXPECT_EQ(read_one(), format_for_journal(record));
  EXPECT_EQ((*sink)->dropped(), 0U);
}

TEST_F(JournalSinkTest, AReaderThatHasStoppedBlocksNothingAndHearsOfTheLossWhenItGoesOn) {
  auto sink = JournalSink::create(path_);
  ASSERT_TRUE(sink);
  const std::string rule(1000, 'r');
  constexpr std::uint64_t kRecords = 4000;
  for (std::uint64_t i = 0; i < kRecords; ++i) {
    (*sink)->write({.event = kEvent, .rule = rule});
    (*sink)->flush();
  }
  EXPECT_TRUE((*sink)->is_behind());
  EXPECT_GT((*sink)->dropped(), 1000U);
  std::uint64_t arrived = 0;
  std::string report;
  for (std::string text = read_one(); !text.empty(); text = read_one()) {
    const bool is_report = text.find("NSRELAY_EVENT=log_dropped\n") != std::string::npos;
    if (is_report)
      report = text;
    else
      ++arrived;
    (*sink)->flush();
  }
  EXPECT_GT(arrived, 100U);
  EXPECT_EQ(arrived + (*sink)->dropped(), kRecords);
  EXPECT_THAT(report, HasSubstr("\nNSRELAY_RECORDS=" + std::to_string((*sink)->dropped()) + "\n"));
  EXPECT_THAT(report, HasSubstr("\nPRIORITY=4\n"));
  EXPECT_FALSE((*sink)->is_behind());
}

TEST_F(JournalSinkTest, FindsAJournaldThatWasStartedAnew) {
  auto sink = JournalSink::create(path_);
  ASSERT_TRUE(sink);
  reader_.close();
  (*sink)->write({.event = kEvent, .rule = "first"});
  (*sink)->flush();
  EXPECT_TRUE((*sink)->is_behind());
  listen();
  (*sink)->write({.event = kEvent, .rule = "second"});
  (*sink)->flush();
  EXPECT_THAT(read_one(), HasSubstr("NSRELAY_RULE=first\n"));
  EXPECT_THAT(read_one(), HasSubstr("NSRELAY_RULE=second\n"));
  EXPECT_EQ((*sink)->dropped(), 0U);
}

TEST_F(JournalSinkTest, SaysWhereNobodyListens) {
  reader_.close();
  auto refused = JournalSink::create(path_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(), path_ + ": Connection refused");
  auto absent = JournalSink::create(folder_ + "/absent");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().message(), folder_ + "/absent: No such file or directory");
}

TEST(JournalStream, IsTheOneThatSystemdNames) {
  struct stat info {};
  ASSERT_EQ(::fstat(2, &info), 0);
  const std::string right = std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
  EXPECT_TRUE(is_journal_stream(right.c_str(), 2));
  EXPECT_FALSE(is_journal_stream(nullptr, 2));
  EXPECT_FALSE(is_journal_stream("", 2));
  EXPECT_FALSE(is_journal_stream((right + "1").c_str(), 2));
  EXPECT_FALSE(is_journal_stream(right.c_str(), -1));
}

class LogTargetTest : public JournalSinkTest {
 protected:
  LogTargetTest() {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    pipe_reader_ = UniqueFd::adopt(ends[0]);
    pipe_writer_ = UniqueFd::adopt(ends[1]);
  }
  [[nodiscard]] std::string stderr_text() {
    pipe_writer_.close();
    std::string text(65536, '\0');
    const ssize_t count = ::read(pipe_reader_.get(), text.data(), text.size());
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
  }

  UniqueFd pipe_reader_;
  UniqueFd pipe_writer_;
};

TEST_F(LogTargetTest, ChangesBothWays) {
  {
    Log log(LogLevel::Info, pipe_writer_.get());
    EXPECT_TRUE(log.set_target(LogTarget::Journal, path_));
    log.write({.event = kEvent, .rule = "one"});
    log.flush();
    EXPECT_TRUE(log.set_target(LogTarget::Stderr, path_));
    log.write({.event = kEvent, .rule = "two"});
  }
  EXPECT_THAT(read_one(), HasSubstr("NSRELAY_RULE=one\n"));
  EXPECT_EQ(read_one(), "");
  const std::string text = stderr_text();
  EXPECT_THAT(text, HasSubstr("rule=two"));
  EXPECT_THAT(text, Not(HasSubstr("rule=one")));
}

TEST_F(LogTargetTest, FallsBackToStderrWithoutAJournal) {
  {
    Log log(LogLevel::Info, pipe_writer_.get());
    EXPECT_FALSE(log.set_target(LogTarget::Journal, folder_ + "/absent"));
    log.write({.event = kEvent, .rule = "one"});
  }
  EXPECT_THAT(stderr_text(), HasSubstr("rule=one"));
}

TEST_F(LogTargetTest, AutoIsTheJournalWhereStderrIsItsStream) {
  struct stat info {};
  ASSERT_EQ(::fstat(pipe_writer_.get(), &info), 0);
  const std::string stream = std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
  Log log(LogLevel::Info, pipe_writer_.get());
  ::setenv("JOURNAL_STREAM", stream.c_str(), 1);
  EXPECT_TRUE(log.set_target(LogTarget::Auto, path_));
  ::unsetenv("JOURNAL_STREAM");
  log.write({.event = kEvent, .rule = "one"});
  log.flush();
  EXPECT_THAT(read_one(), HasSubstr("NSRELAY_RULE=one\n"));
  EXPECT_TRUE(log.set_target(LogTarget::Auto, path_));
  log.write({.event = kEvent, .rule = "two"});
  log.flush();
  EXPECT_EQ(read_one(), "");
}

}  // namespace
}  // namespace nsrelay
