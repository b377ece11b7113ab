#include "nsrelay/daemon/drainer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nsrelay/relay/forwarded.hpp"
#include "support/sockets.hpp"

namespace nsrelay {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kHome = 1;
constexpr std::uint64_t kA = 2;
constexpr std::uint64_t kB = 3;
constexpr auto kPatience = Duration(30'000);

class DrainerTest : public testing::Test {
 protected:
  using Ended = std::vector<std::pair<std::string, Reason>>;

  /// What is forwarded, as far as the drainer is concerned.
  class Fake final : public Forwarded {
   public:
    Fake(DrainerTest& test, RuleRuntime& runtime, std::string name, std::uint64_t listener,
         std::uint64_t upstream)
        : test_(test),
          runtime_(runtime),
          listener_{std::move(name), listener, "", 0},
          upstream_(upstream) {}

    void end(Reason reason) override {
      test_.ended_.emplace_back(listener_.netns, reason);
      test_.loop_->destroy_later(test_.context_.connections().take(*this));
    }
    [[nodiscard]] const ListenerInfo& listener() const override { return listener_; }
    [[nodiscard]] RuleRuntime& runtime() const override { return runtime_; }
    [[nodiscard]] std::uint64_t upstream_cookie() const override { return upstream_; }
    [[nodiscard]] ForwardedStatus status() const override { return {}; }

   private:
    DrainerTest& test_;
    RuleRuntime& runtime_;
    ListenerInfo listener_;
    std::uint64_t upstream_;
  };

  static ForwardRule rule_with(OnNetnsDelete policy) {
    ForwardRule rule;
    rule.on_netns_delete = policy;
    return rule;
  }

  void add(OnNetnsDelete policy, const std::string& name, std::uint64_t listener,
           std::uint64_t upstream) {
    RuleRuntime& runtime = policy == OnNetnsDelete::Close   ? close_
                           : policy == OnNetnsDelete::Drain ? drain_
                                                            : keep_;
    context_.connections().add(std::make_unique<Fake>(*this, runtime, name, listener, upstream));
  }

  /// Lets the socket of a connection that has ended linger: its peer does not read.
  void linger(std::uint64_t netns, OnNetnsDelete policy) {
    test::SocketPair pair = test::make_tcp_pair();
    const std::string piece(std::size_t{64} * 1024, 'x');
    while (::send(pair.near.get(), piece.data(), piece.size(), MSG_NOSIGNAL) > 0) {
    }
    context_.lingering().take(std::move(pair.near), netns, policy);
    readers_.push_back(std::move(pair.far));
  }

  /// Moves the clock and lets the timers see it.
  void pass(seconds time) {
    time_ += time;
    loop_->run_once(Duration(0));
  }

  TimePoint time_{std::chrono::hours(1)};
  std::unique_ptr<EventLoop> loop_ = std::move(*EventLoop::create([this] { return time_; }));
  UniqueFd log_file_ = UniqueFd::adopt(::memfd_create("log", MFD_CLOEXEC));
  Log log_{LogLevel::Error, log_file_.get()};
  Ended ended_;
  std::vector<UniqueFd> readers_;  ///< of what lingers; they do not
  RuleRuntime close_{rule_with(OnNetnsDelete::Close)};
  RuleRuntime drain_{rule_with(OnNetnsDelete::Drain)};
  RuleRuntime keep_{rule_with(OnNetnsDelete::Keep)};
  RelayContext context_{*loop_, log_, PipePool::Limits{}};
  Drainer drainer_{context_, kPatience};
};

TEST_F(DrainerTest, CloseEndsAtOnceWhicheverSideIsGone) {
  add(OnNetnsDelete::Close, "listener", kA, kHome);
  add(OnNetnsDelete::Close, "upstream", kHome, kA);
  add(OnNetnsDelete::Close, "neither", kB, kHome);
  drainer_.end_orphans({kA});
  EXPECT_THAT(ended_, testing::UnorderedElementsAre(std::pair("listener", Reason::NetnsDeleted),
                                                    std::pair("upstream", Reason::NetnsDeleted)));
  EXPECT_EQ(context_.connections().size(), 1U);
}

TEST_F(DrainerTest, AnUpstreamThatIsNotConnectedYetIsInNoNamespace) {
  add(OnNetnsDelete::Close, "connecting", kHome, 0);
  drainer_.end_orphans({kA, kB});
  EXPECT_THAT(ended_, IsEmpty());
}

TEST_F(DrainerTest, DrainEndsWhenItsTimeIsOver) {
  add(OnNetnsDelete::Drain, "a", kA, kHome);
  drainer_.end_orphans({kA, kB});
  pass(seconds(29));
  EXPECT_THAT(ended_, IsEmpty());
  pass(seconds(1));
  EXPECT_THAT(ended_, ElementsAre(std::pair("a", Reason::Drained)));
}

TEST_F(DrainerTest, ALaterChangeDoesNotProlongADrain) {
  add(OnNetnsDelete::Drain, "a", kA, kHome);
  drainer_.end_orphans({kA, kB});
  pass(seconds(20));
  drainer_.end_orphans({kA, kB});
  pass(seconds(10));
  EXPECT_THAT(ended_, ElementsAre(std::pair("a", Reason::Drained)));
}

TEST_F(DrainerTest, EachNamespaceHasItsOwnTime) {
  add(OnNetnsDelete::Drain, "a", kA, kHome);
  add(OnNetnsDelete::Drain, "b", kHome, kB);
  drainer_.end_orphans({kA});
  pass(seconds(20));
  drainer_.end_orphans({kB});
  pass(seconds(10));
  EXPECT_THAT(ended_, ElementsAre(std::pair("a", Reason::Drained)));
  pass(seconds(20));
  EXPECT_THAT(ended_,
              ElementsAre(std::pair("a", Reason::Drained), std::pair("b", Reason::Drained)));
}

TEST_F(DrainerTest, OneThatIsInTwoGoneNamespacesEndsOnce) {
  add(OnNetnsDelete::Drain, "both", kA, kB);
  drainer_.end_orphans({kA, kB});
  pass(seconds(30));
  EXPECT_THAT(ended_, ElementsAre(std::pair("both", Reason::Drained)));
}

TEST_F(DrainerTest, WhatEndsByItselfIsNotMissed) {
  add(OnNetnsDelete::Drain, "a", kA, kHome);
  drainer_.end_orphans({kA, kB});
  context_.connections().for_each([](Forwarded& one) { one.end(Reason::ClientClosed); });
  pass(seconds(60));
  EXPECT_THAT(ended_, ElementsAre(std::pair("a", Reason::ClientClosed)));
}

TEST_F(DrainerTest, KeepGoesOnForEver) {
  add(OnNetnsDelete::Keep, "a", kA, kA);
  drainer_.end_orphans({kA, kB});
  pass(seconds(3600));
  drainer_.end_orphans({kA, kB});
  EXPECT_THAT(ended_, IsEmpty());
}

TEST_F(DrainerTest, TheEndOfADrainLeavesOtherPoliciesAlone) {
  add(OnNetnsDelete::Drain, "drain", kA, kHome);
  add(OnNetnsDelete::Keep, "keep", kA, kHome);
  drainer_.end_orphans({kA, kB});
  pass(seconds(30));
  EXPECT_THAT(ended_, ElementsAre(std::pair("drain", Reason::Drained)));
}

TEST_F(DrainerTest, ThousandsAreLookedAtInSlices) {
  for (int i = 0; i < 5000; ++i)
    add(OnNetnsDelete::Close, "one", i % 2 == 0 ? kA : kB, kHome);
  drainer_.end_orphans({kA});
  EXPECT_GT(ended_.size(), 0U);
  EXPECT_LT(ended_.size(), 1000U);
  drainer_.end_orphans({kB});  // while the first are not all ended
  for (int i = 0; i < 20; ++i)
    loop_->run_once(Duration(0));
  EXPECT_EQ(ended_.size(), 5000U);
}

TEST_F(DrainerTest, WhatLingersInANamespaceThatIsGoneIsNotKeptWhereItsRuleSaysClose) {
  add(OnNetnsDelete::Keep, "keep", kA, kHome);
  drainer_.end_orphans({kA});
  linger(kA, OnNetnsDelete::Close);
  EXPECT_EQ(context_.lingering().size(), 0U);
  linger(kB, OnNetnsDelete::Close);
  EXPECT_EQ(context_.lingering().size(), 1U);
  drainer_.end_orphans({kB});
  EXPECT_EQ(context_.lingering().size(), 0U);
  linger(kA, OnNetnsDelete::Close);  // the connection was still there at the second look
  EXPECT_EQ(context_.lingering().size(), 0U);
}

TEST_F(DrainerTest, WhatLingersUnderKeepSurvivesTheDeletion) {
  add(OnNetnsDelete::Keep, "keep", kA, kHome);
  linger(kA, OnNetnsDelete::Keep);
  drainer_.end_orphans({kA});
  linger(kA, OnNetnsDelete::Keep);
  EXPECT_EQ(context_.lingering().size(), 2U);
}

TEST_F(DrainerTest, WhatLingersUnderDrainHasTheTimeOfTheDrain) {
  linger(kA, OnNetnsDelete::Drain);  // nothing else is left of its rule
  linger(kA, OnNetnsDelete::Keep);
  linger(kB, OnNetnsDelete::Drain);
  drainer_.end_orphans({kA});
  EXPECT_EQ(context_.lingering().size(), 3U);
  pass(seconds(29));
  linger(kA, OnNetnsDelete::Drain);
  EXPECT_EQ(context_.lingering().size(), 4U);
  pass(seconds(1));
  EXPECT_EQ(context_.lingering().size(), 2U);
}

TEST_F(DrainerTest, ARuleThatIsGoneDrainsWhateverItsNamespacesDo) {
  add(OnNetnsDelete::Close, "gone", kHome, kHome);
  add(OnNetnsDelete::Keep, "stays", kHome, kHome);
  drainer_.drain(close_);
  pass(seconds(30));
  EXPECT_THAT(ended_, ElementsAre(std::pair("gone", Reason::Drained)));
}

TEST_F(DrainerTest, AForgottenRuleIsLeftAlone) {
  add(OnNetnsDelete::Close, "back", kHome, kHome);
  drainer_.drain(close_);
  drainer_.forget(close_);
  pass(seconds(60));
  EXPECT_THAT(ended_, IsEmpty());
}

}  // namespace
}  // namespace nsrelay
