#include "nsrelay/relay/connection_table.hpp"

#include <gtest/gtest.h>

#include <set>

#include "relay_test.hpp"

namespace nsrelay {
namespace {

class ConnectionTableTest : public test::RelayTest {
 protected:
  ConnectionTableTest() { rule().upstream.targets.resize(1); }

  Forwarded& add() {
    auto made = std::make_unique<TcpConnection>(route(), AcceptedClient{});
    Forwarded& added = *made;
    table_.add(std::move(made));
    return added;
  }
  std::set<Forwarded*> all() {
    std::set<Forwarded*> seen;
    table_.for_each([&](Forwarded& one) { EXPECT_TRUE(seen.insert(&one).second); });
    return seen;
  }

  ConnectionTable table_;
};

TEST_F(ConnectionTableTest, VisitsEveryConnectionOnce) {
  Forwarded& first = add();
  Forwarded& second = add();
  Forwarded& third = add();
  EXPECT_EQ(table_.size(), 3U);
  EXPECT_EQ(all(), (std::set<Forwarded*>{&first, &second, &third}));
}

TEST_F(ConnectionTableTest, GivesOutTheOneThatIsAskedFor) {
  Forwarded& first = add();
  Forwarded& second = add();
  Forwarded& third = add();
  EXPECT_EQ(table_.take(first).get(), &first);
  EXPECT_EQ(all(), (std::set<Forwarded*>{&second, &third}));
  EXPECT_EQ(table_.take(third).get(), &third);
  EXPECT_EQ(all(), (std::set<Forwarded*>{&second}));
  EXPECT_EQ(table_.take(second).get(), &second);
  EXPECT_EQ(table_.size(), 0U);
}

TEST_F(ConnectionTableTest, AVisitorMayTakeTheOneThatItVisits) {
  for (int i = 0; i < 5; ++i)
    add();
  int visits = 0;
  table_.for_each([&](Forwarded& one) {
    if (++visits % 2 == 0)
      table_.take(one);
  });
  EXPECT_EQ(visits, 5);
  EXPECT_EQ(table_.size(), 3U);
}

TEST_F(ConnectionTableTest, TellsWheneverTheLastOneIsTaken) {
  struct Listener {
    void on_empty() noexcept { ++calls; }
    int calls = 0;
  } listener;
  table_.set_on_empty(Delegate<void()>::to<&Listener::on_empty>(&listener));
  Forwarded& first = add();
  Forwarded& second = add();
  table_.take(first);
  EXPECT_EQ(listener.calls, 0);
  table_.take(second);
  EXPECT_EQ(listener.calls, 1);
  table_.take(add());
  EXPECT_EQ(listener.calls, 2);
}

}  // namespace
}  // namespace nsrelay
