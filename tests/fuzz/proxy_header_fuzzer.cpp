#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "nsrelay/net/proxy_header.hpp"

namespace nsrelay {
namespace {

using Status = ProxyHeader::Status;

void require(bool holds, const char* what) {
  if (holds)
    return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

bool are_equal(const ProxyHeader& one, const ProxyHeader& other) {
  return one.status == other.status && one.length == other.length &&
         one.addresses == other.addresses;
}

/// What is said of the first bytes must hold when more come.
void check_growth(std::span<const std::byte> data) {
  ProxyHeader before;
  for (std::size_t size = 1; size <= data.size(); ++size) {
    const ProxyHeader header = parse_proxy_header(data.first(size));
    require(before.status == Status::Incomplete || are_equal(before, header),
            "an outcome stays when more bytes come");
    require(header.status != Status::Incomplete || size < kProxyHeaderPrefix,
            "so many bytes are enough");
    require(header.status != Status::Invalid || !header.fault.empty(), "a fault has words");
    before = header;
  }
}

void check_again(std::string_view text, const ProxyHeader& header) {
  const ProxyHeader again = parse_proxy_header(std::as_bytes(std::span(text)));
  require(again.status == Status::Complete && again.length == text.size(),
          "what is encoded is a header");
  const bool one_family =
      header.addresses->source.ip.is_v6() == header.addresses->destination.ip.is_v6();
  require(!one_family || again.addresses == header.addresses, "it says the same");
}

}  // namespace
}  // namespace nsrelay

/// Any bytes are a header, none, or the beginning of one.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nsrelay;
  const auto bytes = std::as_bytes(std::span(data, size));
  check_growth(bytes.first(std::min(size, 2 * kProxyHeaderPrefix)));
  if (size == 0)
    return 0;
  const ProxyHeader header = parse_proxy_header(bytes);
  if (!header.addresses)
    return 0;
  check_again(encode_proxy_v1(*header.addresses), header);
  check_again(encode_proxy_v2(*header.addresses, "netns"), header);
  return 0;
}
