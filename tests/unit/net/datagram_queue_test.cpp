#include "nsrelay/net/datagram_queue.hpp"

#include <gmock/gmock.h>

#include <memory>

#include "udp_test_support.hpp"

namespace nsrelay {
namespace {

std::vector<std::string> content(const DatagramQueue& queue) {
  const auto sender = std::make_unique<DatagramSender>();
  queue.add_to(*sender);
  std::vector<std::string> texts;
  sender->for_each_rest([&](const DatagramRun& run) { texts.push_back(text_of(run)); });
  return texts;
}

TEST(DatagramQueue, KeepsCopiesInOrderEmptyOnesToo) {
  DatagramQueue::Budget budget;
  DatagramQueue queue(budget);
  std::string text = "first";
  EXPECT_TRUE(queue.push(run_of(text)));
  text = "xxxxx";
  EXPECT_TRUE(queue.push(run_of("")));
  EXPECT_TRUE(queue.push(run_of("abc", 1)));
  EXPECT_THAT(content(queue), testing::ElementsAre("first", "", "abc"));
  EXPECT_EQ(queue.count(), 5U);
}

TEST(DatagramQueue, HoldsAWholeBatchOfTheLongestAndNoMore) {
  DatagramQueue::Budget budget;
  DatagramQueue queue(budget);
  const std::string longest(65507, 'x');
  for (std::size_t i = 0; i < DatagramSender::kMost; ++i)
    EXPECT_TRUE(queue.push(run_of(longest)));
  EXPECT_FALSE(queue.push(run_of("")));
  EXPECT_EQ(queue.count(), DatagramSender::kMost);
}

TEST(DatagramQueue, BudgetBoundsAllQueuesTogetherAndIsGivenBack) {
  DatagramQueue::Budget budget{100};
  {
    DatagramQueue one(budget);
    DatagramQueue other(budget);
    EXPECT_TRUE(one.push(run_of("sixty bytes sixty bytes sixty bytes sixty bytes sixty bytes.")));
    EXPECT_FALSE(other.push(run_of("ten bytes.")));
    EXPECT_TRUE(other.push(run_of("")));
    EXPECT_FALSE(other.push(run_of("")));
  }
  EXPECT_EQ(budget.left, 100U);
}

}  // namespace
}  // namespace nsrelay
