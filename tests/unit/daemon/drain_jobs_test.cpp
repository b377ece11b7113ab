#include "nsrelay/daemon/drain_jobs.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "support/log_file.hpp"
#include "support/loop_test.hpp"

namespace nsrelay {
namespace {

using Result = DrainOutcome::Result;
using std::chrono::seconds;

class DrainJobsTest : public test::LoopTest {
 protected:
  class Fake final : public Forwarded {
   public:
    Fake(DrainJobsTest& test, RuleRuntime& runtime, std::uint64_t cookie)
        : test_(test), runtime_(runtime), listener_{"netns", cookie, "", 0} {}

    void end(Reason reason) override {
      test_.reasons_.push_back(reason);
      test_.loop_->destroy_later(test_.context_.connections().take(*this));
    }
    [[nodiscard]] const ListenerInfo& listener() const override { return listener_; }
    [[nodiscard]] RuleRuntime& runtime() const override { return runtime_; }
    [[nodiscard]] std::uint64_t upstream_cookie() const override { return 0; }
    [[nodiscard]] ForwardedStatus status() const override { return {}; }

   private:
    DrainJobsTest& test_;
    RuleRuntime& runtime_;
    ListenerInfo listener_;
  };

  static ForwardRule named(const std::string& name) {
    ForwardRule rule;
    rule.name = name;
    return rule;
  }

  Forwarded& add(RuleRuntime& runtime, std::uint64_t cookie = 1) {
    auto made = std::make_unique<Fake>(*this, runtime, cookie);
    Forwarded& added = *made;
    context_.connections().add(std::move(made));
    return added;
  }

  void start(DrainScope scope, Duration timeout = seconds(10)) {
    jobs_.start(std::move(scope), 1, timeout,
                [this](const DrainOutcome& outcome) { outcomes_.push_back(outcome); });
  }

  test::LogFile log_;
  std::vector<Reason> reasons_;
  std::vector<DrainOutcome> outcomes_;
  RuleRuntime web_{named("web")};
  RuleRuntime other_{named("other")};
  RelayContext context_{*loop_, log_.log(), {}};
  DrainJobs jobs_{context_};
};

TEST_F(DrainJobsTest, WithNothingToWaitForIsOverAtOnce) {
  add(other_);
  start({"web", {}});
  EXPECT_TRUE(outcomes_.empty());  // not within the call
  settle();
  ASSERT_EQ(outcomes_.size(), 1U);
  EXPECT_EQ(outcomes_[0].result, Result::Done);
  EXPECT_EQ(outcomes_[0].listeners, 1U);
  EXPECT_EQ(jobs_.size(), 0U);
}

TEST_F(DrainJobsTest, WaitsForTheConnectionsOfItsRule) {
  Forwarded& first = add(web_);
  Forwarded& second = add(web_, 2);
  Forwarded& stranger = add(other_);
  start({"web", {}});
  first.end(Reason::ClientClosed);
  stranger.end(Reason::ClientClosed);
  settle();
  EXPECT_TRUE(outcomes_.empty());
  second.end(Reason::ClientClosed);
  settle();
  ASSERT_EQ(outcomes_.size(), 1U);
  EXPECT_EQ(outcomes_[0].finished, 2U);
  EXPECT_EQ(outcomes_[0].ended, 0U);
}

TEST_F(DrainJobsTest, EndsWhatIsLeftWhenItsTimeIsOver) {
  Forwarded& first = add(web_, 5);
  add(other_, 5);
  add(web_, 6);
  start({std::nullopt, {5}});
  first.end(Reason::ClientClosed);
  pass(seconds(9));
  EXPECT_EQ(reasons_.size(), 1U);
  pass(seconds(1));
  settle();
  EXPECT_EQ(reasons_, (std::vector{Reason::ClientClosed, Reason::Drained}));
  EXPECT_EQ(context_.connections().size(), 1U);
  ASSERT_EQ(outcomes_.size(), 1U);
  EXPECT_EQ(outcomes_[0].finished, 1U);
  EXPECT_EQ(outcomes_[0].ended, 1U);
}

TEST_F(DrainJobsTest, EachHasItsOwnTime) {
  add(web_);
  add(web_, 2);
  start({"web", {}}, seconds(20));
  start({std::nullopt, {2}}, seconds(5));
  pass(seconds(5));
  settle();
  ASSERT_EQ(outcomes_.size(), 1U);
  EXPECT_EQ(outcomes_[0].ended, 1U);
  pass(seconds(15));
  settle();
  ASSERT_EQ(outcomes_.size(), 2U);
  EXPECT_EQ(outcomes_[1].finished, 1U);  // by the other drain
  EXPECT_EQ(outcomes_[1].ended, 1U);
}

TEST_F(DrainJobsTest, WithoutTimeEndsEverythingAtOnce) {
  add(web_);
  start({"web", {}}, seconds(0));
  pass(seconds(0));
  settle();
  ASSERT_EQ(outcomes_.size(), 1U);
  EXPECT_EQ(outcomes_[0].ended, 1U);
}

TEST_F(DrainJobsTest, AnInterruptionEndsTheWaitAndNothingElse) {
  add(web_);
  start({"web", {}});
  jobs_.interrupt();
  settle();
  ASSERT_EQ(outcomes_.size(), 1U);
  EXPECT_EQ(outcomes_[0].result, Result::Interrupted);
  pass(seconds(100));
  EXPECT_TRUE(reasons_.empty());
}

}  // namespace
}  // namespace nsrelay
