#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "nsrelay/config/config_loader.hpp"

namespace nsrelay {

/// A place in the file. Both numbers are 1-based; columns count bytes.
struct Position {
  int line = 1;
  int column = 1;

  friend auto operator<=>(const Position&, const Position&) = default;
};

/// Collects what is wrong with a file, in any order.
class FaultList {
 public:
  void add(Position position, std::string what);

  [[nodiscard]] bool empty() const { return faults_.empty(); }
  [[nodiscard]] std::size_t size() const { return faults_.size(); }

  /// Everything that was added, in file order. What an alias repeats appears once.
  std::vector<ConfigFault> take();

 private:
  std::vector<ConfigFault> faults_;
};

/// `text` in single quotes for a message: always one line and of bounded length, so control
/// characters are escaped and a long text is cut.
std::string in_quotes(std::string_view text);

}  // namespace nsrelay
