#include "nsrelay/telemetry/prometheus_text.hpp"

#include <gtest/gtest.h>

#include <string>

namespace nsrelay {
namespace {

TEST(PrometheusText, AFamilyBeginsWithHelpAndType) {
  std::string out;
  append_family(out, "a_total", MetricType::Counter, "What it counts.");
  append_family(out, "b", MetricType::Gauge, "A level.");
  append_family(out, "c", MetricType::Histogram, "Times.");
  EXPECT_EQ(out,
            "# HELP a_total What it counts.\n# TYPE a_total counter\n"
            "# HELP b A level.\n# TYPE b gauge\n"
            "# HELP c Times.\n# TYPE c histogram\n");
}

TEST(PrometheusText, ASampleHasTheLabelsThatThereAre) {
  std::string out;
  append_sample(out, "a", "", "", std::uint64_t{1});
  append_sample(out, "a", R"(x="1")", "", std::uint64_t{18446744073709551615U});
  append_sample(out, "a", "", R"(y="2")", 0.25);
  append_sample(out, "a", R"(x="1")", R"(y="2")", 1e-4);
  EXPECT_EQ(out,
            "a 1\na{x=\"1\"} 18446744073709551615\na{y=\"2\"} 0.25\na{x=\"1\",y=\"2\"} 0.0001\n");
}

struct LabelCase {
  std::string value;
  std::string wanted;
};

class LabelValue : public testing::TestWithParam<LabelCase> {};

TEST_P(LabelValue, IsEscapedSoThatThePageStaysValid) {
  std::string labels;
  append_label(labels, "netns", GetParam().value);
  EXPECT_EQ(labels, "netns=\"" + GetParam().wanted + "\"");
}

INSTANTIATE_TEST_SUITE_P(
    All, LabelValue,
    testing::Values(LabelCase{"", ""}, LabelCase{"ns-1", "ns-1"},
                    LabelCase{"a\"b\\c\nd", R"(a\"b\\c\nd)"},
                    LabelCase{"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
                              "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"},
                    LabelCase{"\xff", R"(\\xff)"}, LabelCase{"a\xc3", R"(a\\xc3)"},
                    LabelCase{"\xc0\xaf", R"(\\xc0\\xaf)"},                    // overlong
                    LabelCase{"\xed\xa0\x80", R"(\\xed\\xa0\\x80)"},           // a surrogate
                    LabelCase{"\xf4\x90\x80\x80", R"(\\xf4\\x90\\x80\\x80)"},  // beyond Unicode
                    LabelCase{"\xe2\x82z", R"(\\xe2\\x82z)"}));

TEST(PrometheusText, LabelsAreSeparatedByCommas) {
  std::string labels;
  append_label(labels, "a", "1");
  append_label(labels, "b", "2");
  EXPECT_EQ(labels, R"(a="1",b="2")");
}

}  // namespace
}  // namespace nsrelay
