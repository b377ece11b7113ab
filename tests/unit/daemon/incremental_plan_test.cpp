#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "nsrelay/daemon/listener_plan.hpp"
#include "support/netns_test.hpp"

namespace nsrelay {
namespace {

using Kind = NetnsSelector::Kind;

/// Names in two folders that come to mean one or another of a few namespaces, or none, at random.
/// What expand_among() makes of the changes must be what expand() makes of everything.
class IncrementalPlanTest : public testing::TestWithParam<unsigned> {
 protected:
  struct Wanted {
    const ForwardRule* rule;
    const ForwardRule* taken_by;
    NetnsRef netns;
    friend bool operator==(const Wanted&, const Wanted&) = default;
  };
  using Plan = std::map<ListenerKey, Wanted>;

  void SetUp() override {
    NSRELAY_NEEDS_ROOT();
    std::string name = "/tmp/nsrelay-plan-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    for (const char* folder : {"/x", "/y"})
      std::filesystem::create_directory(root_ + folder);
    for (const char* tag : {"plan-1", "plan-2", "plan-3"})
      made_.push_back(test::make_netns(tag));
    add_rule("names", {{Kind::Path, root_ + "/x/a"}, {Kind::Path, root_ + "/y/b"}, {}}, 80, 81);
    add_rule("patterns", {{Kind::PathPattern, root_ + "/x/*"}}, 81, 82);
    add_rule("both", {{Kind::PathPattern, root_ + "/y/[ab]"}, {Kind::Path, root_ + "/x/c"}}, 82,
             83);
  }

  void TearDown() override {
    for (const std::string& path : paths())
      ::umount2(path.c_str(), MNT_DETACH);
    std::filesystem::remove_all(root_);
  }

  void add_rule(const std::string& name, std::vector<NetnsSelector> netns, std::uint16_t first,
                std::uint16_t last) {
    ForwardRule rule;
    rule.name = name;
    rule.netns = std::move(netns);
    rule.listen = {{.addresses = {{*IpAddress::parse("0.0.0.0"), ""}}, .ports = {first, last}}};
    config_.rules.push_back(std::move(rule));
  }

  [[nodiscard]] std::vector<std::string> paths() const {
    std::vector<std::string> paths;
    for (const char* folder : {"/x/", "/y/"})
      for (const char* name : {"a", "b", "c"})
        paths.push_back(root_ + folder + name);
    return paths;
  }

  /// One name comes, goes, is made again, or means another namespace.
  void change_something(std::mt19937& random) {
    const std::string path = paths()[random() % paths().size()];
    ::umount2(path.c_str(), MNT_DETACH);
    if (random() % 4 == 0)
      ::unlink(path.c_str());
    if (random() % 3 == 0)
      return;
    std::ofstream file(path);
    const std::size_t which = random() % (made_.size() + 1);
    const std::string source =
        which < made_.size() ? "/run/netns/" + made_[which]->name() : "/proc/self/ns/net";
    ASSERT_EQ(::mount(source.c_str(), path.c_str(), "none", MS_BIND, nullptr), 0);
  }

  static void put(Plan& plan, const std::vector<DesiredListener>& listeners) {
    for (const DesiredListener& one : listeners)
      plan[one.key] = {one.rule, one.taken_by, one.netns};
  }

  Plan whole() {
    Plan plan;
    put(plan, expand(config_, [this](const NetnsSelector& one) { return registry_.find(one); }));
    return plan;
  }

  void apply(Plan& plan, const NetnsChanges& changes) const {
    std::erase_if(plan, [&](const auto& one) {
      return changes.identities.contains({one.first.cookie, one.first.absent_netns});
    });
    put(plan, expand_among(config_, registry_.entries_of(changes.identities)));
  }

  std::string root_;
  std::vector<std::unique_ptr<ThrowawayNetns>> made_;
  Config config_;
  NetnsRegistry registry_;
};

INSTANTIATE_TEST_SUITE_P(Seeds, IncrementalPlanTest, testing::Range(0U, 8U));

TEST_P(IncrementalPlanTest, IsTheWholePlanAfterAnyHistory) {
  std::mt19937 random(GetParam());
  Plan plan = whole();
  for (int step = 0; step < 60; ++step) {
    for (auto changes = random() % 3 + 1; changes > 0; --changes)
      change_something(random);
    registry_.refresh();
    apply(plan, registry_.take_changes());
    ASSERT_EQ(plan, whole()) << "seed " << GetParam() << ", step " << step;
  }
}

}  // namespace
}  // namespace nsrelay
