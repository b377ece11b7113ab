#pragma once

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>

#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/netns/throwaway_netns.hpp"

namespace nsrelay::test {

/// A folder of its own for namespace files, and an event loop with a clock that the test moves.
/// Everything is unmounted and removed at the end. Skips, loudly, without root.
class FollowedNetns : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0)
      GTEST_SKIP() << "NOT TESTED: making network namespaces needs root";
    std::string name = "/tmp/nsrelay-unit-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }

  void TearDown() override {
    if (folder_.empty())
      return;
    for (const auto& file : std::filesystem::directory_iterator(folder_))
      ::umount2(file.path().c_str(), MNT_DETACH);
    std::filesystem::remove_all(folder_);
  }

  /// A namespace with a name in /run/netns that no other run of the tests uses.
  static std::unique_ptr<ThrowawayNetns> make_netns(const std::string& tag) {
    auto made = ThrowawayNetns::create("nsrelay-follow-" + std::to_string(::getpid()) + "-" + tag);
    EXPECT_TRUE(made) << made.error().message();
    return made ? *std::move(made) : nullptr;
  }

  static std::string path_of(const ThrowawayNetns& netns) { return "/run/netns/" + netns.name(); }

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }

  /// A plain file, what a name is before the mount.
  std::string touch(const std::string& name) const {
    std::ofstream file(path(name));
    return path(name);
  }

  /// Mounts the namespace file `source` on `name`, which is made where it does not exist.
  std::string bind(const std::string& source, const std::string& name) const {
    const std::string target = touch(name);
    EXPECT_EQ(::mount(source.c_str(), target.c_str(), "none", MS_BIND, nullptr), 0);
    return target;
  }

  void unmount(const std::string& name) const {
    EXPECT_EQ(::umount2(path(name).c_str(), MNT_DETACH), 0);
  }

  /// Unmounts and unlinks, as `ip netns del` does.
  void remove(const std::string& name) const {
    unmount(name);
    EXPECT_EQ(::unlink(path(name).c_str()), 0);
  }

  /// Iterates until `condition` holds. The patience is real time, not the loop's.
  [[nodiscard]] bool run_until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end)
        return false;
      loop_->run_once(Duration(1));
    }
    return true;
  }

  /// Iterates until no event is left: for what must not happen.
  void settle() {
    for (int i = 0; i < 5; ++i)
      loop_->run_once(Duration(1));
  }

  /// Moves the clock and lets the timers see it.
  void pass(std::chrono::milliseconds time) {
    time_ += time;
    loop_->run_once(Duration(0));
  }

  TimePoint time_{std::chrono::hours(1)};
  std::unique_ptr<EventLoop> loop_ = std::move(*EventLoop::create([this] { return time_; }));
  std::string folder_;
};

/// Counts its calls.
struct Counter {
  void count() noexcept { ++calls; }
  Delegate<void()> delegate() { return Delegate<void()>::to<&Counter::count>(this); }

  int calls = 0;
};

}  // namespace nsrelay::test
