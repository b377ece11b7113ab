#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "nsrelay/base/result.hpp"
#include "nsrelay/base/unique_fd.hpp"

namespace nsrelay {

/// A listening Unix socket at a path of the file system, and the file that belongs to it, which is
/// removed with the object, if it still is the same.
class ControlSocket {
 public:
  /// Makes the socket: mode 0660, never more, and of the group `nsrelay` where that exists and we
  /// may give it away. Makes the folder where only that is missing. A socket file without anybody
  /// behind it is replaced. Blocks for at most a second while another process does the same.
  /// Fails with EADDRINUSE where somebody is behind it, with EEXIST where something else than a
  /// socket is in the place, or with what the kernel says; the message names the path.
  static Result<ControlSocket> create(const std::string& path);

  ControlSocket(ControlSocket&& other) noexcept;
  ControlSocket& operator=(ControlSocket&& other) = delete;
  ~ControlSocket();

  [[nodiscard]] const std::string& path() const { return path_; }

  /// The listening socket; the file stays with this object.
  UniqueFd take_socket() { return std::move(socket_); }

 private:
  ControlSocket(std::string path, UniqueFd socket);

  std::string path_;  ///< empty: moved from
  UniqueFd socket_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace nsrelay
