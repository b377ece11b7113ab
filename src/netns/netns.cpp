#include "nsrelay/netns/netns.hpp"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <optional>

#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {
namespace {

/// The namespace of the calling thread, which need not be entered.
constexpr const char* kOwnFile = "/proc/thread-self/ns/net";

constexpr long kNsfsMagic = 0x6e736673;  // NSFS_MAGIC of linux/magic.h, absent from Debian 12's

// NS_GET_ID: for a network namespace its cookie, without entering it. Newer than Debian 12.
constexpr unsigned long kNsGetId = _IOR(0xb7, 13, std::uint64_t);

/// Of the namespace of the calling thread. Needs no privilege, unlike going there.
Result<std::uint64_t> cookie_of_new_socket() {
  UniqueFd socket = UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket)
    return Error::from_errno("socket");
  return netns_cookie_of_socket(socket.get());
}

/// Slow way for older kernels: a socket made inside knows the cookie.
Result<std::uint64_t> cookie_of_socket_inside(const Netns& netns) {
  auto scope = NetnsScope::enter(netns);
  if (!scope)
    return std::move(scope).error();
  return cookie_of_new_socket();
}

/// Nothing where the kernel is too old to tell without entering.
std::optional<std::uint64_t> cookie_of_file(int file) {
  std::uint64_t cookie = 0;
  if (::ioctl(file, kNsGetId, &cookie) != 0)
    return std::nullopt;
  return cookie;
}

UniqueFd open_file(const std::string& path) {
  return UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

}  // namespace

Result<std::uint64_t> netns_cookie_of_socket(int fd) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0)
    return Error::from_errno("SO_NETNS_COOKIE");
  return cookie;
}

Result<Netns> Netns::from_file(UniqueFd file, const std::string& path) {
  struct statfs info {};
  if (::fstatfs(file.get(), &info) != 0)
    return Error::from_errno(path);
  if (info.f_type != kNsfsMagic)
    return Error(path + ": not a namespace file");
  if (::ioctl(file.get(), NS_GET_NSTYPE) != CLONE_NEWNET)
    return Error(path + ": a namespace, but not a network namespace");
  Netns netns(std::move(file), path);
  if (const auto known = cookie_of_file(netns.fd_.get())) {
    netns.cookie_ = *known;
    return netns;
  }
  auto cookie = cookie_of_socket_inside(netns);
  if (!cookie)
    return std::move(cookie).error().with_context(path);
  netns.cookie_ = *cookie;
  return netns;
}

bool Netns::kernel_tells_identity() {
  const UniqueFd own = open_file(kOwnFile);
  return own && cookie_of_file(own.get()).has_value();
}

/// What the path means now, if that is this namespace still.
Result<Netns> Netns::open_again() const {
  auto again = path_ == kOwnFile ? current() : open(path_);
  if (process_has_ended())  // then the path may be its successor's
    return Error::from_errno(path_, ESRCH);
  if (again && again->cookie_ != cookie_)
    return Error::from_errno(path_, ESTALE);
  return again;
}

/// A pidfd leads to where its process is now, which may have moved.
Result<int> Netns::fd() const {
  if (fd_ && !is_of_process_)
    return fd_.get();
  auto again = open_again();
  if (!again)
    return std::move(again).error();
  if (!is_of_process_)
    fd_ = std::move(again->fd_);
  return fd_.get();
}

Result<UniqueFd> Netns::file() const {
  auto again = open_again();
  if (!again)
    return std::move(again).error();
  return std::move(again->fd_);
}

void Netns::park() const {
  if (!is_of_process_)
    fd_.close();
}

bool Netns::process_has_ended() const {
  // A pidfd is readable once its process has ended (pidfd_open(2)).
  pollfd ended{fd_.get(), POLLIN, 0};
  return is_of_process_ && ::poll(&ended, 1, 0) == 1;
}

Result<Netns> Netns::open(const std::string& path) {
  UniqueFd file = open_file(path);
  if (!file)
    return Error::from_errno(path);
  return from_file(std::move(file), path);
}

Result<Netns> Netns::current() {
  UniqueFd file = open_file(kOwnFile);
  if (!file)
    return Error::from_errno(kOwnFile);
  auto cookie = cookie_of_new_socket();
  if (!cookie)
    return std::move(cookie).error().with_context(kOwnFile);
  Netns netns(std::move(file), kOwnFile);
  netns.cookie_ = *cookie;
  return netns;
}

Result<Netns> Netns::of_process(pid_t pid) {
  UniqueFd pidfd = UniqueFd::adopt(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd)
    return Error::from_errno("pid " + std::to_string(pid));
  // The file is only read for the cookie: kept open, it would outlive the process.
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/net";
  auto file = open(path);
  if (!file)
    return std::move(file).error();
  Netns netns(std::move(pidfd), path);
  netns.is_of_process_ = true;
  netns.cookie_ = file->cookie();
  if (netns.process_has_ended())  // then the file may have been its successor's
    return Error::from_errno("pid " + std::to_string(pid), ESRCH);
  return netns;
}

}  // namespace nsrelay
