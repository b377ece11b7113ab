#include "nsrelay/telemetry/log_record.hpp"

#include <gtest/gtest.h>

namespace nsrelay {
namespace {

constexpr LogEvent kEvent = {"thing_done", "thing done"};

/// A record with one field of its own, of which the value is `value`.
std::string with_value(std::string_view value) {
  return format_as_text({.event = kEvent, .more = {{"key", std::string(value)}}});
}

TEST(FormatAsText, HasEveryFieldInItsPlace) {
  EXPECT_EQ(format_as_text({.event = log_event::kConnectionClosed,
                            .rule = "web",
                            .netns = "blue",
                            .protocol = "tcp",
                            .client = "192.0.2.1:5000",
                            .listener = "0.0.0.0:80",
                            .upstream = "10.0.0.5:80",
                            .received = 12,
                            .sent = 18446744073709551615U,
                            .duration = std::chrono::milliseconds(1500),
                            .reason = "client_closed",
                            .more = {{"first", "1"}, {"second", "2"}}}),
            "connection closed event=connection_closed rule=web netns=blue protocol=tcp "
            "client=192.0.2.1:5000 listener=0.0.0.0:80 upstream=10.0.0.5:80 received=12 "
            "sent=18446744073709551615 duration=1500000 reason=client_closed first=1 second=2");
}

TEST(FormatAsText, LeavesAbsentFieldsOut) {
  EXPECT_EQ(format_as_text({.event = kEvent}), "thing done event=thing_done");
  EXPECT_EQ(with_value(""), "thing done event=thing_done");
}

TEST(FormatAsText, PrintsZeroBytesAndNoTimeWhichAreNotAbsent) {
  EXPECT_EQ(
      format_as_text(
          {.event = kEvent, .received = 0, .sent = 0, .duration = std::chrono::microseconds(0)}),
      "thing done event=thing_done received=0 sent=0 duration=0");
}

TEST(FormatAsText, QuotesWhatWouldNotReadAsOneWord) {
  EXPECT_EQ(with_value("plain/word:1"), "thing done event=thing_done key=plain/word:1");
  EXPECT_EQ(with_value("two words"), R"(thing done event=thing_done key="two words")");
  EXPECT_EQ(with_value("a=b"), R"(thing done event=thing_done key="a=b")");
}

TEST(FormatAsText, EscapesQuotesAndBackslashes) {
  EXPECT_EQ(with_value(R"(say "hi")"), R"(thing done event=thing_done key="say \"hi\"")");
  EXPECT_EQ(with_value(R"(back\slash)"), R"(thing done event=thing_done key="back\\slash")");
}

TEST(FormatAsText, NeverLetsAValueBreakTheLineOrTheTerminal) {
  EXPECT_EQ(with_value("two\nlines"), R"(thing done event=thing_done key="two\nlines")");
  EXPECT_EQ(with_value("\x1b[31m\t\r\x7f"),
            R"(thing done event=thing_done key="\x1b[31m\x09\x0d\x7f")");
  EXPECT_EQ(with_value(std::string_view("\0", 1)), R"(thing done event=thing_done key="\x00")");
}

TEST(FormatAsText, LeavesLettersOfOtherLanguagesAlone) {
  EXPECT_EQ(with_value("größe"), "thing done event=thing_done key=größe");
}

TEST(LogLevel, HasTheNamesThatTheConfigurationUses) {
  EXPECT_EQ(to_string(LogLevel::Trace), "trace");
  EXPECT_EQ(to_string(LogLevel::Debug), "debug");
  EXPECT_EQ(to_string(LogLevel::Info), "info");
  EXPECT_EQ(to_string(LogLevel::Warn), "warn");
  EXPECT_EQ(to_string(LogLevel::Error), "error");
}

}  // namespace
}  // namespace nsrelay
