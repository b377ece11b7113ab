#include "nsrelay/relay/udp_session_table.hpp"

#include "nsrelay/base/hash.hpp"

namespace nsrelay {
UdpSessionTable::UdpSessionTable() : sessions_(0, Hash{random_seed()}) {}

std::size_t UdpSessionTable::Hash::operator()(const DatagramPath& path) const noexcept {
  std::uint64_t hash = mix(seed, path.peer.ip);
  hash = mix(hash, std::uint64_t{path.scope} << 16U | path.peer.port);
  return mix(hash, path.local);
}

UdpSession* UdpSessionTable::find(const DatagramPath& path) const {
  const auto found = sessions_.find(path);
  return found == sessions_.end() ? nullptr : found->second;
}

}  // namespace nsrelay
