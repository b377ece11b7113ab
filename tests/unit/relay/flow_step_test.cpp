#include "nsrelay/relay/flow_step.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace nsrelay {
namespace {

/// A state as seven letters in the order of FlowState: `1` set, `0` not, in a rule `.` either.
std::string letters_of(const FlowState& flow) {
  std::string letters;
  for (const bool flag :
       {flow.source_readable, flow.source_at_end, flow.source_failed, flow.sink_writable,
        flow.sink_failed, flow.has_pending, flow.fin_forwarded})
    letters += flag ? '1' : '0';
  return letters;
}

FlowState state_of(unsigned bits) {
  return {.source_readable = (bits & 1U) != 0,
          .source_at_end = (bits & 2U) != 0,
          .source_failed = (bits & 4U) != 0,
          .sink_writable = (bits & 8U) != 0,
          .sink_failed = (bits & 16U) != 0,
          .has_pending = (bits & 32U) != 0,
          .fin_forwarded = (bits & 64U) != 0};
}

struct Rule {
  const char* pattern;
  FlowStep step;
  const char* promise;
};

// source_readable, source_at_end, source_failed, sink_writable, sink_failed, has_pending,
// fin_forwarded. No two patterns meet, so their order says nothing.
constexpr std::array<Rule, 9> kRules = {{
    {"....1..", FlowStep::Abandoned, "a dead sink ends everything"},
    {"...101.", FlowStep::Deliver, "what is pending goes first"},
    {"...001.", FlowStep::Wait, "nothing is read while the sink takes nothing"},
    {".11.00.", FlowStep::Drained, "a reset is passed on behind the last byte"},
    {".10.000", FlowStep::SendFin, "a FIN is passed on behind the last byte"},
    {".10.001", FlowStep::Finished, "a FIN is passed on once"},
    {"10..000", FlowStep::Read, "what may be there is read, after a failure too"},
    {"00..000", FlowStep::Wait, "nothing is there"},
    {".0..001", FlowStep::Finished, "nothing is read behind a FIN"},
}};

bool matches(const std::string& letters, const char* pattern) {
  for (std::size_t i = 0; i < letters.size(); ++i)
    if (pattern[i] != '.' && pattern[i] != letters[i])
      return false;
  return true;
}

TEST(NextStep, FollowsItsRulesInEveryState) {
  for (unsigned bits = 0; bits < 128; ++bits) {
    const FlowState flow = state_of(bits);
    const std::string letters = letters_of(flow);
    int matching = 0;
    for (const Rule& rule : kRules) {
      if (!matches(letters, rule.pattern))
        continue;
      ++matching;
      EXPECT_EQ(next_step(flow), rule.step) << letters << ": " << rule.promise;
    }
    EXPECT_EQ(matching, 1) << letters << " is in none or several of the rules above";
  }
}

TEST(NextStep, NeverReadsPastPendingBytes) {
  for (unsigned bits = 0; bits < 128; ++bits) {
    const FlowState flow = state_of(bits);
    const bool reads = next_step(flow) == FlowStep::Read;
    EXPECT_FALSE(reads && flow.has_pending) << letters_of(flow);
  }
}

TEST(NextStep, NeverLetsAFinOrAResetOvertakeBytes) {
  for (unsigned bits = 0; bits < 128; ++bits) {
    const FlowState flow = state_of(bits);
    const FlowStep step = next_step(flow);
    if (flow.has_pending || !flow.source_at_end) {
      EXPECT_NE(step, FlowStep::SendFin) << letters_of(flow);
      EXPECT_NE(step, FlowStep::Drained) << letters_of(flow);
    }
  }
}

}  // namespace
}  // namespace nsrelay
