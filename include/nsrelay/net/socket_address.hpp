#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "nsrelay/base/ip_address.hpp"
#include "nsrelay/base/result.hpp"

namespace nsrelay {

/// An IP address and a port, in 20 bytes: what a connection remembers of its peers.
struct IpEndpoint {
  IpAddress ip;
  std::uint16_t port = 0;

  /// `10.0.0.1:80` or `[2001:db8::1]:80`.
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const IpEndpoint&, const IpEndpoint&) = default;
};

/// An address as system calls take and give it: IPv4, IPv6 or Unix.
class SocketAddress {
 public:
  /// Empty, with room for any family: to be filled by accept4(2), getsockname(2) and the like.
  SocketAddress() = default;

  /// `scope` is the interface index that a link-local IPv6 address needs, else 0.
  explicit SocketAddress(const IpEndpoint& endpoint, std::uint32_t scope = 0);

  /// A Unix path, at most 107 bytes; a leading '@' stands for the NUL of an abstract name
  /// (unix(7)). The error names the limit.
  static Result<SocketAddress> unix_path(std::string_view path);

  [[nodiscard]] int family() const { return storage_.any.sa_family; }
  [[nodiscard]] bool is_unix() const { return family() == AF_UNIX; }

  /// The IP address and port; a mapped IPv4 address (of a dual-stack socket) as IPv4. Must not be
  /// called for a Unix address.
  [[nodiscard]] IpEndpoint endpoint() const;

  /// For IPv6: the interface index, else 0.
  [[nodiscard]] std::uint32_t scope() const;

  /// `10.0.0.1:80`, `[2001:db8::1]:80`, `unix:/run/app.sock`, `unix:@abstract`.
  [[nodiscard]] std::string to_string() const;

  // For system calls. After a call that writes the address, size is what the kernel said.
  [[nodiscard]] const sockaddr* data() const { return &storage_.any; }
  sockaddr* data() { return &storage_.any; }
  [[nodiscard]] socklen_t size() const { return size_; }
  /// To be passed as the length argument of a call that fills the address.
  socklen_t* size_to_fill() {
    size_ = sizeof storage_;
    return &size_;
  }

 private:
  union Storage {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un un;
  };

  Storage storage_{};
  socklen_t size_ = sizeof(Storage);
};

}  // namespace nsrelay
