#include "nsrelay/netns/netns_watcher.hpp"

#include <sys/wait.h>

#include <csignal>

#include "followed_netns.hpp"

namespace nsrelay {
namespace {

using Kind = NetnsSelector::Kind;

/// A child that waits until it is killed.
class Child {
 public:
  Child() : pid_(::fork()) {
    if (pid_ == 0) {
      ::pause();
      ::_exit(0);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }

  void end() {
    if (pid_ <= 0)
      return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

class NetnsWatcherTest : public test::FollowedNetns {
 protected:
  std::vector<NetnsRef> matches() { return registry_.find({Kind::PathPattern, path("*")}); }

  [[nodiscard]] bool comes_to(std::size_t count) {
    return run_until([&] {
      pass(std::chrono::milliseconds(5));  // the interval between refreshes
      return matches().size() == count;
    });
  }

  NetnsRegistry registry_;
  struct Changes {
    void count(const NetnsChanges& /*changes*/) noexcept { ++calls; }
    int calls = 0;
  } changed_;
  NetnsWatcher watcher_{*loop_, registry_, NetnsWatcher::Callback::to<&Changes::count>(&changed_)};
};

TEST_F(NetnsWatcherTest, AMountIsSeen) {
  matches();
  watcher_.start();
  settle();
  bind("/proc/self/ns/net", "a");
  ASSERT_TRUE(comes_to(1));
  remove("a");
  ASSERT_TRUE(comes_to(0));
  EXPECT_EQ(changed_.calls, 2);
}

TEST_F(NetnsWatcherTest, WhatCameBeforeTheStartIsSeen) {
  matches();
  bind("/proc/self/ns/net", "a");
  watcher_.start();
  ASSERT_TRUE(comes_to(1));
}

TEST_F(NetnsWatcherTest, ALinkIsSeenThoughNothingIsMounted) {
  matches();
  watcher_.start();
  settle();
  std::filesystem::create_symlink("/proc/self/ns/net", path("link"));
  ASSERT_TRUE(comes_to(1));
  std::filesystem::rename(path("link"), path("renamed"));
  ASSERT_TRUE(run_until([&] {
    pass(std::chrono::milliseconds(5));
    return matches().size() == 1 && matches().front()->name == "renamed";
  }));
  std::filesystem::remove(path("renamed"));
  ASSERT_TRUE(comes_to(0));
}

TEST_F(NetnsWatcherTest, AFolderThatIsMadeAgainIsWatchedAgain) {
  const NetnsSelector below{Kind::PathPattern, path("below/*")};
  const auto count = [&] { return registry_.find(below).size(); };
  std::filesystem::create_directory(path("below"));
  EXPECT_EQ(count(), 0U);
  matches();  // follows the folder above, which tells that the one below came
  watcher_.start();
  settle();
  for (int times = 0; times < 2; ++times) {
    std::filesystem::create_symlink("/proc/self/ns/net", path("below/a"));
    ASSERT_TRUE(run_until([&] {
      pass(std::chrono::milliseconds(5));
      return count() == 1;
    })) << times;
    std::filesystem::remove_all(path("below"));
    ASSERT_TRUE(run_until([&] {
      pass(std::chrono::milliseconds(5));
      return count() == 0;
    }));
    std::filesystem::create_directory(path("below"));
    pass(std::chrono::milliseconds(5));
    settle();
    pass(std::chrono::milliseconds(5));
  }
}

TEST_F(NetnsWatcherTest, AFolderThatComesLaterIsSeenWithWhatIsInIt) {
  const NetnsSelector below{Kind::PathPattern, path("one/two/*")};
  const auto count = [&] { return registry_.find(below).size(); };
  const auto comes_to_be = [&](std::size_t wanted) {
    return run_until([&] {
      pass(std::chrono::milliseconds(5));
      return count() == wanted;
    });
  };
  EXPECT_EQ(count(), 0U);
  watcher_.start();
  settle();
  const TimePoint begin = time_;
  std::filesystem::create_directories(path("one/two"));
  std::filesystem::create_symlink("/proc/self/ns/net", path("one/two/a"));
  EXPECT_TRUE(comes_to_be(1));
  std::filesystem::create_symlink("/proc/self/ns/net", path("one/two/b"));
  EXPECT_TRUE(comes_to_be(2));
  std::filesystem::rename(path("one/two"), path("one/other"));
  EXPECT_TRUE(comes_to_be(0));
  std::filesystem::rename(path("one/other"), path("one/two"));
  EXPECT_TRUE(comes_to_be(2));
  EXPECT_LT(time_ - begin, std::chrono::seconds(5));  // not by the rescan
}

TEST_F(NetnsWatcherTest, AFolderIsKnownByTheWaysThatLeadToIt) {
  std::filesystem::create_directory(path("real"));
  std::filesystem::create_directory_symlink(path("real"), path("way"));
  const NetnsSelector by_way{Kind::PathPattern, path("way/*")};
  EXPECT_TRUE(registry_.find(by_way).empty());
  watcher_.start();
  settle();
  const TimePoint begin = time_;
  bind("/proc/self/ns/net", "real/a");
  EXPECT_TRUE(run_until([&] {
    pass(std::chrono::milliseconds(5));
    return registry_.find(by_way).size() == 1;
  }));
  EXPECT_LT(time_ - begin, std::chrono::seconds(5));
  unmount("real/a");
  EXPECT_TRUE(run_until([&] {
    pass(std::chrono::milliseconds(5));
    return registry_.find(by_way).empty();
  }));
  EXPECT_LT(time_ - begin, std::chrono::seconds(5));
}

TEST_F(NetnsWatcherTest, TheEndOfAProcessIsSeen) {
  Child child;
  const std::string text = "pid:" + std::to_string(child.pid());
  const NetnsRef entry = registry_.get({Kind::Pid, text, child.pid()});
  ASSERT_TRUE(entry->netns);
  watcher_.start();
  settle();
  child.end();
  EXPECT_TRUE(run_until([&] {
    pass(std::chrono::milliseconds(5));
    return !entry->netns;
  }));
  EXPECT_EQ(changed_.calls, 1);
  settle();  // an ended process is no event over and over
  EXPECT_EQ(changed_.calls, 1);
}

TEST_F(NetnsWatcherTest, TheRescanFindsWhatNoEventTold) {
  Child child;
  std::filesystem::create_symlink("/proc/" + std::to_string(child.pid()) + "/ns/net", path("link"));
  EXPECT_EQ(matches().size(), 1U);
  watcher_.start();
  settle();
  child.end();  // the link dangles now, which is no event of its folder
  pass(std::chrono::seconds(5));
  EXPECT_TRUE(run_until([&] { return matches().empty(); }));
}

TEST_F(NetnsWatcherTest, ManyEventsMakeFewRefreshes) {
  matches();
  watcher_.start();
  settle();
  pass(std::chrono::milliseconds(5));
  const int before = changed_.calls;
  for (int i = 0; i < 30; ++i) {
    bind("/proc/self/ns/net", "a" + std::to_string(i));
    loop_->run_once(Duration(1));  // time stands still
  }
  EXPECT_LE(changed_.calls - before, 1);
  pass(std::chrono::milliseconds(5));
  settle();
  EXPECT_EQ(matches().size(), 30U);
  EXPECT_LE(changed_.calls - before, 2);
}

TEST_F(NetnsWatcherTest, MoreThanOneSliceComesToAnEndWithoutCertainStamps) {
  matches();
  watcher_.start();
  settle();
  for (int i = 0; i < 600; ++i)
    std::filesystem::create_symlink("/proc/self/ns/net", path("a" + std::to_string(i)));
  ASSERT_TRUE(comes_to(600));
  settle();
  const int before = changed_.calls;
  // Nothing is left to do: an iteration sleeps, unless somebody else mounts something just then.
  EXPECT_TRUE(run_until([&] {
    pass(std::chrono::milliseconds(5));
    const auto begin = std::chrono::steady_clock::now();
    loop_->run_once(Duration(20));
    return std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(15);
  }));
  EXPECT_EQ(changed_.calls, before);
}

}  // namespace
}  // namespace nsrelay
