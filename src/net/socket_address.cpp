#include "nsrelay/net/socket_address.hpp"

#include <arpa/inet.h>

#include <cstddef>
#include <cstring>

namespace nsrelay {

std::string IpEndpoint::to_string() const {
  std::string text = ip.is_v6() ? "[" + ip.to_string() + "]" : ip.to_string();
  text += ':';
  text += std::to_string(port);
  return text;
}

SocketAddress::SocketAddress(const IpEndpoint& endpoint, std::uint32_t scope) {
  if (endpoint.ip.is_v6()) {
    storage_.v6 = {};
    storage_.v6.sin6_family = AF_INET6;
    storage_.v6.sin6_port = htons(endpoint.port);
    storage_.v6.sin6_addr = endpoint.ip.v6();
    storage_.v6.sin6_scope_id = scope;
    size_ = sizeof storage_.v6;
  } else {
    storage_.v4 = {};
    storage_.v4.sin_family = AF_INET;
    storage_.v4.sin_port = htons(endpoint.port);
    storage_.v4.sin_addr = endpoint.ip.v4();
    size_ = sizeof storage_.v4;
  }
}

Result<SocketAddress> SocketAddress::unix_path(std::string_view path) {
  SocketAddress address;
  sockaddr_un& un = address.storage_.un;
  if (path.empty() || path.size() >= sizeof un.sun_path)
    return Error("a Unix socket path has 1 to " + std::to_string(sizeof un.sun_path - 1) +
                 " bytes, this one has " + std::to_string(path.size()));
  un = {};
  un.sun_family = AF_UNIX;
  path.copy(un.sun_path, path.size());
  std::size_t length = path.size() + 1;  // a path counts its NUL, an abstract name has none
  if (path.front() == '@') {
    un.sun_path[0] = '\0';
    length = path.size();
  }
  address.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  return address;
}

IpEndpoint SocketAddress::endpoint() const {
  if (family() == AF_INET6)
    return {IpAddress(storage_.v6.sin6_addr), ntohs(storage_.v6.sin6_port)};
  return {IpAddress(storage_.v4.sin_addr), ntohs(storage_.v4.sin_port)};
}

std::uint32_t SocketAddress::scope() const {
  return family() == AF_INET6 ? storage_.v6.sin6_scope_id : 0;
}

std::string SocketAddress::to_string() const {
  if (!is_unix())
    return endpoint().to_string();
  const std::size_t length = size_ - offsetof(sockaddr_un, sun_path);
  if (length > 0 && storage_.un.sun_path[0] == '\0')
    return "unix:@" + std::string(storage_.un.sun_path + 1, length - 1);
  return "unix:" + std::string(storage_.un.sun_path, ::strnlen(storage_.un.sun_path, length));
}

}  // namespace nsrelay
