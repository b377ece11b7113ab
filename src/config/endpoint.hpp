#pragma once

#include <string_view>
#include <vector>

#include "nsrelay/base/result.hpp"
#include "nsrelay/config/forward_rule.hpp"

namespace nsrelay {

/// `HOSTS:PORTS` taken apart at the colon that is not part of an IPv6 address.
struct Endpoint {
  std::string_view hosts;  // never empty; borrows the text
  PortRange ports;
};

/// Reads `HOSTS:PORT` or `HOSTS:FIRST-LAST`. An IPv6 address without brackets is an error that
/// asks for them.
Result<Endpoint> split_endpoint(std::string_view text);

/// Reads `10.0.0.1`, `[2001:db8::1]` or `[fe80::1%eth0]`.
Result<ZonedAddress> parse_host_address(std::string_view text);

/// Reads `A` or `A+B+…`: different addresses of one family.
Result<std::vector<ZonedAddress>> parse_addresses(std::string_view hosts);

/// Reads an entry of `listen`: addresses or `*`, and ports.
Result<ListenSpec> parse_listen(std::string_view text);

/// Reads `metrics.listen`: one address (or `*`) and one port.
Result<ListenSpec> parse_metrics_listen(std::string_view text);

/// Reads an upstream target in its short form: addresses or a host name and ports, or `unix:PATH`.
Result<TargetSpec> parse_target(std::string_view text);

}  // namespace nsrelay
