#include "nsrelay/telemetry/metrics_page.hpp"

#include <array>
#include <iterator>

#include "nsrelay/telemetry/prometheus_text.hpp"

namespace nsrelay {
namespace {

constexpr std::size_t kPiece = std::size_t{16} * 1024;

using Text = std::string_view;

/// A metric that each rule and namespace has for itself.
template <class Counted>
struct Family {
  Text name;
  MetricType type;
  Text help;
  void (*append)(std::string& out, Text name, Text labels, Protocol protocol,
                 const Counted& counted);
};

/// One sample for each reason that has occurred.
template <class Enum, std::size_t Size>
void append_reasons(std::string& out, Text name, Text labels, const CountsOf<Enum, Size>& counts) {
  for (std::size_t i = 0; i < Size; ++i) {
    const auto reason = static_cast<Enum>(i);
    if (counts[reason] == 0)
      continue;
    std::string label;
    append_label(label, "reason", to_string(reason));
    append_sample(out, name, labels, label, counts[reason]);
  }
}

void append_directions(std::string& out, Text name, Text labels, std::uint64_t received,
                       std::uint64_t sent) {
  append_sample(out, name, labels, R"(direction="received")", received);
  append_sample(out, name, labels, R"(direction="sent")", sent);
}

constexpr std::size_t kBuckets = DurationHistogram::kBounds.size() + 1;

/// `le="0.0001"` and so on.
const std::array<std::string, kBuckets>& bucket_labels() {
  static const auto labels = [] {
    std::array<std::string, kBuckets> made;
    for (std::size_t i = 0; i < DurationHistogram::kBounds.size(); ++i)
      append_label(made[i], "le",
                   format_number(static_cast<double>(DurationHistogram::kBounds[i].count()) / 1e6));
    append_label(made.back(), "le", "+Inf");
    return made;
  }();
  return labels;
}

void append_histogram(std::string& out, Text name, Text labels,
                      const DurationHistogram& histogram) {
  const std::uint64_t count = histogram.count_up_to(kBuckets - 1);
  if (count == 0)
    return;
  const std::string prefix(name);
  for (std::size_t i = 0; i < kBuckets; ++i)
    append_sample(out, prefix + "_bucket", labels, bucket_labels()[i], histogram.count_up_to(i));
  append_sample(out, prefix + "_sum", labels, "",
                static_cast<double>(histogram.sum().count()) / 1e9);
  append_sample(out, prefix + "_count", labels, "", count);
}

using Traffic = TrafficCounters;
using TrafficFamily = Family<Traffic>;

constexpr TrafficFamily kTrafficFamilies[] = {
    {"nsrelay_connections_total", MetricType::Counter,
     "Connections, UDP sessions and SCTP associations that were begun.",
     [](std::string& out, Text name, Text labels, Protocol, const Traffic& counted) {
       append_sample(out, name, labels, "", counted.connections_total);
     }},
    {"nsrelay_connections_active", MetricType::Gauge,
     "Connections, UDP sessions and SCTP associations that are forwarded now.",
     [](std::string& out, Text name, Text labels, Protocol, const Traffic& counted) {
       append_sample(out, name, labels, "", counted.connections_active);
     }},
    {"nsrelay_connections_failed_total", MetricType::Counter,
     "Connections that could not be forwarded, and clients that were denied.",
     [](std::string& out, Text name, Text labels, Protocol, const Traffic& counted) {
       append_reasons(out, name, labels, counted.connections_failed);
     }},
    {"nsrelay_bytes_total", MetricType::Counter,
     "Bytes of payload received from clients and sent to clients.",
     [](std::string& out, Text name, Text labels, Protocol, const Traffic& counted) {
       append_directions(out, name, labels, counted.bytes_received, counted.bytes_sent);
     }},
    {"nsrelay_datagrams_total", MetricType::Counter,
     "UDP datagrams received from clients and sent to clients.",
     [](std::string& out, Text name, Text labels, Protocol protocol, const Traffic& counted) {
       if (protocol == Protocol::Udp)
         append_directions(out, name, labels, counted.datagrams_received, counted.datagrams_sent);
     }},
    {"nsrelay_datagrams_dropped_total", MetricType::Counter,
     "UDP datagrams that were not forwarded, either way.",
     [](std::string& out, Text name, Text labels, Protocol, const Traffic& counted) {
       append_reasons(out, name, labels, counted.datagrams_dropped);
     }},
    {"nsrelay_accept_paused_total", MetricType::Counter,
     "Times that accepting paused, while clients waited in the backlog.",
     [](std::string& out, Text name, Text labels, Protocol, const Traffic& counted) {
       append_reasons(out, name, labels, counted.accept_paused);
     }},
    {"nsrelay_connect_seconds", MetricType::Histogram,
     "Time from accepting a client to a connected upstream.",
     [](std::string& out, Text name, Text labels, Protocol, const Traffic& counted) {
       append_histogram(out, name, labels, counted.connect_time);
     }},
};

constexpr Family<ListenerCounts> kListenerFamily = {
    "nsrelay_listeners", MetricType::Gauge, "Listeners by state.",
    [](std::string& out, Text name, Text labels, Protocol, const ListenerCounts& counted) {
      append_sample(out, name, labels, R"(state="listening")", counted.listening);
      append_sample(out, name, labels, R"(state="pending")", counted.pending);
      append_sample(out, name, labels, R"(state="draining")", counted.draining);
    }};

std::string labels_of(const TrafficKey& key) {
  std::string text;
  append_label(text, "rule", key.rule);
  append_label(text, "netns", key.netns);
  append_label(text, "protocol", to_string(key.protocol));
  return text;
}

/// Appends what one row has of `family`, behind the head where it is the first. False: there is no
/// such row. The first family makes the labels, for itself and all others.
template <class Counted, class Row>
bool append_row_of(std::string& out, const Family<Counted>& family, const std::vector<Row>& rows,
                   std::vector<std::string>& labels, std::size_t index, Counted Row::*counted) {
  if (index == 0)
    append_family(out, family.name, family.type, family.help);
  if (index >= rows.size())
    return false;
  if (index == labels.size())
    labels.push_back(labels_of(rows[index].key));
  family.append(out, family.name, labels[index], rows[index].key.protocol, rows[index].*counted);
  return true;
}

template <class Value>
void append_single(std::string& out, Text name, MetricType type, Text help, Value value) {
  append_family(out, name, type, help);
  append_sample(out, name, "", "", value);
}

void append_daemon(std::string& out, const MetricsSnapshot& snapshot) {
  const NetnsCounts& netns = snapshot.netns;
  append_family(out, "nsrelay_namespaces", MetricType::Gauge,
                "Namespaces that the configuration speaks of, by state.");
  append_sample(out, "nsrelay_namespaces", "", R"(state="present")", netns.present);
  append_sample(out, "nsrelay_namespaces", "", R"(state="absent")", netns.absent);
  append_sample(out, "nsrelay_namespaces", "", R"(state="deleted")", netns.deleted);
  const DaemonCounters& daemon = snapshot.daemon;
  append_family(out, "nsrelay_reloads_total", MetricType::Counter,
                "Reloads of the configuration by result.");
  append_sample(out, "nsrelay_reloads_total", "", R"(result="ok")", daemon.reloads_ok);
  append_sample(out, "nsrelay_reloads_total", "", R"(result="failed")", daemon.reloads_failed);
  append_single(out, "nsrelay_last_reload_successful", MetricType::Gauge,
                "Whether the file is in force as it was at the last reload, or at the start.",
                std::uint64_t{daemon.last_reload_failed ? 0U : 1U});
  append_single(out, "nsrelay_log_records_dropped_total", MetricType::Counter,
                "Log records that nobody took in time.", daemon.log_records_dropped);
  append_family(out, "nsrelay_build_info", MetricType::Gauge, "Always 1.");
  append_sample(out, "nsrelay_build_info", "", "version=\"" NSRELAY_VERSION "\"", std::uint64_t{1});
}

void append_process(std::string& out, const ProcessMetrics& process) {
  append_single(out, "process_cpu_seconds_total", MetricType::Counter,
                "User and system CPU time in seconds.", process.cpu_seconds);
  append_single(out, "process_resident_memory_bytes", MetricType::Gauge, "Resident memory.",
                process.resident_bytes);
  append_single(out, "process_virtual_memory_bytes", MetricType::Gauge, "Virtual memory.",
                process.virtual_bytes);
  append_single(out, "process_open_fds", MetricType::Gauge, "Open descriptors.",
                process.open_descriptors);
  append_single(out, "process_max_fds", MetricType::Gauge, "Most descriptors that may be open.",
                process.most_descriptors);
  append_single(out, "process_start_time_seconds", MetricType::Gauge,
                "Start of the process in seconds since the epoch.", process.start_time);
}

}  // namespace

MetricsPage::MetricsPage(MetricsSnapshot snapshot) : snapshot_(std::move(snapshot)) {
  traffic_labels_.reserve(snapshot_.traffic.size());
  listener_labels_.reserve(snapshot_.listeners.size());
}

bool MetricsPage::append_next(std::string& out) {
  const std::size_t until = out.size() + kPiece;
  while (out.size() < until) {
    if (family_ > std::size(kTrafficFamilies)) {
      append_upstreams(out, snapshot_.upstreams);
      append_daemon(out, snapshot_);
      append_process(out, snapshot_.process);
      return false;
    }
    const bool has_more = append_row(out);
    row_ = has_more ? row_ + 1 : 0;
    family_ += has_more ? 0 : 1;
  }
  return true;
}

bool MetricsPage::append_row(std::string& out) {
  if (family_ == std::size(kTrafficFamilies))
    return append_row_of(out, kListenerFamily, snapshot_.listeners, listener_labels_, row_,
                         &MetricsSnapshot::Listeners::counts);
  return append_row_of(out, kTrafficFamilies[family_], snapshot_.traffic, traffic_labels_, row_,
                       &MetricsSnapshot::Traffic::counters);
}

}  // namespace nsrelay
