#include "nsrelay/net/proxy_header.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nsrelay {
namespace {

using namespace std::literals;
using Status = ProxyHeader::Status;

IpEndpoint endpoint(std::string_view ip, std::uint16_t port) {
  return {*IpAddress::parse(ip), port};
}

const ProxyAddresses kV4 = {endpoint("192.0.2.1", 5000), endpoint("10.0.0.9", 80)};
const ProxyAddresses kV6 = {endpoint("2001:db8::1", 65535), endpoint("2001:db8::9", 0)};

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string kBodyV4 = "\xc0\x00\x02\x01\x0a\x00\x00\x09\x13\x88\x00\x50"s;

ProxyHeader parse(std::string_view text) {
  return parse_proxy_header(std::as_bytes(std::span(text)));
}

TEST(ProxyHeader, Version1IsALine) {
  EXPECT_EQ(encode_proxy_v1(kV4), "PROXY TCP4 192.0.2.1 10.0.0.9 5000 80\r\n");
  EXPECT_EQ(encode_proxy_v1(kV6), "PROXY TCP6 2001:db8::1 2001:db8::9 65535 0\r\n");
  EXPECT_EQ(encode_proxy_v1({kV4.source, kV6.source}), "PROXY UNKNOWN\r\n");
}

TEST(ProxyHeader, Version2IsBinaryAndCarriesTheNamespace) {
  EXPECT_EQ(encode_proxy_v2(kV4, "blue"),
            kSignature + "\x21\x11\x00\x13"s + kBodyV4 + "\x30\x00\x04"s + "blue");
  EXPECT_EQ(encode_proxy_v2({kV4.source, kV6.source}, "x"),
            kSignature + "\x21\x00\x00\x04\x30\x00\x01x"s);
  EXPECT_EQ(encode_proxy_v2(kV6, "").size(), 16U + 36U + 3U);
}

TEST(ProxyHeader, WhatIsEncodedIsParsed) {
  for (const ProxyAddresses& addresses : {kV4, kV6}) {
    for (const std::string& text : {encode_proxy_v1(addresses), encode_proxy_v2(addresses, "ns")}) {
      const ProxyHeader header = parse(text + "rest");
      EXPECT_EQ(header.status, Status::Complete);
      EXPECT_EQ(header.length, text.size());
      EXPECT_EQ(header.addresses, addresses);
    }
  }
}

TEST(ProxyHeader, IsIncompleteUntilAllIsKnown) {
  for (const std::string& text : {encode_proxy_v1(kV4), encode_proxy_v2(kV6, "")}) {
    const std::size_t known = text.size() - (text[0] == 'P' ? 0 : 3);  // TLVs are not waited for
    for (std::size_t size = 1; size < text.size(); ++size)
      EXPECT_EQ(parse(text.substr(0, size)).status,
                size < known ? Status::Incomplete : Status::Complete)
          << size;
  }
}

TEST(ProxyHeader, NoPrefixLongerThanPromisedIsNeeded) {
  const std::string unknown = "PROXY UNKNOWN " + std::string(91, 'x') + "\r\n";
  ASSERT_EQ(unknown.size(), kProxyHeaderPrefix);
  EXPECT_EQ(parse(unknown).status, Status::Complete);
  EXPECT_EQ(parse(std::string("PROXY UNKNOWN ").append(100, 'x')).status, Status::Invalid);
  const std::string longest = kSignature + "\x21\x21\xff\xff"s + std::string(36, 'x');
  EXPECT_LT(longest.size(), kProxyHeaderPrefix);
  EXPECT_EQ(parse(longest).status, Status::Complete);
  EXPECT_EQ(parse(longest).length, 16U + 65535U);
}

TEST(ProxyHeader, ThatNamesNobodyHasNoAddresses) {
  for (const std::string& text :
       {"PROXY UNKNOWN\r\n"s, "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"s,
        kSignature + "\x20\x00\x00\x00"s, kSignature + "\x20\x11\x00\x0c"s + kBodyV4,
        kSignature + "\x20\xff\x00\x05"s + "xxxxx", kSignature + "\x21\x00\x00\x00"s,
        kSignature + "\x21\x31\x00\xd8"s + std::string(216, '\0')}) {
    const ProxyHeader header = parse(text);
    EXPECT_EQ(header.status, Status::Complete) << testing::PrintToString(text);
    EXPECT_EQ(header.length, text.size());
    EXPECT_FALSE(header.addresses);
  }
}

TEST(ProxyHeader, AMappedAddressIsTheOneThatItMaps) {
  EXPECT_EQ(parse("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:10.0.0.9 5000 80\r\n").addresses, kV4);
}

TEST(ProxyHeader, IsInvalidWhereTheSpecificationDoesNotAllowIt) {
  for (const std::string& text : {"GET / HTTP/1.1\r\n"s,
                                  "\n"s,
                                  "PROXX"s,
                                  "\r\n\r\n\0\r\nQUIP"s,
                                  "PROXY \r\n"s,
                                  "PROXY\r\n"s,
                                  "PROXY TCP4 192.0.2.1 10.0.0.9 5000 80\n"s,
                                  "PROXY tcp4 192.0.2.1 10.0.0.9 5000 80\r\n"s,
                                  "PROXY UDP4 192.0.2.1 10.0.0.9 5000 80\r\n"s,
                                  "PROXY UNKNOWNX\r\n"s,
                                  "PROXY TCP4  192.0.2.1 10.0.0.9 5000 80\r\n"s,
                                  "PROXY TCP4 192.0.2.1 10.0.0.9 5000\r\n"s,
                                  "PROXY TCP4 192.0.2.1 10.0.0.9 5000 80 \r\n"s,
                                  "PROXY TCP4 192.0.2.1 10.0.0.9 5000 80 1\r\n"s,
                                  "PROXY TCP4 192.0.2.1 10.0.0.9 05000 80\r\n"s,
                                  "PROXY TCP4 192.0.2.1 10.0.0.9 65536 80\r\n"s,
                                  "PROXY TCP4 192.0.2.1 10.0.0.9 -1 80\r\n"s,
                                  "PROXY TCP4 192.0.2.1 10.0.0.9 +1 80\r\n"s,
                                  "PROXY TCP4 ::1 10.0.0.9 5000 80\r\n"s,
                                  "PROXY TCP6 ::1 10.0.0.9 5000 80\r\n"s,
                                  "PROXY TCP4 192.0.2.01 10.0.0.9 5000 80\r\n"s,
                                  "PROXY TCP4 192.0.2 10.0.0.9 5000 80\r\n"s,
                                  "PROXY TCP4 10.0.0.9\r5000 80\r\n"s,
                                  kSignature + "\x11\x11\x00\x0c"s,
                                  kSignature + "\x22"s,
                                  kSignature + "\x21\x41"s,
                                  kSignature + "\x21\x13"s,
                                  kSignature + "\x21\x11\x00\x0b"s,
                                  kSignature + "\x21\x21\x00\x23"s,
                                  kSignature + "\x21\x31\x00\xd7"s}) {
    const ProxyHeader header = parse(text);
    EXPECT_EQ(header.status, Status::Invalid) << testing::PrintToString(text);
    EXPECT_FALSE(header.fault.empty());
  }
}

}  // namespace
}  // namespace nsrelay
