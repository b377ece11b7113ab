#pragma once

#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/net/socket_address.hpp"
#include "nsrelay/relay/source_limiter.hpp"

namespace nsrelay {

/// A client that was accepted.
struct AcceptedClient {
  UniqueFd socket;  ///< does not block
  IpEndpoint address;
  SourceLease source = {};  ///< where the rule has `per_source`
};

}  // namespace nsrelay
