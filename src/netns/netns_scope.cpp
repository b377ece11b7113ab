#include "nsrelay/netns/netns_scope.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <optional>

namespace nsrelay {
namespace {

std::mutex& scope_mutex() {
  static std::mutex mutex;
  return mutex;
}

/// Home as a bare descriptor: finding its cookie on an older kernel takes a scope, which needs it.
/// Called with the mutex held. Tried again after a failure, which may have been EMFILE.
int home_fd() {
  static int fd = -1;
  if (fd < 0)
    fd = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  return fd;
}

Result<std::optional<NetnsScope>> enter_unless_home(const Netns& netns) {
  std::optional<NetnsScope> scope;
  if (netns.cookie() != home_netns().cookie()) {
    auto entered = NetnsScope::enter(netns);
    if (!entered)
      return std::move(entered).error();
    scope.emplace(*std::move(entered));
  }
  return scope;
}

Result<UniqueFd> open_socket(int family, int type, int protocol) {
  UniqueFd socket =
      UniqueFd::adopt(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  if (!socket)
    return Error::from_errno("socket");
  return socket;
}

}  // namespace

Result<NetnsScope> NetnsScope::enter(const Netns& netns) {
  const auto fd = netns.fd();  // before the lock: opening it again may take a scope of its own
  if (!fd)
    return fd.error();
  NetnsScope scope{std::unique_lock(scope_mutex())};
  if (home_fd() < 0)
    return Error::from_errno("the own network namespace, /proc/thread-self/ns/net");
  if (::setns(*fd, CLONE_NEWNET) != 0)
    return Error::from_errno("setns");
  scope.away_ = true;
  return scope;
}

NetnsScope::~NetnsScope() {
  if (!away_)
    return;
  const int saved = errno;
  if (::setns(home_fd(), CLONE_NEWNET) != 0) {
    std::perror("nsrelay: cannot return to the own network namespace, aborting: setns");
    std::abort();
  }
  errno = saved;
}

const Netns& home_netns() {
  static const Netns home = [] {
    auto netns = Netns::current();
    if (!netns) {
      std::fprintf(stderr, "nsrelay: the own network namespace: %s\n",
                   netns.error().message().c_str());
      std::abort();
    }
    return *std::move(netns);
  }();
  return home;
}

Result<UniqueFd> make_socket_in(const Netns& netns, int family, int type, int protocol) {
  const auto scope = enter_unless_home(netns);
  if (!scope)
    return scope.error();
  return open_socket(family, type, protocol);
}

Result<std::vector<UniqueFd>> make_sockets_in(const Netns& netns, int family, int type,
                                              int protocol, std::size_t count) {
  const auto scope = enter_unless_home(netns);
  if (!scope)
    return scope.error();
  std::vector<UniqueFd> sockets;
  sockets.reserve(count);
  while (sockets.size() < count) {
    auto socket = open_socket(family, type, protocol);
    if (!socket && sockets.empty())
      return std::move(socket).error();
    if (!socket)
      break;
    sockets.push_back(*std::move(socket));
  }
  return sockets;
}

Result<std::uint32_t> interface_index_in(const Netns& netns, const std::string& name) {
  auto scope = NetnsScope::enter(netns);
  if (!scope)
    return std::move(scope).error();
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0)
    return Error::from_errno("interface " + name);
  return index;
}

}  // namespace nsrelay
