#include "nsrelay/netns/route_monitor.hpp"

#include <libmnl/libmnl.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <set>

#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {
namespace {

constexpr unsigned kGroups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
constexpr std::size_t kBuffer = 8192;  // MNL_SOCKET_BUFFER_SIZE is a system call

/// The id of a namespace that has none, and of the own one.
constexpr int kNoId = -1;

/// Whether a batch of messages tells of an address that is there now, or of an interface.
bool tells_of_change(const void* messages, std::size_t size) {
  int left = static_cast<int>(size);
  for (const auto* message = static_cast<const nlmsghdr*>(messages); mnl_nlmsg_ok(message, left);
       message = mnl_nlmsg_next(message, &left))
    if (message->nlmsg_type == RTM_NEWADDR || message->nlmsg_type == RTM_NEWLINK ||
        message->nlmsg_type == RTM_DELLINK)
      return true;
  return false;
}

int take_id_attribute(const nlattr* attribute, void* id) {
  if (mnl_attr_get_type(attribute) == NETNSA_NSID)
    *static_cast<int*>(id) = static_cast<int>(mnl_attr_get_u32(attribute));
  return MNL_CB_OK;
}

/// An answer to RTM_GETNSID (RTM_NEWNSID); an acknowledgement has no id.
int take_id(const nlmsghdr* message, void* id) {
  return mnl_attr_parse(message, sizeof(rtgenmsg), take_id_attribute, id);
}

/// From which namespace a message came (NETLINK_LISTEN_ALL_NSID in netlink(7)).
int id_of(msghdr& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_NETLINK || control->cmsg_type != NETLINK_LISTEN_ALL_NSID)
      continue;
    int id = kNoId;
    std::memcpy(&id, CMSG_DATA(control), sizeof id);
    return id;
  }
  return kNoId;
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

Result<std::unique_ptr<RouteMonitor>> RouteMonitor::create(EventLoop& loop, Callback changed) {
  auto events = open_socket(kGroups);
  if (!events)
    return std::move(events).error();
  auto requests = open_socket(0);
  if (!requests)
    return std::move(requests).error();
  int on = 1;
  if (::mnl_socket_setsockopt(events->get(), NETLINK_LISTEN_ALL_NSID, &on, sizeof on) != 0)
    return Error::from_errno("NETLINK_LISTEN_ALL_NSID");
  std::unique_ptr<RouteMonitor> made(new RouteMonitor(loop, changed));
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
  if (netns.cookie() == home_netns().cookie() || included_.contains(netns.cookie()))
    return {};
  const auto file = netns.file();
  if (!file)
    return file.error();
  // EEXIST: it has an id already.
  if (auto made = request_id(RTM_NEWNSID, file->get()); !made && made.error().number() != EEXIST)
    return std::move(made).error();
  auto id = request_id(RTM_GETNSID, file->get());
  if (!id)
    return std::move(id).error();
  included_[netns.cookie()] = *id;
  cookies_[*id] = netns.cookie();
  return {};
}

/// rtnetlink answers before sendto() returns.
Result<int> RouteMonitor::request_id(unsigned type, int netns_file) {
  const char* what = type == RTM_NEWNSID ? "RTM_NEWNSID" : "RTM_GETNSID";
  std::array<char, kBuffer> buffer{};
  nlmsghdr* message = ::mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = static_cast<std::uint16_t>(type);
  message->nlmsg_flags = NLM_F_REQUEST;
  if (type == RTM_NEWNSID)
    message->nlmsg_flags |= NLM_F_ACK;
  ::mnl_nlmsg_put_extra_header(message, sizeof(rtgenmsg));
  if (type == RTM_NEWNSID)
    ::mnl_attr_put_u32(message, NETNSA_NSID, static_cast<std::uint32_t>(kNoId));  // any free one
  ::mnl_attr_put_u32(message, NETNSA_FD, static_cast<std::uint32_t>(netns_file));
  if (::mnl_socket_sendto(requests_.get(), message, message->nlmsg_len) < 0)
    return Error::from_errno(what);
  const ssize_t size = ::mnl_socket_recvfrom(requests_.get(), buffer.data(), buffer.size());
  const unsigned port = ::mnl_socket_get_portid(requests_.get());
  int id = kNoId;
  if (size < 0 ||
      ::mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 0, port, take_id, &id) < 0)
    return Error::from_errno(what);
  return id;
}

void RouteMonitor::forget(std::uint64_t cookie) {
  const auto known = included_.find(cookie);
  if (known == included_.end())
    return;
  // The kernel may have given the id to another one, which was included since.
  if (const auto owner = cookies_.find(known->second);
      owner != cookies_.end() && owner->second == cookie)
    cookies_.erase(owner);
  included_.erase(known);
}

/// Nothing for a namespace that nobody included.
std::optional<std::uint64_t> RouteMonitor::cookie_of(int id) const {
  if (id == kNoId)
    return home_netns().cookie();
  const auto known = cookies_.find(id);
  return known == cookies_.end() ? std::nullopt : std::optional(known->second);
}

/// Not through libmnl, which keeps the control message to itself.
void RouteMonitor::on_readable(std::uint32_t /*events*/) noexcept {
  std::array<char, kBuffer> buffer;
  std::array<char, CMSG_SPACE(sizeof(int))> control;
  std::set<std::uint64_t> changed;
  const int fd = ::mnl_socket_get_fd(events_.get());
  for (;;) {
    iovec part{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(fd, &message, MSG_DONTWAIT);
    if (size < 0 && errno != ENOBUFS)
      break;
    if (size < 0 || (message.msg_flags & MSG_TRUNC) != 0)
      changed.insert(0);  // events were lost
    else if (const auto cookie = cookie_of(id_of(message));
             cookie && tells_of_change(buffer.data(), static_cast<std::size_t>(size)))
      changed.insert(*cookie);
  }
  for (const std::uint64_t cookie : changed)
    changed_(cookie);
}

}  // namespace nsrelay
