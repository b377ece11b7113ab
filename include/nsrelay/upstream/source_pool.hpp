#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "nsrelay/base/ip_address.hpp"

namespace nsrelay {

/// The addresses to connect from (`source`), given out in turn. Every address of a network counts,
/// its first and last too: they are ordinary addresses where they are configured.
class SourcePool {
 public:
  explicit SourcePool(const std::vector<IpNetwork>& networks) : networks_(networks) {}

  /// No `source` in the rule: the kernel chooses.
  [[nodiscard]] bool empty() const { return networks_.empty(); }

  /// How many addresses there are of a family.
  [[nodiscard]] std::size_t size(bool v6) const;

  /// The next address of the family in turn; nothing where there is none.
  std::optional<IpAddress> next(bool v6);

 private:
  std::vector<IpNetwork> networks_;
  std::size_t turn_v4_ = 0;
  std::size_t turn_v6_ = 0;
};

}  // namespace nsrelay
