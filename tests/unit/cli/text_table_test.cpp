#include "text_table.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace nsrelay {
namespace {

std::string printed(const TextTable& table, bool colour = false) {
  std::ostringstream out;
  table.print(out, colour);
  return out.str();
}

TEST(TextTable, AlignsItsColumnsAndLeavesNoSpaceAtTheEnd) {
  TextTable table({"name", "state"});
  table.add({"a", "listening"});
  table.add({"longer", "ok"});
  EXPECT_EQ(printed(table),
            "  name    state\n"
            "  a       listening\n"
            "  longer  ok\n");
}

TEST(TextTable, AlignsNumbersToTheRight) {
  TextTable table({"name", "bytes"});
  table.align_right(1);
  table.add({"a", "1"});
  table.add({"b", "1234567"});
  EXPECT_EQ(printed(table),
            "  name    bytes\n"
            "  a           1\n"
            "  b     1234567\n");
}

TEST(TextTable, WithoutRowsIsItsHeading) {
  EXPECT_EQ(printed(TextTable({"name"})), "  name\n");
}

TEST(TextTable, TakesEmptyCells) {
  TextTable table({"a", "b", "c"});
  table.add({"", "x", ""});
  EXPECT_EQ(printed(table), "  a  b  c\n     x\n");
}

TEST(TextTable, EmphasisesOnlyTheHeadingAndOnlyOnATerminal) {
  TextTable table({"name"});
  table.add({"row"});
  EXPECT_EQ(printed(table, true), "\033[1m  name\033[0m\n  row\n");
}

}  // namespace
}  // namespace nsrelay
