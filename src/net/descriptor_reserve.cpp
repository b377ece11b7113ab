#include "nsrelay/net/descriptor_reserve.hpp"

#include <sys/eventfd.h>

namespace nsrelay {

bool DescriptorReserve::hold() {
  if (!fd_)
    fd_ = UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC));
  return fd_.is_open();
}

bool DescriptorReserve::spend() {
  const bool held = is_held();
  fd_.close();
  return held;
}

}  // namespace nsrelay
