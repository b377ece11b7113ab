#include "nsrelay/base/unique_fd.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace nsrelay {

void UniqueFd::close() noexcept {
  if (fd_ < 0)
    return;
  const int saved = errno;
  // EINTR still closes on Linux (close(2)); EBADF means that somebody else closed our descriptor
  // and may by now own the number: going on would corrupt a stranger's connection.
  if (::close(std::exchange(fd_, -1)) != 0 && errno == EBADF)
    std::abort();
  errno = saved;
}

}  // namespace nsrelay
