#include "self_test.hpp"

#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/net/io_result.hpp"
#include "nsrelay/net/pipe_pool.hpp"
#include "nsrelay/net/sctp_socket.hpp"
#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/netns/mount_visibility.hpp"
#include "nsrelay/netns/mount_watcher.hpp"
#include "nsrelay/netns/netns_scope.hpp"
#include "nsrelay/netns/route_monitor.hpp"

namespace nsrelay {
namespace {

using Grade = Finding::Grade;

#ifndef IPPROTO_MPTCP
constexpr int IPPROTO_MPTCP = 262;
#endif

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

bool has_capability(unsigned capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) != 0)
    return false;
  return (data[capability / 32].effective >> (capability % 32) & 1U) != 0;
}

bool has_socket(int family, int type, int protocol) {
  return UniqueFd::adopt(::socket(family, type | SOCK_CLOEXEC, protocol)).is_open();
}

Finding kernel() {
  utsname name{};
  ::uname(&name);
  return {Grade::Good, "kernel", std::string(name.sysname) + " " + name.release};
}

Finding own_namespace() {
  auto own = Netns::current();
  if (!own)
    return {Grade::Broken, "network namespace", own.error().message()};
  return {Grade::Good, "network namespace",
          "the own one has cookie " + std::to_string(own->cookie())};
}

Finding entering_namespaces() {
  if (!has_capability(CAP_SYS_ADMIN))
    return {
        Grade::Fallback, "enter namespaces",
        "no CAP_SYS_ADMIN: only netns: default can be served; listeners elsewhere stay pending"};
  auto scope = NetnsScope::enter(home_netns());
  if (!scope)
    return {Grade::Broken, "enter namespaces", scope.error().message()};
  return {Grade::Good, "enter namespaces", "setns works"};
}

Finding named_namespaces() {
  std::error_code error;
  const std::filesystem::directory_iterator entries("/run/netns", error);
  if (error)
    return {Grade::Good, "named namespaces", "/run/netns does not exist yet: none is named"};
  const auto count = std::distance(begin(entries), end(entries));
  return {Grade::Good, "named namespaces", std::to_string(count) + " in /run/netns"};
}

Finding namespace_identity() {
  if (Netns::kernel_tells_identity())
    return {Grade::Good, "namespace identity", "the cookie, read without entering (NS_GET_ID)"};
  return {Grade::Fallback, "namespace identity",
          "the cookie, read by a socket made inside (NS_GET_ID is not in this kernel)"};
}

Finding namespace_events(EventLoop& loop) {
  const auto watcher = MountWatcher::create(loop, {});
  if (!watcher)
    return {Grade::Fallback, "namespace events", "none: names are looked up every half second"};
  return {Grade::Good, "namespace events",
          "mount events by " + std::string(to_string((*watcher)->method())) +
              ", and a look at every name every 5 s"};
}

Finding namespace_visibility() {
  std::ostringstream text;
  text << std::ifstream("/proc/self/mountinfo").rdbuf();
  switch (mount_visibility(text.str(), "/run/netns")) {
    case MountVisibility::Shared:
      return {Grade::Good, "new namespaces", "names that others add to /run/netns are seen here"};
    case MountVisibility::Slave:
      return {Grade::Good, "new namespaces",
              "names that others add to /run/netns arrive here (slave mount)"};
    case MountVisibility::Private:
      break;
  }
  return {Grade::Fallback, "new namespaces",
          "/run is a private mount: names that other mount namespaces add are not seen; run in the "
          "host's mount namespace or with slave propagation"};
}

Finding address_events(EventLoop& loop) {
  const auto monitor = RouteMonitor::create(loop, {});
  if (monitor)
    return {Grade::Good, "address events", "one netlink socket hears every namespace"};
  return {
      Grade::Fallback, "address events",
      monitor.error().message() + ": listeners that wait for an address are tried every second"};
}

Finding low_ports() {
  if (has_capability(CAP_NET_BIND_SERVICE))
    return {Grade::Good, "ports below 1024", "CAP_NET_BIND_SERVICE"};
  return {Grade::Fallback, "ports below 1024",
          "no CAP_NET_BIND_SERVICE: only from net.ipv4.ip_unprivileged_port_start on (" +
              first_line("/proc/sys/net/ipv4/ip_unprivileged_port_start") + ")"};
}

Finding ipv6() {
  if (has_socket(AF_INET6, SOCK_STREAM, 0))
    return {Grade::Good, "IPv6", "available"};
  return {Grade::Fallback, "IPv6", "not in this kernel: *:PORT listens on IPv4 only"};
}

