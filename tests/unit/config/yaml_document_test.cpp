#include "yaml_document.hpp"

#include <gmock/gmock.h>

namespace nsrelay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::string_literals;

struct Parsed {
  YamlDocument document;
  std::vector<std::string> faults;
};

Parsed parse(std::string_view text) {
  FaultList list;
  Parsed parsed{parse_yaml(text, list), {}};
  for (const ConfigFault& fault : list.take())
    parsed.faults.push_back(format_fault("f", fault));
  return parsed;
}

std::string repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i)
    out += text;
  return out;
}

TEST(YamlDocument, EveryNodeKnowsItsPlaceInBytes) {
  const auto parsed = parse("first: 1\n\"zw\xc3\xb6lf\": {\xc3\xa4: [x, y]}\n");
  ASSERT_THAT(parsed.faults, IsEmpty());
  const auto& entries = parsed.document.root->entries;
  EXPECT_EQ(entries[0].value->position, (Position{1, 8}));
  EXPECT_EQ(entries[1].key->position, (Position{2, 1}));
  const YamlNode& list = *entries[1].value->entries[0].value;
  EXPECT_EQ(list.position, (Position{2, 16}));
  EXPECT_EQ(list.items[1]->position, (Position{2, 20}));
}

TEST(YamlDocument, AScalarKnowsWhetherItWasQuoted) {
  const auto parsed = parse("[plain, \"double\", 'single', \"\"]");
  const auto& items = parsed.document.root->items;
  EXPECT_FALSE(items[0]->quoted);
  EXPECT_TRUE(items[1]->quoted);
  EXPECT_TRUE(items[2]->quoted);
  EXPECT_TRUE(items[3]->quoted);
  EXPECT_EQ(items[3]->kind, YamlNode::Kind::Scalar);
}

TEST(YamlDocument, AMissingValueIsAtItsKey) {
  const auto parsed = parse("a:\nb: ~\nc:   # nothing\n\nd: null\n");
  const auto& entries = parsed.document.root->entries;
  EXPECT_EQ(entries[0].value->position, (Position{1, 1}));
  EXPECT_EQ(entries[1].value->position, (Position{2, 4}));
  EXPECT_EQ(entries[2].value->position, (Position{3, 1}));
  EXPECT_EQ(entries[3].value->position, (Position{5, 4}));
  for (const auto& entry : entries)
    EXPECT_EQ(entry.value->kind, YamlNode::Kind::Null);
}

TEST(YamlDocument, AnAliasIsTheNodeOfItsAnchor) {
  const auto parsed = parse("a: &x [1, 2]\nb: *x\n");
  ASSERT_THAT(parsed.faults, IsEmpty());
  EXPECT_EQ(parsed.document.root->find("a"), parsed.document.root->find("b"));
}

TEST(YamlDocument, NothingOrOnlyCommentsIsANullRoot) {
  for (const std::string_view text : {"", "\n\n", "# only a comment\n", "---\n", "\xef\xbb\xbf"}) {
    const auto parsed = parse(text);
    ASSERT_NE(parsed.document.root, nullptr) << text;
    EXPECT_EQ(parsed.document.root->kind, YamlNode::Kind::Null) << text;
    EXPECT_THAT(parsed.faults, IsEmpty()) << text;
  }
}

TEST(YamlDocument, AByteOrderMarkAndCarriageReturnsAreAccepted) {
  const auto parsed = parse(
      "\xef\xbb\xbf"
      "a: 1\r\nb: 2\r\n");
  ASSERT_THAT(parsed.faults, IsEmpty());
  EXPECT_EQ(parsed.document.root->find("b")->text, "2");
}

TEST(YamlDocument, DuplicateKeysAreAllFoundAndTheFirstHolds) {
  const auto parsed = parse("a: 1\nb: 2\na: 3\n'a': 4\n");
  EXPECT_THAT(parsed.faults, ElementsAre("f:3:1: error: duplicate key 'a' (first at line 1)",
                                         "f:4:1: error: duplicate key 'a' (first at line 1)"));
  EXPECT_EQ(parsed.document.root->find("a")->text, "1");
}

struct Refused {
  std::string text;
  std::string fault;
};

void PrintTo(const Refused& refused, std::ostream* out) {
  *out << refused.text.substr(0, 40);
}

class RefusedText : public testing::TestWithParam<Refused> {};

TEST_P(RefusedText, IsOneFaultWithItsPlace) {
  EXPECT_THAT(parse(GetParam().text).faults, ElementsAre(GetParam().fault));
}

const std::string kStar =
    "; text that begins with '*' must be quoted, for example \"*:8000\" or \"*\"";

