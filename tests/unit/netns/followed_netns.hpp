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

#include "nsrelay/netns/throwaway_netns.hpp"
#include "support/loop_test.hpp"

namespace nsrelay::test {

/// A folder of its own for namespace files, and an event loop with a clock that the test moves.
/// Everything is unmounted and removed at the end. Skips, loudly, without root.
class FollowedNetns : public LoopTest {
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

  std::string folder_;
};

/// Counts its calls.
struct Counter {
  void count() noexcept { ++calls; }
  Delegate<void()> delegate() { return Delegate<void()>::to<&Counter::count>(this); }

  int calls = 0;
};

}  // namespace nsrelay::test
