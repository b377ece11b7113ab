#pragma once

#include <optional>

#include "nsrelay/base/result.hpp"
#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/net/descriptor_reserve.hpp"
#include "nsrelay/netns/netns.hpp"
#include "nsrelay/upstream/connector.hpp"
#include "nsrelay/upstream/upstream_pool.hpp"

namespace nsrelay {

/// A socket of `family` (AF_INET, AF_INET6, AF_UNIX) inside `netns` that is yet to be connected to
/// a target of `pool`: with all options of its rule, and bound to `source`, if there is one, with
/// a port that connect(2) chooses. Spends `reserve` where no other descriptor is left. Fails with
/// the error of setns(2), socket(2), setsockopt(2) or bind(2).
Result<UniqueFd> make_upstream_socket(UpstreamPool& pool, DescriptorReserve& reserve,
                                      const Netns& netns, int family,
                                      const std::optional<IpAddress>& source,
                                      const ConnectRequest& request);

}  // namespace nsrelay
