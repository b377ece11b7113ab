#include "nsrelay/net/proxy_header.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace nsrelay {
namespace {

using Status = ProxyHeader::Status;
using namespace std::literals;

constexpr std::string_view kV1Start = "PROXY "sv;
constexpr std::string_view kV2Start = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t kLongestV1 = 107;

constexpr std::size_t kV2Fixed = 16;
constexpr unsigned kV2Local = 0x20;
constexpr unsigned kV2Proxy = 0x21;
constexpr char kTcp4 = 0x11;
constexpr char kTcp6 = 0x21;
constexpr char kTypeNetns = 0x30;
constexpr std::size_t kLongestNetns = 65000;

enum Family : unsigned { kUnspecified = 0, kInet = 1, kInet6 = 2, kUnix = 3 };

ProxyHeader invalid(std::string_view fault) {
  return {.status = Status::Invalid, .fault = fault};
}

// ---------------------------------------------------------------------------- version 1

/// The text up to the next space, which is taken away with it.
std::string_view take_word(std::string_view& line) {
  const std::size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  return word;
}

std::optional<std::uint16_t> parse_port(std::string_view word) {
  std::uint16_t port = 0;
  const auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), port);
  const bool is_padded = word.size() > 1 && word.front() == '0';
  if (error != std::errc() || rest != word.data() + word.size() || is_padded)
    return std::nullopt;
  return port;
}

std::optional<IpAddress> parse_address(std::string_view word, bool v6) {
  auto address = IpAddress::parse(word);
  const bool is_v6 = word.find(':') != std::string_view::npos;
  if (!address || is_v6 != v6)
    return std::nullopt;
  return *address;
}

/// `line` without its end.
ProxyHeader parse_v1_line(std::string_view line) {
  ProxyHeader header{.status = Status::Complete, .length = line.size() + 2};
  line.remove_prefix(kV1Start.size());
  const std::string_view protocol = take_word(line);
  if (protocol == "UNKNOWN")
    return header;
  if (protocol != "TCP4" && protocol != "TCP6")
    return invalid("its protocol is not TCP4, TCP6 or UNKNOWN");
  const bool v6 = protocol == "TCP6";
  const auto source = parse_address(take_word(line), v6);
  const auto destination = parse_address(take_word(line), v6);
  const auto source_port = parse_port(take_word(line));
  const bool has_end = line.find(' ') == std::string_view::npos;
  const auto destination_port = parse_port(line);
  if (!source || !destination)
    return invalid("an address is not one of its protocol");
  if (!source_port || !destination_port || !has_end)
    return invalid("its ports are not two numbers from 0 to 65535");
  header.addresses = {{*source, *source_port}, {*destination, *destination_port}};
  return header;
}

ProxyHeader parse_v1(std::string_view text) {
  const std::size_t line_feed = text.substr(0, kLongestV1).find('\n');
  if (line_feed == std::string_view::npos)
    return text.size() < kLongestV1 ? ProxyHeader() : invalid("its line has more than 107 bytes");
  if (line_feed < kV1Start.size() || text[line_feed - 1] != '\r')
    return invalid("its line does not end with CR LF");
  return parse_v1_line(text.substr(0, line_feed - 1));
}

std::string_view family_name(const ProxyAddresses& addresses) {
  if (addresses.source.ip.is_v6() != addresses.destination.ip.is_v6())
    return "UNKNOWN";
  return addresses.source.ip.is_v6() ? "TCP6" : "TCP4";
}

// ---------------------------------------------------------------------------- version 2

unsigned byte_at(std::string_view text, std::size_t index) {
  return static_cast<unsigned char>(text[index]);
}

std::uint16_t number_at(std::string_view text, std::size_t index) {
  return static_cast<std::uint16_t>(byte_at(text, index) << 8U | byte_at(text, index + 1));
}

IpAddress address_at(std::string_view text, std::size_t index, bool v6) {
  if (v6) {
    in6_addr raw;
    std::memcpy(&raw, &text[index], sizeof raw);
    return IpAddress(raw);
  }
  in_addr raw;
  std::memcpy(&raw, &text[index], sizeof raw);
  return IpAddress(raw);
}

