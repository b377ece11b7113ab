#include "top_view.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsrelay {
namespace {

using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;
using std::chrono::seconds;

Json counts(std::uint64_t total, std::uint64_t received) {
  return {{"connections_active", 1},
          {"connections_total", total},
          {"connections_failed", 0},
          {"bytes_received", received},
          {"bytes_sent", 0}};
}

Json rule(const std::string& name, std::uint64_t total, std::uint64_t received) {
  Json json = counts(total, received);
  json["name"] = name;
  json["protocol"] = "tcp";
  return json;
}

Json status(const std::vector<Json>& rules, int pid = 7) {
  return {{"version", "1.2.3"},
          {"pid", pid},
          {"state", "running"},
          {"started", "then"},
          {"config", {{"file", "f"}}},
          {"totals", counts(0, 0)},
          {"rules", rules},
          {"namespaces", Json::array()}};
}

class TopViewTest : public testing::Test {
 protected:
  void show(const std::vector<Json>& rules, int pid = 7) {
    time_ += seconds(2);
    view_.update(status(rules, pid), time_);
  }
  std::string frame(std::size_t rows = 24, std::size_t columns = 120) {
    return view_.render({rows, columns});
  }
  /// Whether one stands above the other.
  bool is_above(const std::string& upper, const std::string& lower) {
    return frame().find(upper) < frame().find(lower);
  }

  TopView view_;
  TopView::Time time_{};
};

TEST_F(TopViewTest, RatesAreDifferencesPerSecond) {
  show({rule("web", 10, 1000)});
  EXPECT_THAT(frame(), HasSubstr("web   tcp            1    0.0     10       0     0 B/s  0 B/s"));
  show({rule("web", 15, 1000 + 4096)});
  EXPECT_THAT(frame(), HasSubstr("    2.5     15       0  2.0 KiB/s  0 B/s"));
}

TEST_F(TopViewTest, AnotherDaemonOrANewRuleBeginsWithoutRates) {
  show({rule("web", 10, 0)});
  show({rule("web", 5000, 0)}, 8);
  EXPECT_THAT(frame(), HasSubstr("    0.0   5000"));
  show({rule("web", 5000, 0), rule("new", 70, 0)}, 8);
  EXPECT_THAT(frame(), HasSubstr("    0.0     70"));
}

TEST_F(TopViewTest, CountersThatWentBackGiveNoRate) {
  show({rule("web", 10, 0)});
  show({rule("web", 3, 0)});
  EXPECT_THAT(frame(), HasSubstr("    0.0      3"));
}

TEST_F(TopViewTest, SortsAsItIsTold) {
  show({rule("zebra", 0, 0), rule("ape", 0, 0)});
  show({rule("zebra", 4, 10), rule("ape", 2, 20)});
  EXPECT_TRUE(is_above("zebra", "ape"));  // as in the file
  view_.on_key('n');
  EXPECT_TRUE(is_above("ape", "zebra"));
  view_.on_key('c');
  EXPECT_TRUE(is_above("zebra", "ape"));
  view_.on_key('r');
  EXPECT_TRUE(is_above("ape", "zebra"));
  view_.on_key('f');
  EXPECT_TRUE(is_above("zebra", "ape"));
}

TEST_F(TopViewTest, FillsTheTerminalExactly) {
  show({rule("web", 0, 0)});
  for (const std::size_t rows : {1U, 2U, 3U, 4U, 10U, 100U}) {
    const std::string text = frame(rows, 20);
    std::size_t lines = 1;
    for (std::size_t at = text.find("\r\n"); at != std::string::npos;
         at = text.find("\r\n", at + 1))
      ++lines;
    EXPECT_EQ(lines, rows);
  }
}

TEST_F(TopViewTest, ScrollsWithinWhatThereIs) {
  std::vector<Json> rules;
  for (int i = 10; i < 40; ++i)
    rules.push_back(rule("r" + std::to_string(i), 0, 0));
  show(rules);
  EXPECT_THAT(frame(10), testing::AllOf(HasSubstr("r10"), Not(HasSubstr("r39"))));
  for (int i = 0; i < 100; ++i)
    view_.on_key(key::kPageDown);
  EXPECT_THAT(frame(10), HasSubstr("NAMESPACE"));  // the last line is the last of the screen
  view_.on_key(key::kHome);
  view_.on_key(key::kUp);
  view_.on_key(key::kDown);
  EXPECT_THAT(frame(10), testing::AllOf(HasSubstr("r10"), Not(HasSubstr("RULE"))));
}

TEST_F(TopViewTest, ShowsNoControlCharactersAndCutsBetweenCharacters) {
  show({rule("a\033[31m", 0, 0), rule("\u00e4\u00f6\u00fc", 0, 0)});
  EXPECT_THAT(frame(), HasSubstr("a?[31m"));
  EXPECT_THAT(frame(24, 3), HasSubstr("  \u00e4\033"));
}

TEST_F(TopViewTest, AnErrorStandsAboveWhatWasLastKnown) {
  view_.set_error("no daemon");
  EXPECT_THAT(frame(), HasSubstr("no daemon"));
  show({rule("web", 0, 0)});
  view_.set_error("gone");
  EXPECT_THAT(frame(), testing::AllOf(HasSubstr("gone"), HasSubstr("web")));
}

TEST_F(TopViewTest, LeavesOnQAndControlC) {
  EXPECT_FALSE(view_.on_key('q'));
  EXPECT_FALSE(view_.on_key('\003'));
  EXPECT_TRUE(view_.on_key('x'));
}

TEST(KeyReaderTest, ReadsSequencesHoweverTheyAreCut) {
  KeyReader keys;
  EXPECT_THAT(keys.read("a\033[A\033OBq"), testing::ElementsAre('a', key::kUp, key::kDown, 'q'));
  EXPECT_THAT(keys.read("\033["), testing::IsEmpty());
  EXPECT_THAT(keys.read("6"), testing::IsEmpty());
  EXPECT_THAT(keys.read("~\033[5~\033[H\033[4~"),
              testing::ElementsAre(key::kPageDown, key::kPageUp, key::kHome, key::kEnd));
}

TEST(KeyReaderTest, DropsWhatItDoesNotKnow) {
  KeyReader keys;
  EXPECT_THAT(keys.read("\033[1;5C\033x\033\033[Bq"), testing::ElementsAre(key::kDown, 'q'));
}

}  // namespace
}  // namespace nsrelay
