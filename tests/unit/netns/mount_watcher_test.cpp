#include "nsrelay/netns/mount_watcher.hpp"

#include <set>

#include "followed_netns.hpp"
#include "nsrelay/netns/mount_stamp.hpp"

namespace nsrelay {
namespace {

using Method = MountWatcher::Method;

/// Collects what it is told.
struct Changes {
  void take(const MountChanges& changes) noexcept {
    ++calls;
    paths.insert(changes.paths.begin(), changes.paths.end());
    gone.insert(changes.gone.begin(), changes.gone.end());
    lost |= changes.lost;
  }
  MountWatcher::Callback delegate() { return MountWatcher::Callback::to<&Changes::take>(this); }

  int calls = 0;
  std::set<std::string> paths;
  std::set<std::uint64_t> gone;
  bool lost = false;
};

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

  Changes changed_;
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

TEST_P(MountWatcherTest, SaysWhatItWas) {
  const std::string one = bind("/proc/self/ns/net", "one");
  const std::string odd = bind("/proc/self/ns/net", "odd \\ \n name");
  EXPECT_TRUE(
      run_until([&] { return changed_.paths.contains(one) && changed_.paths.contains(odd); }));
  const auto stamp = stamp_of(one);
  changed_ = {};
  unmount("one");
  EXPECT_TRUE(run_until([&] {
    return changed_.paths.contains(one) || (stamp && changed_.gone.contains(stamp->mount_id));
  }));
  EXPECT_FALSE(changed_.paths.contains(odd));
  EXPECT_FALSE(changed_.lost);
}

TEST_P(MountWatcherTest, HearsWhatCameWhileNobodyLooked) {
  for (int i = 0; i < 20; ++i) {
    bind("/proc/self/ns/net", "a");
    unmount("a");
  }
  bind("/proc/self/ns/net", "a");
  EXPECT_TRUE(run_until([&] { return changed_.paths.contains(path("a")); }));
}

TEST_P(MountWatcherTest, HearsAgainAfterMoreEventsThanTheKernelKeeps) {
  touch("a");
  for (int i = 0; i < 8300; ++i) {  // two events each; fanotify(7) keeps 16384
    ::mount("/proc/self/ns/net", path("a").c_str(), "none", MS_BIND, nullptr);
    ::umount2(path("a").c_str(), MNT_DETACH);
  }
  const bool tells_loss = GetParam() == Method::Fanotify;
  EXPECT_TRUE(run_until([&] { return changed_.lost == tells_loss; }));
  settle();
  bind("/proc/self/ns/net", "b");
  EXPECT_TRUE(run_until([&] { return changed_.paths.contains(path("b")); }));
}

TEST_P(MountWatcherTest, SaysNothingOnceDestroyed) {
  bind("/proc/self/ns/net", "a");
  watcher_.reset();
  settle();
  EXPECT_EQ(changed_.calls, 0);
}

TEST(MountWatcher, TakesTheFirstMethodThatWorks) {
  auto loop = std::move(*EventLoop::create());
  Changes changed;
  auto made = MountWatcher::create(*loop, changed.delegate());
  ASSERT_TRUE(made) << made.error().message();
  const bool has_fanotify(MountWatcher::create(*loop, changed.delegate(), Method::Fanotify));
  EXPECT_EQ((*made)->method(), has_fanotify ? Method::Fanotify : Method::Mountinfo);
}

}  // namespace
}  // namespace nsrelay
