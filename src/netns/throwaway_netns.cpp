#include "nsrelay/netns/throwaway_netns.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

namespace nsrelay {
namespace {

constexpr const char* kFolder = "/run/netns";

std::string path_of(const std::string& name) {
  return std::string(kFolder) + "/" + name;
}

/// /run/netns must be a shared mount, so that names are seen in other mount namespaces too.
Result<void> prepare_folder() {
  if (::mkdir(kFolder, 0755) != 0 && errno != EEXIST)
    return Error::from_errno(kFolder);
  if (::mount("", kFolder, "none", MS_SHARED | MS_REC, nullptr) == 0)
    return {};
  if (errno != EINVAL || ::mount(kFolder, kFolder, "none", MS_BIND | MS_REC, nullptr) != 0 ||
      ::mount("", kFolder, "none", MS_SHARED | MS_REC, nullptr) != 0)
    return Error::from_errno(std::string("mount ") + kFolder);
  return {};
}

bool bring_loopback_up() {
  const UniqueFd socket = UniqueFd::adopt(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  return ::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0;
}

/// In a child process, so that this one never leaves its own namespace. Returns an errno.
int make_in_child(const std::string& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool made = ::unshare(CLONE_NEWNET) == 0 && bring_loopback_up() &&
                      ::mount("/proc/self/ns/net", path.c_str(), "none", MS_BIND, nullptr) == 0;
    ::_exit(made ? 0 : errno);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child)
    return errno;
  return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

}  // namespace

Result<std::unique_ptr<ThrowawayNetns>> ThrowawayNetns::create(const std::string& name) {
  if (auto prepared = prepare_folder(); !prepared)
    return std::move(prepared).error();
  const std::string path = path_of(name);
  const UniqueFd file =
      UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0));
  if (!file)
    return Error::from_errno(path);
  std::unique_ptr<ThrowawayNetns> made(new ThrowawayNetns(name));
  if (const int error = make_in_child(path); error != 0)
    return Error::from_errno("make network namespace " + name, error);
  auto netns = Netns::open(path);
  if (!netns)
    return std::move(netns).error();
  made->netns_ = std::make_unique<Netns>(*std::move(netns));
  return made;
}

ThrowawayNetns::~ThrowawayNetns() {
  remove();
}

void ThrowawayNetns::remove() {
  if (name_.empty())
    return;
  const std::string path = path_of(name_);
  netns_.reset();
  ::umount2(path.c_str(), MNT_DETACH);
  ::unlink(path.c_str());
  name_.clear();
}

}  // namespace nsrelay