Finding mptcp() {
  if (has_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP))
    return {Grade::Good, "MPTCP", "available"};
  return {Grade::Fallback, "MPTCP",
          "not available (net.mptcp.enabled): rules with mptcp: true listen with plain TCP"};
}

/// Whether it is in the kernel, and whether it can listen: cookies are signed with a digest that is
/// a module too.
Finding sctp() {
  const auto socket = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP));
  Error error = Error::from_errno("socket");
  if (socket && ::listen(socket.get(), 1) == 0)
    return {Grade::Good, "SCTP", "available: messages, streams, several addresses"};
  if (socket)
    error = Error::from_errno("listen");
  return {Grade::Fallback, "SCTP",
          explain_missing_sctp(std::move(error)).message() +
              "; listeners of protocol sctp stay pending and are tried every 30 s"};
}

/// Sends one byte through a pipe from one stream socket to another.
Finding splice_path() {
  PipePool pool({});
  const PipePool::Loan pipe = pool.borrow();
  if (!pipe)
    return {Grade::Fallback, "splice", "no pipe of 64 KiB can be had: everything is copied"};
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
    return {Grade::Broken, "splice", "socketpair: " + errno_text(errno)};
  const UniqueFd from = UniqueFd::adopt(pair[0]);
  const UniqueFd to = UniqueFd::adopt(pair[1]);
  const std::byte byte{42};
  const bool moved = send(to.get(), {&byte, 1}).status == IoStatus::Ok &&
                     splice_from(from.get(), *pipe).status == IoStatus::Ok &&
                     splice_to(from.get(), *pipe).status == IoStatus::Ok;
  if (!moved)
    return {Grade::Fallback, "splice", "does not work here: everything is copied"};
  return {Grade::Good, "splice",
          "bulk data stays in the kernel, pipes of " + std::to_string(pipe->capacity() / 1024) +
              " KiB"};
}

Finding udp_bursts() {
  const auto socket = UniqueFd::adopt(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const bool gro = set_option(socket.get(), SOL_UDP, UDP_GRO, 1, "UDP_GRO").has_value();
  const bool gso = set_option(socket.get(), SOL_UDP, UDP_SEGMENT, 1200, "UDP_SEGMENT").has_value();
  if (gro && gso)
    return {Grade::Good, "UDP GRO, GSO", "bursts of datagrams are received and sent as one"};
  return {Grade::Fallback, "UDP GRO, GSO",
          std::string(gro ? "no UDP_SEGMENT" : "no UDP_GRO") +
              ": datagrams go one by one, many in one system call"};
}

Finding udp_buffers() {
  if (has_capability(CAP_NET_ADMIN))
    return {Grade::Good, "UDP buffers", "4 MiB (CAP_NET_ADMIN), or as the rule says"};
  return {Grade::Fallback, "UDP buffers",
          "no CAP_NET_ADMIN: at most net.core.rmem_max, " +
              first_line("/proc/sys/net/core/rmem_max") + " bytes; bursts may overflow it"};
}

Finding congestion_control() {
  return {Grade::Good, "congestion control",
          "default " + first_line("/proc/sys/net/ipv4/tcp_congestion_control") + "; available " +
              first_line("/proc/sys/net/ipv4/tcp_available_congestion_control")};
}

Finding descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const Grade grade = limit.rlim_max < 4096 ? Grade::Fallback : Grade::Good;
  return {grade, "open files",
          "soft limit " + std::to_string(limit.rlim_cur) + ", raised at start to the hard limit " +
              std::to_string(limit.rlim_max) + ": about " + std::to_string(limit.rlim_max / 2) +
              " connections"};
}

Finding backlog() {
  return {Grade::Good, "backlog",
          "net.core.somaxconn caps it at " + first_line("/proc/sys/net/core/somaxconn") +
              " here; each namespace has its own"};
}

Finding source_ports() {
  std::string range = first_line("/proc/sys/net/ipv4/ip_local_port_range");
  std::replace(range.begin(), range.end(), '\t', '-');
  return {Grade::Good, "source ports",
          range + " per source address and target (net.ipv4.ip_local_port_range, per namespace)"};
}

}  // namespace

std::vector<Finding> examine_system() {
  auto loop = EventLoop::create();
  if (!loop)
    return {{Grade::Broken, "event loop", loop.error().message()}};
  EventLoop& events = **loop;
  return {kernel(),
          own_namespace(),
          entering_namespaces(),
          named_namespaces(),
          namespace_identity(),
          namespace_events(events),
          namespace_visibility(),
          address_events(events),
          low_ports(),
          ipv6(),
          mptcp(),
          sctp(),
          splice_path(),
          udp_bursts(),
          udp_buffers(),
          congestion_control(),
          descriptors(),
          backlog(),
          source_ports()};
}

}  // namespace nsrelay
