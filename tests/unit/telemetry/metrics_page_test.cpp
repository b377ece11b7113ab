#include "nsrelay/telemetry/metrics_page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <sstream>

namespace nsrelay {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string whole(MetricsSnapshot snapshot) {
  MetricsPage page(std::move(snapshot));
  std::string text;
  while (page.append_next(text)) {
  }
  return text;
}

MetricsSnapshot of_namespaces(int count) {
  MetricsSnapshot snapshot;
  for (int i = 0; i < count; ++i) {
    const TrafficKey key = {"web", "tenant-" + std::to_string(i), Protocol::Tcp};
    MetricsSnapshot::Traffic traffic{key, {}};
    traffic.counters.connections_total = 1;
    traffic.counters.connect_time.add(std::chrono::milliseconds(3));
    snapshot.traffic.push_back(traffic);
    snapshot.listeners.push_back({key, {.listening = 1}});
  }
  return snapshot;
}

TEST(MetricsPage, TellsWhatWasCounted) {
  MetricsSnapshot snapshot;
  MetricsSnapshot::Traffic traffic{{"dns", "blue", Protocol::Udp}, {}};
  traffic.counters = {.connections_total = 3,
                      .connections_active = 1,
                      .bytes_received = 10,
                      .bytes_sent = 20,
                      .datagrams_received = 5,
                      .datagrams_sent = 6};
  traffic.counters.connections_failed[Reason::ConnectRefused] = 2;
  traffic.counters.datagrams_dropped[DropReason::TooLong] = 4;
  traffic.counters.accept_paused[PauseReason::OutOfMemory] = 7;
  traffic.counters.connect_time.add(std::chrono::microseconds(1500));
  snapshot.traffic = {traffic};
  const std::string text = whole(snapshot);
  const std::string labels = R"(rule="dns",netns="blue",protocol="udp")";
  for (const std::string& line :
       {"nsrelay_connections_total{" + labels + "} 3",
        "nsrelay_connections_active{" + labels + "} 1",
        "nsrelay_connections_failed_total{" + labels + R"(,reason="connect_refused"} 2)",
        "nsrelay_bytes_total{" + labels + R"(,direction="received"} 10)",
        "nsrelay_bytes_total{" + labels + R"(,direction="sent"} 20)",
        "nsrelay_datagrams_total{" + labels + R"(,direction="received"} 5)",
        "nsrelay_datagrams_total{" + labels + R"(,direction="sent"} 6)",
        "nsrelay_datagrams_dropped_total{" + labels + R"(,reason="too_long"} 4)",
        "nsrelay_accept_paused_total{" + labels + R"(,reason="out_of_memory"} 7)",
        "nsrelay_connect_seconds_bucket{" + labels + R"(,le="0.001"} 0)",
        "nsrelay_connect_seconds_bucket{" + labels + R"(,le="0.0025"} 1)",
        "nsrelay_connect_seconds_bucket{" + labels + R"(,le="+Inf"} 1)",
        "nsrelay_connect_seconds_sum{" + labels + "} 0.0015",
        "nsrelay_connect_seconds_count{" + labels + "} 1"})
    EXPECT_THAT(text, HasSubstr("\n" + line + "\n"));
}

TEST(MetricsPage, SaysNothingOfWhatHasNotHappened) {
  MetricsSnapshot snapshot;
  snapshot.traffic = {{{"web", "blue", Protocol::Tcp}, {}}};
  const std::string text = whole(snapshot);
  EXPECT_THAT(text, HasSubstr("nsrelay_connections_total{"));
  for (const char* name : {"nsrelay_datagrams_total{", "nsrelay_connections_failed_total{",
                           "nsrelay_accept_paused_total{", "nsrelay_connect_seconds"})
    EXPECT_THAT(text, Not(HasSubstr(std::string("\n") + name)));
}

TEST(MetricsPage, HasEveryFamilyInOnePlaceHoweverManyPiecesItHas) {
  std::istringstream lines(whole(of_namespaces(500)));
  std::set<std::string> types;
  std::string current;
  std::size_t samples = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      current = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(types.insert(current).second) << current;
    } else if (!line.starts_with('#')) {
      EXPECT_TRUE(line.starts_with(current)) << line;
      samples += current == "nsrelay_connections_total" ? 1 : 0;
    }
  }
  EXPECT_EQ(samples, 500U);
}

TEST(MetricsPage, ComesInPieces) {
  MetricsPage page(of_namespaces(500));
  std::string piece;
  int pieces = 0;
  for (bool more = true; more; ++pieces) {
    piece.clear();
    more = page.append_next(piece);
    EXPECT_LT(piece.size(), 24U * 1024);
  }
  EXPECT_GT(pieces, 20);
}

TEST(MetricsPage, OfNothingIsStillAPage) {
  const std::string text = whole({});
  EXPECT_THAT(text, HasSubstr("\nnsrelay_namespaces{state=\"present\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\nnsrelay_reloads_total{result=\"ok\"} 0\n"));
  EXPECT_EQ(text.back(), '\n');
}

TEST(ProcessMetrics, AreOfThisProcess) {
  const ProcessMetrics metrics = read_process_metrics();
  EXPECT_GT(metrics.cpu_seconds, 0);
  EXPECT_GT(metrics.resident_bytes, 1U << 20U);
  EXPECT_GE(metrics.virtual_bytes, metrics.resident_bytes);
  EXPECT_GE(metrics.open_descriptors, 3U);
  EXPECT_LE(metrics.open_descriptors, metrics.most_descriptors);
  const double now =
      static_cast<double>(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()));
  EXPECT_LE(metrics.start_time, now + 1);
  EXPECT_GT(metrics.start_time, now - 3600);
}

}  // namespace
}  // namespace nsrelay
