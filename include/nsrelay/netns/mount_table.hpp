#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "nsrelay/base/unique_fd.hpp"

namespace nsrelay {

/// What /proc/self/mountinfo (proc(5)) said when it was last read, to tell what has changed. Read
/// in slices, because that takes milliseconds where there are thousands of mounts.
class MountTable {
 public:
  /// Reads on, `most` pages at most; begins anew where the last reading came to its end. Returns
  /// whether there is more to read. A file that cannot be read now is taken for unchanged.
  bool read(std::size_t most);

  /// The mount points at which something came, went, or changed, as far as is known by now.
  std::vector<std::string> take_changed();

 private:
  struct Mount {
    std::string root_and_point;  ///< as it stands in the file
    std::uint64_t round = 0;
  };

  void take_line(std::string_view line);
  void end_round();
  void note(std::string_view root_and_point);

  std::unordered_map<std::uint64_t, Mount> mounts_;  // by id
  std::uint64_t round_ = 0;
  UniqueFd file_;
  std::string rest_;  ///< the beginning of a line whose end was not read yet
  std::vector<std::string> changed_;
};

}  // namespace nsrelay
