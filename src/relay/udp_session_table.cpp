#include "nsrelay/relay/udp_session_table.hpp"

#include <cstring>
#include <random>

namespace nsrelay {
namespace {

std::uint64_t random_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32U | device();
}

std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
  // The finisher of MurmurHash3 (public domain): every bit of the input changes half of the output.
  hash ^= word;
  hash = (hash ^ hash >> 33U) * 0xff51afd7ed558ccdULL;
  hash = (hash ^ hash >> 33U) * 0xc4ceb9fe1a85ec53ULL;
  return hash ^ hash >> 33U;
}

std::uint64_t mix(std::uint64_t hash, const IpAddress& address) {
  std::uint64_t words[2];
  std::memcpy(words, address.bytes().data(), sizeof words);
  hash = mix(hash, words[0]);
  return address.is_v6() ? mix(hash, words[1]) : hash;
}

}  // namespace

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
