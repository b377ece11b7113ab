#include "nsrelay/relay/message_step.hpp"

#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <string>
#include <vector>

namespace nsrelay {
namespace {

using enum PeerState;
using Step = MessageStep;

constexpr PeerState kPeers[] = {Open, ShutDown, Gone, Failed};

std::vector<MessageFlow> every_flow() {
  std::vector<MessageFlow> flows;
  for (const PeerState source : kPeers)
    for (const PeerState sink : kPeers)
      for (unsigned bits = 0; bits < 32; ++bits)
        flows.push_back({source, sink, (bits & 1U) != 0, (bits & 2U) != 0, (bits & 4U) != 0,
                         (bits & 8U) != 0, (bits & 16U) != 0});
  return flows;
}

std::string show(const MessageFlow& flow) {
  std::string text = "source " + std::to_string(static_cast<int>(flow.source)) + ", sink " +
                     std::to_string(static_cast<int>(flow.sink));
  text += flow.source_readable ? ", readable" : "";
  text += flow.sink_writable ? ", writable" : "";
  text += flow.sink_refuses ? ", refuses" : "";
  text += flow.has_pending ? ", pending" : "";
  text += flow.end_forwarded ? ", end forwarded" : "";
  return text;
}

bool sink_takes(const MessageFlow& flow) {
  return flow.sink == Open && !flow.sink_refuses && !flow.end_forwarded;
}

template <class Promise>
void holds_for_every(Promise promise) {
  for (const MessageFlow& flow : every_flow())
    EXPECT_TRUE(promise(flow, next_message_step(flow))) << show(flow);
}

TEST(NextMessageStep, ReadsNothingWhileAMessageIsPending) {
  holds_for_every([](const MessageFlow& flow, Step step) {
    return !flow.has_pending || (step != Step::Read && step != Step::ReadAndDrop);
  });
}

TEST(NextMessageStep, DeliversOnlyWhatIsPendingToWhoTakesIt) {
  holds_for_every([](const MessageFlow& flow, Step step) {
    const bool may = flow.has_pending && sink_takes(flow) && flow.sink_writable;
    return (step == Step::Deliver) == may;
  });
}

TEST(NextMessageStep, GivesUpAMessageOnlyWhereNobodyTakesIt) {
  holds_for_every([](const MessageFlow& flow, Step step) {
    const bool gives_up = step == Step::Drop || step == Step::ReadAndDrop;
    return !gives_up || !sink_takes(flow);
  });
}

TEST(NextMessageStep, ForwardsAnEndOnceAndBehindEveryMessage) {
  holds_for_every([](const MessageFlow& flow, Step step) {
    if (step != Step::ForwardShutdown && step != Step::ForwardAbort)
      return true;
    return flow.source != Open && !flow.has_pending && sink_takes(flow);
  });
}

TEST(NextMessageStep, ForwardsAnAbortAsAnAbortAndAShutdownAsAShutdown) {
  holds_for_every([](const MessageFlow& flow, Step step) {
    return (step != Step::ForwardAbort || flow.source == Failed) &&
           (step != Step::ForwardShutdown || flow.source == ShutDown || flow.source == Gone);
  });
}

TEST(NextMessageStep, ListensToAPeerThatShutDownUntilItIsGone) {
  EXPECT_EQ(next_message_step({.source = ShutDown, .source_readable = true}), Step::Read);
  EXPECT_EQ(next_message_step({.source = ShutDown, .sink = Gone, .source_readable = true}),
            Step::ReadAndDrop);
  EXPECT_EQ(next_message_step({.source = Gone, .source_readable = true, .end_forwarded = true}),
            Step::Finished);
  EXPECT_EQ(next_message_step({.source = Failed, .source_readable = true, .end_forwarded = true}),
            Step::Finished);
}

TEST(NextMessageStep, WaitsOnlyForAnEventThatWillCome) {
  holds_for_every([](const MessageFlow& flow, Step step) {
    const bool for_sink = flow.has_pending && sink_takes(flow) && !flow.sink_writable;
    const bool for_source = !flow.has_pending && flow.source == Open && !flow.source_readable;
    return (step == Step::Wait) == (for_sink || for_source);
  });
}

TEST(WantedSctpEvents, AskForRoomOnlyWhileAMessageWaitsForIt) {
  EXPECT_EQ(wanted_sctp_events(false, false), std::uint32_t{EPOLLIN} | EPOLLET);
  EXPECT_EQ(wanted_sctp_events(true, false), std::uint32_t{EPOLLIN} | EPOLLOUT | EPOLLET);
}

TEST(WantedSctpEvents, LeaveOutWhatArrivesAtASideThatIsMuted) {
  EXPECT_EQ(wanted_sctp_events(false, true), std::uint32_t{EPOLLET});
  EXPECT_EQ(wanted_sctp_events(true, true), std::uint32_t{EPOLLOUT} | EPOLLET);
}

}  // namespace
}  // namespace nsrelay