ProxyAddresses addresses_at(std::string_view text, std::size_t index, bool v6) {
  const std::size_t size = v6 ? sizeof(in6_addr) : sizeof(in_addr);
  return {{address_at(text, index, v6), number_at(text, index + 2 * size)},
          {address_at(text, index + size, v6), number_at(text, index + 2 * size + 2)}};
}

std::size_t address_size(unsigned family) {
  constexpr std::array<std::size_t, 4> kSizes = {0, 12, 36, 216};
  return kSizes[family];
}

ProxyHeader parse_v2(std::string_view text) {
  constexpr std::size_t kCommandAt = 12;
  constexpr std::size_t kFamilyAt = 13;
  constexpr std::size_t kLengthAt = 14;
  if (text.size() <= kCommandAt)
    return {};
  const unsigned command = byte_at(text, kCommandAt);
  if (command != kV2Local && command != kV2Proxy)
    return invalid("its version is not 2, or its command is not LOCAL or PROXY");
  if (text.size() <= kFamilyAt)
    return {};
  const unsigned family = byte_at(text, kFamilyAt) >> 4U;
  const unsigned transport = byte_at(text, kFamilyAt) & 0xfU;
  if (command == kV2Proxy && (family > kUnix || transport > 2))
    return invalid("its address family or protocol is not known");
  if (text.size() < kV2Fixed)
    return {};
  const std::size_t length = number_at(text, kLengthAt);
  ProxyHeader header{.status = Status::Complete, .length = kV2Fixed + length};
  if (command == kV2Local)
    return header;  // "must accept this connection as valid", whatever the family says
  if (length < address_size(family))
    return invalid("it is too short for its addresses");
  if (family != kInet && family != kInet6)
    return header;
  if (text.size() < kV2Fixed + address_size(family))
    return {};
  header.addresses = addresses_at(text, kV2Fixed, family == kInet6);
  return header;
}

void append_number(std::string& text, std::size_t number) {
  text += static_cast<char>(number >> 8U);
  text += static_cast<char>(number);
}

void append_address(std::string& text, const IpAddress& address) {
  text.append(reinterpret_cast<const char*>(address.bytes().data()), address.is_v6() ? 16 : 4);
}

/// Whether what has come so far is how `start` begins.
bool may_start_with(std::string_view text, std::string_view start) {
  return start.starts_with(text.substr(0, start.size()));
}

}  // namespace

std::string encode_proxy_v1(const ProxyAddresses& addresses) {
  const std::string_view family = family_name(addresses);
  std::string header = std::string(kV1Start).append(family);
  if (family != "UNKNOWN")
    header += " " + addresses.source.ip.to_string() + " " + addresses.destination.ip.to_string() +
              " " + std::to_string(addresses.source.port) + " " +
              std::to_string(addresses.destination.port);
  return header += "\r\n";
}

std::string encode_proxy_v2(const ProxyAddresses& addresses, std::string_view netns) {
  const std::string_view family = family_name(addresses);
  netns = netns.substr(0, kLongestNetns);
  std::string body;
  if (family != "UNKNOWN") {
    append_address(body, addresses.source.ip);
    append_address(body, addresses.destination.ip);
    append_number(body, addresses.source.port);
    append_number(body, addresses.destination.port);
  }
  body += kTypeNetns;
  append_number(body, netns.size());
  body += netns;
  std::string header(kV2Start);
  header += static_cast<char>(kV2Proxy);
  header += family == "UNKNOWN" ? '\0' : family == "TCP6" ? kTcp6 : kTcp4;
  append_number(header, body.size());
  return header += body;
}

ProxyHeader parse_proxy_header(std::span<const std::byte> data) {
  const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
  if (may_start_with(text, kV1Start))
    return text.size() < kV1Start.size() ? ProxyHeader() : parse_v1(text);
  if (may_start_with(text, kV2Start))
    return parse_v2(text);
  return invalid("the stream does not begin with one");
}

}  // namespace nsrelay
