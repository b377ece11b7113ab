#pragma once

#include <string>
#include <vector>

namespace nsrelay {

/// One thing that `doctor` looked at.
struct Finding {
  enum class Grade {
    Good,      ///< as it should be
    Fallback,  ///< absent: the text says what is done instead, or what cannot be had
    Broken,    ///< nsrelay cannot do its job
  };
  Grade grade;
  std::string subject;
  std::string text;
};

/// Tries out what this kernel and these privileges allow. Leaves nothing behind.
std::vector<Finding> examine_system();

}  // namespace nsrelay
