#pragma once

#include "nsrelay/base/unique_fd.hpp"

namespace nsrelay {

/// One descriptor held back for the day on which there are no more. Nobody is accepted unless it
/// is held, so that a client that was accepted can always be served or refused, never left hanging.
class DescriptorReserve {
 public:
  DescriptorReserve() { hold(); }

  /// Takes one again if it was spent. Returns whether it is held; false: still out (EMFILE).
  bool hold();

  /// Gives it back to the system for one use. Returns false if it was spent already.
  bool spend();

  [[nodiscard]] bool is_held() const { return fd_.is_open(); }

 private:
  UniqueFd fd_;
};

}  // namespace nsrelay
