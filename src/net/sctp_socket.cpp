#include "nsrelay/net/sctp_socket.hpp"

#include <netinet/in.h>
#include <netinet/sctp.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <vector>

#include "nsrelay/net/socket_options.hpp"

namespace nsrelay {
namespace {

Result<void> set_sctp_option(int fd, int option, const void* value, socklen_t size,
                             const char* what) {
  if (::setsockopt(fd, IPPROTO_SCTP, option, value, size) != 0)
    return Error::from_errno(what);
  return {};
}

Result<void> notify(int fd, std::uint16_t type, const char* what) {
  const sctp_event event{SCTP_FUTURE_ASSOC, type, 1};
  return set_sctp_option(fd, SCTP_EVENT, &event, sizeof event, what);
}

struct Buffer {
  int option;
  int forced_option;
  const char* name;
};

constexpr Buffer kSendBuffer = {SO_SNDBUF, SO_SNDBUFFORCE, "SO_SNDBUF"};
constexpr Buffer kReceiveBuffer = {SO_RCVBUF, SO_RCVBUFFORCE, "SO_RCVBUF"};

/// What is wanted, or what there is, but so much at least that a message of `least` bytes fits. The
/// kernel doubles what it is given, and counts its own overhead. Forced where privileges allow.
Result<void> set_buffer(int fd, const Buffer& buffer, std::optional<ByteSize> wanted,
                        ByteSize least) {
  int present = 0;
  socklen_t size = sizeof present;
  if (::getsockopt(fd, SOL_SOCKET, buffer.option, &present, &size) != 0)
    return Error::from_errno(buffer.name);
  if (!wanted && static_cast<std::uint64_t>(present) >= 2 * least.bytes)
    return {};
  const std::uint64_t bytes = std::max(wanted ? wanted->bytes : 0, least.bytes);
  const int value =
      static_cast<int>(std::min<std::uint64_t>(bytes, std::numeric_limits<int>::max()));
  if (::setsockopt(fd, SOL_SOCKET, buffer.forced_option, &value, sizeof value) == 0)
    return {};
  return set_option(fd, SOL_SOCKET, buffer.option, value, buffer.name);
}

/// As sctp_bindx(3) and sctp_connectx(3) want them: one behind the other, each in its own length.
std::vector<std::byte> pack(std::span<const SocketAddress> addresses) {
  std::vector<std::byte> packed;
  for (const SocketAddress& address : addresses) {
    const auto* bytes = reinterpret_cast<const std::byte*>(address.data());
    packed.insert(packed.end(), bytes, bytes + address.size());
  }
  return packed;
}

/// What sctp_getladdrs(3) and sctp_getpaddrs(3) give.
std::vector<SocketAddress> unpack(const sockaddr* packed, int count) {
  std::vector<SocketAddress> addresses(static_cast<std::size_t>(count));
  const auto* bytes = reinterpret_cast<const std::byte*>(packed);
  for (SocketAddress& address : addresses) {
    sa_family_t family = 0;
    std::memcpy(&family, bytes + offsetof(sockaddr, sa_family), sizeof family);
    const std::size_t size = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    std::memcpy(address.data(), bytes, size);
    bytes += size;
  }
  return addresses;
}

std::vector<SocketAddress> local_addresses(int fd) {
  sockaddr* packed = nullptr;
  const int count = ::sctp_getladdrs(fd, 0, &packed);
  if (count <= 0)
    return {};
  std::vector<SocketAddress> found = unpack(packed, count);
  ::sctp_freeladdrs(packed);
  return found;
}

std::vector<IpEndpoint> endpoints_of(const std::vector<SocketAddress>& addresses) {
  std::vector<IpEndpoint> endpoints;
  endpoints.reserve(addresses.size());
  for (const SocketAddress& address : addresses)
    endpoints.push_back(address.endpoint());
  return endpoints;
}

}  // namespace

Result<void> apply_sctp_options(int fd, const SctpOptions& options) {
  Result<void> set =
      set_option(fd, IPPROTO_SCTP, SCTP_NODELAY, options.nodelay ? 1 : 0, "SCTP_NODELAY");
  if (set)
    set = set_option(fd, IPPROTO_SCTP, SCTP_RECVRCVINFO, 1, "SCTP_RECVRCVINFO");
  if (set)
    set = notify(fd, SCTP_ASSOC_CHANGE, "SCTP_ASSOC_CHANGE");
  if (set)
    set = notify(fd, SCTP_PARTIAL_DELIVERY_EVENT, "SCTP_PARTIAL_DELIVERY_EVENT");
  if (set)
    set = set_buffer(fd, kSendBuffer, options.send_buffer, options.longest_message);
  return set ? set_buffer(fd, kReceiveBuffer, options.receive_buffer, options.longest_message)
             : set;
}

Result<void> request_sctp_streams(int fd, SctpStreams streams) {
  // Zero attempts and timeout: net.sctp.max_init_retransmits and net.sctp.rto_max hold.
  const sctp_initmsg init{streams.outbound, streams.inbound, 0, 0};
  return set_sctp_option(fd, SCTP_INITMSG, &init, sizeof init, "SCTP_INITMSG");
}

std::optional<SctpStreams> granted_sctp_streams(int fd) noexcept {
  sctp_status status{};
  socklen_t size = sizeof status;
  if (::getsockopt(fd, IPPROTO_SCTP, SCTP_STATUS, &status, &size) != 0)
    return std::nullopt;
  return SctpStreams{status.sstat_outstrms, status.sstat_instrms};
}

std::uint32_t unacknowledged_sctp_chunks(int fd) noexcept {
  sctp_status status{};
  socklen_t size = sizeof status;
  if (::getsockopt(fd, IPPROTO_SCTP, SCTP_STATUS, &status, &size) != 0)
    return 0;
  return std::uint32_t{status.sstat_unackdata} + status.sstat_penddata;
}

Result<void> bind_sctp(int fd, std::span<const SocketAddress> addresses) {
  std::vector<std::byte> packed = pack(addresses);
  if (::sctp_bindx(fd, reinterpret_cast<sockaddr*>(packed.data()),
                   static_cast<int>(addresses.size()), SCTP_BINDX_ADD_ADDR) != 0)
    return Error::from_errno("bind");
  return {};
}

bool is_sctp_bound_to(int fd, std::span<const SocketAddress> addresses) {
  const std::vector<SocketAddress> found = local_addresses(fd);
  return found.size() == addresses.size() &&
         std::all_of(addresses.begin(), addresses.end(), [&](const SocketAddress& wanted) {
           return std::any_of(found.begin(), found.end(), [&](const SocketAddress& one) {
             return one.endpoint() == wanted.endpoint() && one.scope() == wanted.scope();
           });
         });
}

std::vector<IpEndpoint> sctp_local_endpoints(int fd) {
  return endpoints_of(local_addresses(fd));
}

std::vector<IpEndpoint> sctp_peer_endpoints(int fd) {
  sockaddr* packed = nullptr;
  const int count = ::sctp_getpaddrs(fd, 0, &packed);
  if (count <= 0)
    return {};
  const std::vector<SocketAddress> found = unpack(packed, count);
  ::sctp_freepaddrs(packed);
  return endpoints_of(found);
}

Result<void> connect_sctp(int fd, std::span<const SocketAddress> addresses) {
  std::vector<std::byte> packed = pack(addresses);
  if (::sctp_connectx(fd, reinterpret_cast<sockaddr*>(packed.data()),
                      static_cast<int>(addresses.size()), nullptr) != 0 &&
      errno != EINPROGRESS)
    return Error::from_errno("connect");
  return {};
}

Result<void> notify_when_acknowledged(int fd) noexcept {
  return notify(fd, SCTP_SENDER_DRY_EVENT, "SCTP_SENDER_DRY_EVENT");
}

bool is_sctp_missing(int error) {
  return error == EPROTONOSUPPORT || error == ESOCKTNOSUPPORT || error == ENOSYS;
}

Error explain_missing_sctp(Error error) {
  switch (error.number()) {
    case EPROTONOSUPPORT:
    case ESOCKTNOSUPPORT:
      return std::move(error).with_context("this kernel has no SCTP (modprobe sctp)");
    case ENOSYS:  // listen(2), where the digest cannot be had that signs cookies
      return std::move(error).with_context(
          "SCTP lacks the digest that net.sctp.cookie_hmac_alg names (modprobe md5 sha1_generic "
          "hmac)");
    default:
      return error;
  }
}

}  // namespace nsrelay
