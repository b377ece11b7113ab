#include <algorithm>
#include <string>

#include "endpoint.hpp"
#include "fault_list.hpp"
#include "names.hpp"

namespace nsrelay {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";

/// Host names, with `{netns}` standing for any name of a namespace.
Result<void> check_host(std::string_view host) {
  auto example = replace_placeholders(host, "n");
  if (!example)
    return std::move(example).error();
  auto valid = parse_host_name(*example);
  if (!valid)
    return std::move(valid).error();
  return {};
}

bool looks_like_host_name(std::string_view text) {
  return parse_host_name(text).has_value();
}

Result<TargetSpec> parse_unix_target(std::string_view path) {
  auto example = replace_placeholders(path, "n");
  if (!example)
    return std::move(example).error();
  auto valid = parse_unix_path(path);
  if (!valid)
    return std::move(valid).error();
  TargetSpec target;
  target.kind = TargetSpec::Kind::UnixPath;
  target.path = *std::move(valid);
  return target;
}

Result<TargetSpec> parse_address_target(std::string_view hosts) {
  auto addresses = parse_addresses(hosts);
  if (!addresses)
    return std::move(addresses).error();
  const bool is_any = std::any_of(addresses->begin(), addresses->end(),
                                  [](const ZonedAddress& one) { return one.address.is_any(); });
  if (is_any)
    return Error("the wildcard address cannot be a target");
  TargetSpec target;
  target.addresses = *std::move(addresses);
  return target;
}

Result<TargetSpec> parse_host_target(std::string_view host) {
  if (host == "*")
    return Error("the wildcard address cannot be a target");
  if (auto valid = check_host(host); !valid)
    return std::move(valid).error();
  TargetSpec target;
  target.kind = TargetSpec::Kind::HostName;
  target.host = host;
  return target;
}

Result<TargetSpec> parse_network_target(std::string_view text) {
  auto endpoint = split_endpoint(text);
  if (!endpoint)
    return std::move(endpoint).error();
  const std::string_view hosts = endpoint->hosts;
  const bool is_address =
      hosts.find_first_of("[+") != std::string_view::npos || IpAddress::parse(hosts).has_value();
  auto target = is_address ? parse_address_target(hosts) : parse_host_target(hosts);
  if (target)
    target->ports = endpoint->ports;
  return target;
}

}  // namespace

Result<ListenSpec> parse_listen(std::string_view text) {
  auto endpoint = split_endpoint(text);
  if (!endpoint)
    return std::move(endpoint).error();
  ListenSpec listen;
  listen.ports = endpoint->ports;
  if (endpoint->hosts == "*") {
    listen.addresses = {{IpAddress::any_v6(), ""}};
    listen.dual_stack = true;
    return listen;
  }
  if (looks_like_host_name(endpoint->hosts))
    return Error("a listener needs an IP address or '*', not a host name");
  auto addresses = parse_addresses(endpoint->hosts);
  if (!addresses)
    return std::move(addresses).error();
  listen.addresses = *std::move(addresses);
  return listen;
}

Result<ListenSpec> parse_metrics_listen(std::string_view text) {
  auto listen = parse_listen(text);
  if (!listen)
    return listen;
  if (listen->addresses.size() > 1 || listen->ports.size() > 1)
    return Error("one address and one port are allowed here");
  return listen;
}

Result<TargetSpec> parse_target(std::string_view text) {
  auto target = text.starts_with(kUnixPrefix) ? parse_unix_target(text.substr(kUnixPrefix.size()))
                                              : parse_network_target(text);
  if (target)
    target->text = text;
  return target;
}

}  // namespace nsrelay
