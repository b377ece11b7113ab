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
/// While its descriptor is open a namespace file holds the namespace alive; a process does not.
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

  /// Whether this kernel tells the identity of a namespace file without entering it (NS_GET_ID).
  static bool kernel_tells_identity();

  /// SO_NETNS_COOKIE of every socket in it (socket(7)): never given twice since boot.
  [[nodiscard]] std::uint64_t cookie() const { return cookie_; }

  /// A descriptor for setns(2): a namespace file or a pidfd. Opened again where it was parked;
  /// fails with ESTALE where the path or the process means another namespace by now, or with the
  /// error of open(2).
  [[nodiscard]] Result<int> fd() const;

  /// A namespace file of its own, for what does not take a pidfd. Fails as fd() does.
  [[nodiscard]] Result<UniqueFd> file() const;

  /// Closes the descriptor until it is needed again, where there is a path to open it by: thousands
  /// of namespaces that nobody enters at present then cost none.
  void park() const;

  /// That of the process that it was made from (pidfd_open(2)); -1 for one made from a file.
  [[nodiscard]] int pidfd() const { return is_of_process_ ? fd_.get() : -1; }

  /// Whether the process ended that it was made from. Never for one made from a file.
  [[nodiscard]] bool process_has_ended() const;

 private:
  Netns(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  [[nodiscard]] Result<Netns> open_again() const;

  static Result<Netns> from_file(UniqueFd file, const std::string& path);

  mutable UniqueFd fd_;
  std::string path_;  ///< of the namespace file
  bool is_of_process_ = false;
  std::uint64_t cookie_ = 0;
};

/// The identity of the namespace that a socket is in (SO_NETNS_COOKIE, Linux 5.14).
Result<std::uint64_t> netns_cookie_of_socket(int fd);

}  // namespace nsrelay
