#include "nsrelay/base/byte_size.hpp"
#include "nsrelay/base/duration.hpp"
#include "nsrelay/config/option_table.hpp"
#include "suggestion.hpp"

namespace nsrelay {
namespace {

struct ScopeText {
  std::string_view name;
  std::string_view path;
};

ScopeText text_of(OptionScope scope) {
  switch (scope) {
    case OptionScope::Top:
      return {"the top level", ""};
    case OptionScope::Log:
      return {"'log'", "log."};
    case OptionScope::Control:
      return {"'control'", "control."};
    case OptionScope::Metrics:
      return {"'metrics'", "metrics."};
    case OptionScope::Rule:
      return {"a rule", ""};
    case OptionScope::Upstream:
      return {"'upstream'", "upstream."};
    case OptionScope::Health:
      return {"'upstream.health'", "upstream.health."};
    case OptionScope::PerSource:
      return {"'per_source'", "per_source."};
    case OptionScope::Target:
      return {"an entry of 'upstream.targets'", "upstream.targets."};
  }
  return {};
}

std::string describe_bounds(const OptionValues& values) {
  switch (values.type) {
    case OptionType::TimeSpan:
      return std::string(values.whole_seconds ? "whole seconds from " : "a duration from ") +
             format_duration(Duration(values.least)) + " to " +
             format_duration(Duration(values.most));
    case OptionType::Size:
      return "a size from " + format_byte_size(ByteSize{static_cast<std::uint64_t>(values.least)}) +
             " to " + format_byte_size(ByteSize{static_cast<std::uint64_t>(values.most)});
    default:
      return std::to_string(values.least) + " to " + std::to_string(values.most);
  }
}

std::string describe_present(const OptionValues& values) {
  switch (values.type) {
    case OptionType::Boolean:
      return "true or false";
    case OptionType::Choice:
      return join(values.choices);
    case OptionType::Other:
      return std::string(values.form);
    default:
      return describe_bounds(values);
  }
}

}  // namespace

std::string_view scope_name(OptionScope scope) {
  return text_of(scope).name;
}

std::string option_path(const Option& option) {
  return std::string(text_of(option.scope).path) + std::string(option.key);
}

std::string describe_values(const OptionValues& values) {
  const std::string present = describe_present(values);
  return values.absent.empty() ? present : present + ", or " + std::string(values.absent);
}

std::string describe_protocols(ProtocolSet protocols) {
  std::string out;
  for (const Protocol protocol : {Protocol::Tcp, Protocol::Udp, Protocol::Sctp}) {
    if ((protocols & protocol_bit(protocol)) == 0)
      continue;
    out += out.empty() ? "" : ", ";
    out += to_string(protocol);
  }
  return out;
}

}  // namespace nsrelay
