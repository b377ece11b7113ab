#include "nsrelay/netns/route_monitor.hpp"

#include <libmnl/libmnl.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace nsrelay {
namespace {

constexpr unsigned kGroups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
constexpr std::size_t kBuffer = 8192;  // MNL_SOCKET_BUFFER_SIZE is a system call

/// Whether a batch of messages tells that something is there which was not.
bool tells_of_something_new(const void* messages, std::size_t size) {
  int left = static_cast<int>(size);
  for (const auto* message = static_cast<const nlmsghdr*>(messages); mnl_nlmsg_ok(message, left);
       message = mnl_nlmsg_next(message, &left))
    if (message->nlmsg_type == RTM_NEWADDR || message->nlmsg_type == RTM_NEWLINK)
      return true;
  return false;
}

// PIDFD_GET_NET_NAMESPACE of linux/pidfd.h (since 6.11), newer than Debian 12's.
constexpr unsigned long kPidfdGetNetNamespace = _IO(0xFF, 4);

/// rtnetlink knows namespaces by their files, not by a pidfd. Nothing for what is a file already,
/// and for a pidfd of an older kernel.
UniqueFd namespace_file_of_pidfd(int fd) {
  return UniqueFd::adopt(::ioctl(fd, kPidfdGetNetNamespace, 0));
}

}  // namespace

void RouteMonitor::Close::operator()(mnl_socket* socket) const {
  ::mnl_socket_close(socket);
}

Result<RouteMonitor::Socket> RouteMonitor::open_socket(unsigned groups) {
  Socket socket(::mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket)
    return Error::from_errno("netlink socket");
  if (::mnl_socket_bind(socket.get(), groups, MNL_SOCKET_AUTOPID) != 0)
    return Error::from_errno("netlink bind");
  return socket;
}

Result<std::unique_ptr<RouteMonitor>> RouteMonitor::create(EventLoop& loop,
                                                           Delegate<void()> appeared) {
  auto events = open_socket(kGroups);
  if (!events)
    return std::move(events).error();
  auto requests = open_socket(0);
  if (!requests)
    return std::move(requests).error();
  int on = 1;
  if (::mnl_socket_setsockopt(events->get(), NETLINK_LISTEN_ALL_NSID, &on, sizeof on) != 0)
    return Error::from_errno("NETLINK_LISTEN_ALL_NSID");
  std::unique_ptr<RouteMonitor> made(new RouteMonitor(loop, appeared));
  made->events_ = *std::move(events);
  made->requests_ = *std::move(requests);
  auto started = made->watcher_.start(::mnl_socket_get_fd(made->events_.get()), EPOLLIN,
                                      IoCallback::to<&RouteMonitor::on_readable>(made.get()));
  if (!started)
    return std::move(started).error();
  return made;
}

RouteMonitor::~RouteMonitor() {
  watcher_.stop();
}

Result<void> RouteMonitor::include(const Netns& netns) {
  if (included_.contains(netns.cookie()))
    return {};
  const auto fd = netns.fd();
  if (!fd)
    return fd.error();
  const UniqueFd of_process = namespace_file_of_pidfd(*fd);
  const int file = of_process ? of_process.get() : *fd;
  std::array<char, kBuffer> buffer{};
  nlmsghdr* message = ::mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = RTM_NEWNSID;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  ::mnl_nlmsg_put_extra_header(message, sizeof(rtgenmsg));
  ::mnl_attr_put_u32(message, NETNSA_NSID, static_cast<std::uint32_t>(-1));  // any free one
  ::mnl_attr_put_u32(message, NETNSA_FD, static_cast<std::uint32_t>(file));
  // rtnetlink answers before sendto() returns.
  if (::mnl_socket_sendto(requests_.get(), message, message->nlmsg_len) < 0)
    return Error::from_errno("RTM_NEWNSID");
  const ssize_t size = ::mnl_socket_recvfrom(requests_.get(), buffer.data(), buffer.size());
  const unsigned port = ::mnl_socket_get_portid(requests_.get());
  // EEXIST: it has an id already.
  if ((size < 0 || ::mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 0, port, nullptr,
                                nullptr) < 0) &&
      errno != EEXIST)
    return Error::from_errno("RTM_NEWNSID");
  included_.insert(netns.cookie());
  return {};
}

void RouteMonitor::keep_only(const std::set<std::uint64_t>& cookies) {
  std::erase_if(included_, [&](std::uint64_t cookie) { return !cookies.contains(cookie); });
}

void RouteMonitor::on_readable(std::uint32_t /*events*/) noexcept {
  std::array<char, kBuffer> buffer;
  bool something_new = false;
  for (;;) {
    const ssize_t size = ::mnl_socket_recvfrom(events_.get(), buffer.data(), buffer.size());
    if (size > 0)
      something_new |= tells_of_something_new(buffer.data(), static_cast<std::size_t>(size));
    else if (size < 0 && (errno == ENOBUFS || errno == ENOSPC))
      something_new = true;  // events were lost, or one was too long to be read
    else
      break;
  }
  if (something_new)
    appeared_();
}

}  // namespace nsrelay
