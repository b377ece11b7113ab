#include "nsrelay/base/hash.hpp"

#include <cstring>
#include <random>

namespace nsrelay {

std::uint64_t random_seed() {
  // Finding out what the processor offers is a trap where that is virtual: 30 µs.
  static std::random_device device;
  return std::uint64_t{device()} << 32U | device();
}

std::uint64_t mix(std::uint64_t hash, std::uint64_t word) {
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

std::uint64_t mix(std::uint64_t hash, std::string_view text) {
  hash = mix(hash, text.size());
  while (!text.empty()) {
    std::uint64_t word = 0;
    const std::size_t size = text.size() < sizeof word ? text.size() : sizeof word;
    std::memcpy(&word, text.data(), size);
    hash = mix(hash, word);
    text.remove_prefix(size);
  }
  return hash;
}

}  // namespace nsrelay
