#include "nsrelay/control/control_socket.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "nsrelay/net/socket_address.hpp"

namespace nsrelay {
namespace {

constexpr mode_t kMode = 0660;
constexpr mode_t kFolderMode = 0755;
constexpr int kBacklog = 64;
constexpr const char* kGroup = "nsrelay";

UniqueFd make_unix_socket() {
  return UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

/// Holds what keeps two that start at once from taking each other's file for a stale one: a lock on
/// the folder (flock(2)), which leaves nothing behind. A stranger who holds it in a folder that all
/// may use, such as /tmp, does not keep us from starting: without it only that race is open.
UniqueFd lock_folder(const std::string& folder) {
  UniqueFd fd = UniqueFd::adopt(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int tries = 0; tries < 100 && fd; ++tries) {
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
      break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return fd;
}

/// Takes away what a daemon that did not end well has left. Fails where it is something else.
Result<void> remove_stale(const SocketAddress& address, const std::string& path) {
  struct stat file {};
  if (::lstat(path.c_str(), &file) != 0)
    return {};  // gone by now
  if (!S_ISSOCK(file.st_mode))
    return Error::from_errno("not a socket", EEXIST);
  const UniqueFd probe = make_unix_socket();
  if (!probe)
    return Error::from_errno("socket");
  // EAGAIN: its backlog is full, so somebody is behind it.
  if (::connect(probe.get(), address.data(), address.size()) == 0 || errno == EAGAIN)
    return Error::from_errno("another process serves it", EADDRINUSE);
  if (errno != ECONNREFUSED)
    return Error::from_errno("connect");
  if (::unlink(path.c_str()) != 0)
    return Error::from_errno("removing the stale file");
  return {};
}

/// The socket's group, where there is one; the mode holds from the beginning all the same.
void give_to_group(const std::string& path) {
  group entry{};
  group* found = nullptr;
  char buffer[16384];
  if (::getgrnam_r(kGroup, &entry, buffer, sizeof buffer, &found) != 0 || found == nullptr)
    return;
  // Without the right to do it only root can use the socket, which is safe.
  [[maybe_unused]] const int done = ::lchown(path.c_str(), static_cast<uid_t>(-1), found->gr_gid);
}

Result<UniqueFd> listen_at(const SocketAddress& address, const std::string& path) {
  UniqueFd socket = make_unix_socket();
  if (!socket)
    return Error::from_errno("socket");
  // The file gets the mode that the socket has when it is bound (less the umask, which can only
  // take from it): there is no moment at which others may connect.
  if (::fchmod(socket.get(), kMode) != 0)
    return Error::from_errno("fchmod");
  int bound = ::bind(socket.get(), address.data(), address.size());
  if (bound != 0 && errno == EADDRINUSE) {
    if (auto removed = remove_stale(address, path); !removed)
      return std::move(removed).error();
    bound = ::bind(socket.get(), address.data(), address.size());
  }
  if (bound != 0)
    return Error::from_errno("bind");
  if (::listen(socket.get(), kBacklog) != 0)
    return Error::from_errno("listen");
  ::chmod(path.c_str(), kMode);  // what the umask took
  give_to_group(path);
  return socket;
}

}  // namespace

Result<ControlSocket> ControlSocket::create(const std::string& path) {
  const std::string context = "control socket " + path;
  auto address = SocketAddress::unix_path(path);
  if (!address)
    return std::move(address).error().with_context(context);
  const std::string folder = std::filesystem::path(path).parent_path();
  ::mkdir(folder.c_str(), kFolderMode);  // where it fails for good, bind says why
  const UniqueFd lock = lock_folder(folder);
  auto socket = listen_at(*address, path);
  if (!socket)
    return std::move(socket).error().with_context(context);
  return ControlSocket(path, *std::move(socket));
}

ControlSocket::ControlSocket(std::string path, UniqueFd socket)
    : path_(std::move(path)), socket_(std::move(socket)) {
  struct stat file {};
  if (::lstat(path_.c_str(), &file) == 0) {
    device_ = file.st_dev;
    inode_ = file.st_ino;
  }
}

ControlSocket::ControlSocket(ControlSocket&& other) noexcept
    : path_(std::exchange(other.path_, "")),
      socket_(std::move(other.socket_)),
      device_(other.device_),
      inode_(other.inode_) {}

ControlSocket::~ControlSocket() {
  struct stat file {};
  if (path_.empty() || ::lstat(path_.c_str(), &file) != 0)
    return;
  if (file.st_dev == device_ && file.st_ino == inode_)
    ::unlink(path_.c_str());
}

}  // namespace nsrelay
