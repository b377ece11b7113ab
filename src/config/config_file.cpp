#include "config_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "nsrelay/base/unique_fd.hpp"

namespace nsrelay {
namespace {

/// O_NONBLOCK: opening a FIFO must not wait for its writer.
Result<UniqueFd> open_regular(const std::string& file) {
  if (file.find('\0') != std::string::npos)
    return Error("the file name contains a NUL byte");
  UniqueFd fd = UniqueFd::adopt(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0)
    return Error(errno_text(errno));
  if (S_ISDIR(status.st_mode))
    return Error(errno_text(EISDIR));
  if (!S_ISREG(status.st_mode))
    return Error("not a regular file");
  return fd;
}

}  // namespace

Result<std::string> read_config_file(const std::string& file) {
  auto fd = open_regular(file);
  if (!fd)
    return std::move(fd).error();
  std::string content;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t count = ::read(fd->get(), buffer.data(), buffer.size());
    if (count == 0)
      return content;
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return Error(errno_text(errno));
    content.append(buffer.data(), static_cast<std::size_t>(count));
    if (content.size() > kLargestConfigFile)
      return Error("the file is larger than 16 MiB");
  }
}

}  // namespace nsrelay