INSTANTIATE_TEST_SUITE_P(
    Encoding, RefusedText,
    testing::Values(Refused{"a: 1\nb: x\0y\n"s, "f:2:5: error: a NUL byte is not allowed"},
                    Refused{"a: \"x\\0y\"\n", "f:1:4: error: a NUL byte is not allowed"},
                    Refused{"a: \xff\n", "f:1:4: error: not valid UTF-8"},
                    Refused{"a: \xc0\xaf\n", "f:1:4: error: not valid UTF-8"},
                    Refused{"\xc3\xa4: \xed\xa0\x80\n", "f:1:5: error: not valid UTF-8"},
                    Refused{"a: \xf4\x90\x80\x80\n", "f:1:4: error: not valid UTF-8"},
                    Refused{"a: \xe2\x82", "f:1:4: error: not valid UTF-8"},
                    Refused{"\xff\xfe"
                            "a\0"s,
                            "f:1:1: error: not valid UTF-8"},
                    Refused{"a: b\x04"
                            "c\n",
                            "f:1:5: error: the control character '\\x04' is not allowed"}));

INSTANTIATE_TEST_SUITE_P(
    Syntax, RefusedText,
    testing::Values(
        Refused{"a: b: c\n", "f:1:5: error: not valid YAML: illegal map value"},
        Refused{"a: [1\n",
                "f:2:1: error: not valid YAML: end of sequence flow not found; check the brackets, "
                "and quote text that holds one"},
        Refused{"a: [::1]:80\nb: 1\n",
                "f:1:9: error: not valid YAML: end of map not found; check the indentation, and "
                "quote text that begins with '[' or '{'"},
        Refused{"a: \"b", "f:1:6: error: not valid YAML: illegal EOF in scalar"},
        Refused{"a: 1\nb: \"c\nd: 2\n",
                "f:2:4: error: not valid YAML: the quote that begins here is never closed"},
        Refused{"a: ['it''s', 'b]\nd: 2\n",
                "f:1:14: error: not valid YAML: the quote that begins here is never closed"},
        Refused{"\"a\\\": 1\n",
                "f:1:1: error: not valid YAML: the quote that begins here is never closed"},
        Refused{"a:\n\tb: c\n", "f:2:3: error: not valid YAML: illegal map value"},
        Refused{"a: \"\\ud800\"", "f:1:11: error: not valid YAML: invalid unicode: 55296"},
        Refused{"a: 1\n---\nb: 1\n", "f:2:1: error: a second YAML document is not allowed"},
        Refused{"a: 1\n...\nb: 1\n", "f:3:1: error: a second YAML document is not allowed"},
        Refused{"? [a]\n: b\n",
                "f:1:3: error: a key must be plain text, not a list; quote "
                "text that begins with '[' or '{'"},
        Refused{"a: !!str b\n",
                "f:1:4: error: YAML tags are not allowed ('tag:yaml.org,2002:str')"}));

INSTANTIATE_TEST_SUITE_P(
    UnquotedStar, RefusedText,
    testing::Values(
        Refused{"listen: *:8000\n",
                "f:1:9: error: not valid YAML: the referenced anchor is not defined" + kStar},
        Refused{"netns: *\n", "f:1:8: error: not valid YAML: alias not found after *" + kStar},
        Refused{"netns: [a, *]\n",
                "f:1:12: error: not valid YAML: alias not found after *" + kStar}));

INSTANTIATE_TEST_SUITE_P(
    Size, RefusedText,
    testing::Values(
        Refused{repeat("[", 33) + repeat("]", 33), "f:1:33: error: nested deeper than 32 levels"},
        Refused{repeat("[", 100'000), "f:1:17: error: nested deeper than 32 levels"},
        Refused{repeat("- ", 100'000), "f:1:65: error: nested deeper than 32 levels"},
        Refused{"a: &a " + repeat("[", 16) + repeat("]", 16) + "\nb: " + repeat("[", 16) + "*a",
                "f:2:20: error: nested deeper than 32 levels"},
        Refused{"&a [1, *a]", "f:1:8: error: an alias may not refer to a node that contains it"},
        Refused{"a: [" + repeat("1,", 100'000) + "]",
                "f:1:200001: error: the file has more than 100000 nodes after aliases are written "
                "out"},
        Refused{"a: &a [1,1,1,1,1,1,1,1,1,1]\n"
                "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
                "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
                "f:5:29: error: the file has more than 100000 nodes after aliases are written "
                "out"}));

TEST(YamlDocument, QuotesThatAreClosedAreAccepted) {
  EXPECT_THAT(parse("\xef\xbb\xbf\"a\": \"b\"\r\n'c': 'it''s'\r\n").faults, IsEmpty());
  EXPECT_THAT(parse("a: \"\\\"\"\nb: \"two\n  lines\"\nc: 'x'").faults, IsEmpty());
  EXPECT_THAT(parse("a: |\n  \"not closed, and no quote\nb: >\n  'neither\n").faults, IsEmpty());
  EXPECT_THAT(parse("a: &x \"b\"\nc: [*x, \"d\"]\n").faults, IsEmpty());
}

TEST(YamlDocument, ThirtyTwoLevelsAndManyNodesAreAllowed) {
  EXPECT_THAT(parse(repeat("[", 32) + repeat("]", 32)).faults, IsEmpty());
  EXPECT_THAT(parse(repeat("- 1\n", 99'999)).faults, IsEmpty());
  EXPECT_THAT(parse(repeat("- {k: v}\n", 49'999)).faults, IsEmpty());
}

}  // namespace
}  // namespace nsrelay
