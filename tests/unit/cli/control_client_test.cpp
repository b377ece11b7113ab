#include "control_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "human_text.hpp"

namespace nsrelay {
namespace {

using testing::HasSubstr;

const std::string kHead = "HTTP/1.1 200 OK\r\nServer: nsrelay/0.1.0\r\nConnection: close\r\n\r\n";

TEST(ParseAnswer, ReadsStatusAndDocument) {
  const auto answer = parse_answer(kHead + "{\"a\":1}\n");
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ(answer->status, 200);
  EXPECT_TRUE(answer->is_ok());
  EXPECT_EQ(answer->text, "{\"a\":1}\n");
  EXPECT_EQ(answer->content["a"], 1);
}

TEST(ParseAnswer, GivesTheErrorOfTheDaemon) {
  const auto answer =
      parse_answer("HTTP/1.0 404 Not Found\r\nServer: nsrelay/2\r\n\r\n{\"error\":\"no x\"}");
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->is_ok());
  EXPECT_EQ(answer->error(), "no x");
  EXPECT_EQ(parse_answer("HTTP/1.0 500 X\r\nServer: nsrelay/2\r\n\r\n[]")->error(),
            "HTTP status 500");
}

TEST(ParseAnswer, SaysWhatIsWrongWithAnyOther) {
  EXPECT_THAT(parse_answer("").error().message(), HasSubstr("has it stopped?"));
  EXPECT_THAT(parse_answer("220 mail ESMTP\r\n").error().message(), HasSubstr("not nsrelay"));
  EXPECT_THAT(parse_answer("HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n{}").error().message(),
              HasSubstr("not nsrelay"));
  EXPECT_THAT(parse_answer(kHead + "[{\"a\":").error().message(), HasSubstr("cut short"));
  EXPECT_THAT(parse_answer(kHead).error().message(), HasSubstr("cut short"));
}

TEST(PercentEncoded, LeavesLettersAndDigits) {
  EXPECT_EQ(percent_encoded("aZ9"), "aZ9");
  EXPECT_EQ(percent_encoded("a&b=c d/\xc3\xa4%"), "a%26b%3Dc%20d%2F%C3%A4%25");
}

TEST(HumanText, Bytes) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(200.0 * 1024 * 1024), "200 MiB");
  EXPECT_EQ(human_bytes(1.8e19), "15987 PiB");
}

TEST(HumanText, Ages) {
  EXPECT_EQ(human_age(0.44), "0.4s");
  EXPECT_EQ(human_age(59.9), "59s");
  EXPECT_EQ(human_age(245), "4m05s");
  EXPECT_EQ(human_age(3 * 3600 + 7 * 60), "3h07m");
  EXPECT_EQ(human_age(52 * 3600), "2d4h");
}

TEST(HumanText, NeverHasControlCharacters) {
  EXPECT_EQ(printable("a\033[2Jb\n\x7f\xc3\xa4"), "a?[2Jb??\xc3\xa4");
}

}  // namespace
}  // namespace nsrelay
