#include <fcntl.h>
#include <unistd.h>

#include "nsrelay/cli/command_line.hpp"

namespace {

/// Standard descriptors that the caller closed are opened on /dev/null: otherwise a socket would
/// get the number 2, and the log would be written into it.
void open_standard_descriptors() {
  int fd = 0;
  do
    fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd > STDERR_FILENO)
    ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_descriptors();
  return nsrelay::run_command_line(argc, argv);
}
