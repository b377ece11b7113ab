#include "nsrelay/telemetry/upstream_metrics.hpp"

#include "nsrelay/telemetry/prometheus_text.hpp"

namespace nsrelay {
namespace {

using Text = std::string_view;

template <class Row>
std::string labels_of(const Row& row) {
  std::string labels;
  append_label(labels, "rule", row.rule);
  append_label(labels, "upstream_netns", row.netns);
  if constexpr (requires { row.source; })
    append_label(labels, "source", row.source);
  if constexpr (requires { row.target; })
    append_label(labels, "target", row.target);
  return labels;
}

template <class Row, class Value>
void append_rows(std::string& out, Text name, MetricType type, Text help,
                 const std::vector<Row>& rows, Value Row::*value) {
  append_family(out, name, type, help);
  for (const Row& row : rows)
    append_sample(out, name, labels_of(row), "", std::uint64_t{row.*value});
}

}  // namespace

void append_upstreams(std::string& out, const UpstreamMetrics& upstreams) {
  using Target = UpstreamMetrics::Target;
  using Ports = UpstreamMetrics::Ports;
  append_rows(out, "nsrelay_upstream_up", MetricType::Gauge, "Whether a target is up.",
              upstreams.targets, &Target::is_up);
  append_rows(out, "nsrelay_upstream_connections", MetricType::Gauge,
              "Connections and sessions to a target, those being made included.", upstreams.targets,
              &Target::connections);
  append_rows(out, "nsrelay_upstream_failures_total", MetricType::Counter,
              "Failures of a target, of connections and of probes.", upstreams.targets,
              &Target::failures);
  append_rows(out, "nsrelay_source_ports_in_use", MetricType::Gauge,
              "Ports of an address of `source` towards a target that connections have.",
              upstreams.in_use, &UpstreamMetrics::PortsInUse::in_use);
  append_rows(out, "nsrelay_source_ports_available", MetricType::Gauge,
              "Ports that each source address has towards each target (ip_local_port_range).",
              upstreams.ports, &Ports::available);
  append_rows(out, "nsrelay_source_ports_exhausted_total", MetricType::Counter,
              "Attempts to connect that found no local port.", upstreams.ports, &Ports::exhausted);
}

}  // namespace nsrelay
