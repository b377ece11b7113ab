#include "nsrelay/netns/mount_watcher.hpp"

#include "followed_netns.hpp"

namespace nsrelay {
namespace {

using Method = MountWatcher::Method;

class MountWatcherTest : public test::FollowedNetns, public testing::WithParamInterface<Method> {
 protected:
  void SetUp() override {
    FollowedNetns::SetUp();
    if (IsSkipped())
      return;
    auto made = MountWatcher::create(*loop_, changed_.delegate(), GetParam());
    if (!made)
      GTEST_SKIP() << "NOT TESTED: this kernel has none: " << made.error().message();
    watcher_ = *std::move(made);
    settle();
    changed_.calls = 0;
  }

  void TearDown() override {
    watcher_.reset();
    FollowedNetns::TearDown();
  }

  [[nodiscard]] bool hears() {
    const int before = changed_.calls;
    return run_until([&] { return changed_.calls > before; });
  }

  test::Counter changed_;
  std::unique_ptr<MountWatcher> watcher_;
};

INSTANTIATE_TEST_SUITE_P(Methods, MountWatcherTest,
                         testing::Values(Method::Fanotify, Method::Mountinfo),
                         [](const auto& one) { return std::string(to_string(one.param)); });

TEST_P(MountWatcherTest, HearsAMountAndItsEnd) {
  EXPECT_EQ(watcher_->method(), GetParam());
  bind("/proc/self/ns/net", "a");
  EXPECT_TRUE(hears());
  settle();
  unmount("a");
  EXPECT_TRUE(hears());
}

TEST_P(MountWatcherTest, HearsWhatCameWhileNobodyLooked) {
  for (int i = 0; i < 20; ++i) {
    bind("/proc/self/ns/net", "a");
    unmount("a");
  }
  EXPECT_TRUE(hears());
}

TEST_P(MountWatcherTest, HearsAgainAfterMoreEventsThanTheKernelKeeps) {
  touch("a");
  for (int i = 0; i < 8300; ++i) {  // two events each; fanotify(7) keeps 16384
    ::mount("/proc/self/ns/net", path("a").c_str(), "none", MS_BIND, nullptr);
    ::umount2(path("a").c_str(), MNT_DETACH);
  }
  EXPECT_TRUE(hears());
  settle();
  bind("/proc/self/ns/net", "b");
  EXPECT_TRUE(hears());
}

TEST_P(MountWatcherTest, SaysNothingOnceDestroyed) {
  bind("/proc/self/ns/net", "a");
  watcher_.reset();
  settle();
  EXPECT_EQ(changed_.calls, 0);
}

TEST(MountWatcher, TakesTheFirstMethodThatWorks) {
  auto loop = std::move(*EventLoop::create());
  test::Counter changed;
  auto made = MountWatcher::create(*loop, changed.delegate());
  ASSERT_TRUE(made) << made.error().message();
  const bool has_fanotify(MountWatcher::create(*loop, changed.delegate(), Method::Fanotify));
  EXPECT_EQ((*made)->method(), has_fanotify ? Method::Fanotify : Method::Mountinfo);
}

}  // namespace
}  // namespace nsrelay
