#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "nsrelay/base/result.hpp"
#include "nsrelay/base/unique_fd.hpp"

namespace nsrelay {

/// A network namespace: something that setns(2) takes, and the kernel's cookie, which is its
/// identity. A name or an inode number is none: both are given to the next namespace at once.
///
/// Made from a file it holds the namespace alive; made from a process it does not.
class Netns {
 public:
  /// The namespace of the calling thread.
  static Result<Netns> current();

  /// The one bound at `path`. Fails with ENOENT where there is no file, and says so where the file
  /// is not a namespace (what `ip netns add` leaves for a moment before it mounts) or one of
  /// another kind.
  static Result<Netns> open(const std::string& path);

  /// The one of a process, held by its pidfd: it is gone when the process is. ESRCH where there is
  /// none.
  static Result<Netns> of_process(pid_t pid);

  /// SO_NETNS_COOKIE of every socket in it (socket(7)): never given twice since boot.
  [[nodiscard]] std::uint64_t cookie() const { return cookie_; }

  /// A namespace file or a pidfd, for setns(2).
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit Netns(UniqueFd fd) : fd_(std::move(fd)) {}

  static Result<Netns> from_file(UniqueFd file, const std::string& path);

  UniqueFd fd_;
  std::uint64_t cookie_ = 0;
};

}  // namespace nsrelay
