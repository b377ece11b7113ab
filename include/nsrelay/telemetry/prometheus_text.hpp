#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// The text format of Prometheus, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
//
// Own code, because TextSerializer of prometheus-cpp wants all families as objects at once: tens of
// thousands of strings and of calls of std::ostream while traffic waits. Here a page of thousands
// of namespaces is made in pieces, with one string for the labels of each.

namespace nsrelay {

inline constexpr std::string_view kPrometheusContentType =
    "text/plain; version=0.0.4; charset=utf-8";

enum class MetricType : std::uint8_t { Counter, Gauge, Histogram };

/// The lines HELP and TYPE, which precede all samples of a metric. `help` is one line.
void append_family(std::string& out, std::string_view name, MetricType type, std::string_view help);

/// Appends `name="value"`, behind a comma where `labels` is not empty. The value may be any bytes:
/// what is no UTF-8, which Prometheus would reject the whole page for, becomes `\xNN`.
void append_label(std::string& labels, std::string_view name, std::string_view value);

/// Appends one sample. `labels` is what append_label() has made; `more` is further such text.
void append_sample(std::string& out, std::string_view name, std::string_view labels,
                   std::string_view more, std::uint64_t value);
void append_sample(std::string& out, std::string_view name, std::string_view labels,
                   std::string_view more, double value);

/// `number` as the format wants it, the shortest text that reads back as the same.
std::string format_number(double number);

}  // namespace nsrelay
