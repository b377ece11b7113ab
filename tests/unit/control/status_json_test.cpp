#include "nsrelay/control/status_json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace nsrelay {
namespace {

using Json = nlohmann::json;

/// The whole text, and how many pieces it came in.
std::string text_of(HttpBody& body, int* pieces = nullptr) {
  std::string text;
  for (bool more = true; more;) {
    std::string piece;
    more = body.append_next(piece);
    text += piece;
    if (pieces != nullptr)
      ++*pieces;
  }
  return text;
}

Json json_of(HttpBody& body) {
  return Json::parse(text_of(body));
}

class Connections final : public ConnectionSource {
 public:
  explicit Connections(int count) : left_(count) {}
  std::optional<ConnectionStatus> next() override {
    if (left_-- == 0)
      return std::nullopt;
    return ConnectionStatus{.rule = "web",
                            .netns = "blue",
                            .protocol = "tcp",
                            .client = "10.0.0.1:5000",
                            .listener = "0.0.0.0:8000",
                            .upstream = "10.0.0.5:80",
                            .upstream_netns = "default",
                            .age = Duration(1234),
                            .bytes_received = 1,
                            .bytes_sent = 18446744073709551615U};
  }

 private:
  int left_;
};

StatusReport report_with(std::vector<NetnsStatus> namespaces) {
  return {.version = "1.2.3",
          .pid = 42,
          .started = "then",
          .config_file = "/etc/f",
          .config_loaded = "later",
          .config_rules = 1,
          .totals = {1, 2, 3, 4, 5},
          .rules = {{"web", "tcp", {1, 2, 3, 4, 5}}},
          .namespaces = std::move(namespaces)};
}

ListenerStatus listener(const std::string& rule) {
  return {.rule = rule,
          .netns = "blue",
          .protocol = "tcp",
          .address = "0.0.0.0:8000",
          .port = 8000,
          .state = ListenerState::Pending,
          .reason = "why",
          .connections_active = 6};
}

TEST(StatusJson, HasEveryKey) {
  const Json expected = Json::parse(R"({
    "version": "1.2.3", "pid": 42, "started": "then", "state": "running",
    "config": {"file": "/etc/f", "loaded": "later", "rules": 1},
    "totals": {"connections_active": 1, "connections_total": 2, "connections_failed": 3,
               "bytes_received": 4, "bytes_sent": 5},
    "rules": [{"name": "web", "protocol": "tcp", "connections_active": 1, "connections_total": 2,
               "connections_failed": 3, "bytes_received": 4, "bytes_sent": 5, "upstreams": []}],
    "namespaces": [{"name": "blue", "cookie": 7, "state": "absent", "listeners": [
      {"rule": "web", "netns": "blue", "protocol": "tcp", "address": "0.0.0.0:8000", "port": 8000,
       "state": "pending", "reason": "why", "connections_active": 6}]}]})");
  EXPECT_EQ(json_of(*to_json(report_with({{"blue", 7, NetnsState::Absent, {listener("web")}}}))),
            expected);
}

TEST(StatusJson, IsOneDocumentWhateverTheNumbers) {
  EXPECT_EQ(json_of(*to_json(report_with({})))["namespaces"], Json::array());
  const auto body =
      to_json(report_with({{"a", 1, NetnsState::Present, {}},
                           {"b", 2, NetnsState::Deleted, {listener("x")}},
                           {"c", 3, NetnsState::Present, {listener("y"), listener("z")}},
                           {"d", 4, NetnsState::Present, {}}}));
  const Json namespaces = json_of(*body)["namespaces"];
  ASSERT_EQ(namespaces.size(), 4U);
  EXPECT_EQ(namespaces[0]["listeners"].size(), 0U);
  EXPECT_EQ(namespaces[1]["state"], "deleted");
  EXPECT_EQ(namespaces[2]["listeners"][1]["rule"], "z");
  EXPECT_EQ(namespaces[3]["listeners"].size(), 0U);
}

TEST(StatusJson, IsWrittenInPieces) {
  std::vector<ListenerStatus> many(1000, listener("web"));
  int pieces = 0;
  const auto body = to_json(report_with({{"blue", 7, NetnsState::Present, many}}));
  const std::string text = text_of(*body, &pieces);
  EXPECT_GT(pieces, 5);
  EXPECT_EQ(Json::parse(text)["namespaces"][0]["listeners"].size(), 1000U);
}

TEST(StatusJson, AnyBytesInANameAreValidJson) {
  const auto body =
      to_json(report_with({{"\xff\"\n", 7, NetnsState::Present, {listener("\xc3(")}}}));
  EXPECT_EQ(json_of(*body)["namespaces"][0]["name"], "\xef\xbf\xbd\"\n");
}

TEST(ConnectionsJson, HasEveryKey) {
  const Json expected = Json::parse(R"([{
    "rule": "web", "netns": "blue", "protocol": "tcp", "client": "10.0.0.1:5000",
    "listener": "0.0.0.0:8000", "upstream": "10.0.0.5:80", "upstream_netns": "default",
    "age_seconds": 1.234, "bytes_received": 1, "bytes_sent": 18446744073709551615}])");
  EXPECT_EQ(json_of(*to_json(std::make_unique<Connections>(1))), expected);
}

TEST(ConnectionsJson, IsAnArrayWhateverTheNumber) {
  EXPECT_EQ(text_of(*to_json(std::make_unique<Connections>(0))), "[]\n");
  int pieces = 0;
  const auto body = to_json(std::make_unique<Connections>(5000));
  EXPECT_EQ(Json::parse(text_of(*body, &pieces)).size(), 5000U);
  EXPECT_GT(pieces, 20);
}

TEST(ReloadJson, TellsWhatChangedOrWhyNot) {
  EXPECT_EQ(to_json(ReloadOutcome{{}, 2, 1, 0}),
            "{\"result\":\"ok\",\"opened\":2,\"closed\":1,\"changed\":0}\n");
  const Json failed = Json::parse(to_json(ReloadOutcome{.faults = {"f:1:2: error: x", "y"}}));
  EXPECT_EQ(failed["result"], "failed");
  EXPECT_EQ(failed["faults"], Json({"f:1:2: error: x", "y"}));
  EXPECT_FALSE(failed["error"].empty());
}

TEST(DrainJson, TellsWhatEnded) {
  EXPECT_EQ(
      to_json(DrainOutcome{.listeners = 1, .finished = 2, .ended = 3}),
      "{\"result\":\"ok\",\"listeners\":1,\"connections_finished\":2,\"connections_ended\":3}\n");
}

}  // namespace
}  // namespace nsrelay
