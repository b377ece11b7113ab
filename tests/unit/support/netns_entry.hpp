#pragma once

#include "nsrelay/netns/netns_registry.hpp"

namespace nsrelay::test {

/// An entry of the test's own, as the registry would share it. The entry must outlive all users.
inline NetnsRef borrow(const NetnsEntry& entry) {
  return {NetnsRef(), &entry};
}

}  // namespace nsrelay::test
