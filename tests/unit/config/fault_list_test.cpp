#include "fault_list.hpp"

#include <gmock/gmock.h>

namespace nsrelay {
namespace {

TEST(FaultList, IsInFileOrderWithoutRepetitions) {
  FaultList faults;
  faults.add({2, 1}, "late");
  faults.add({1, 9}, "early");
  faults.add({1, 10}, "middle");
  faults.add({2, 1}, "late");
  std::vector<std::string> texts;
  for (const ConfigFault& fault : faults.take())
    texts.push_back(format_fault("rules.yaml", fault));
  EXPECT_THAT(texts,
              testing::ElementsAre("rules.yaml:1:9: error: early", "rules.yaml:1:10: error: middle",
                                   "rules.yaml:2:1: error: late"));
}

TEST(FormatFault, OfAWholeFileHasNoPlace) {
  EXPECT_EQ(format_fault("x.yaml", {0, 0, "Is a directory"}), "x.yaml: error: Is a directory");
}

TEST(Quoted, IsAlwaysOneShortLine) {
  EXPECT_EQ(in_quotes("a b"), "'a b'");
  EXPECT_EQ(in_quotes("a\nb\x7f"), "'a\\x0ab\\x7f'");
  const std::string most(119, 'x');
  EXPECT_EQ(in_quotes(most + "yz"), std::string("'").append(most).append("y…'"));
  EXPECT_EQ(in_quotes(most + "\xc3\xa4"), std::string("'").append(most).append("…'"));
}

}  // namespace
}  // namespace nsrelay
