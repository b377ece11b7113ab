#pragma once

#include <string_view>

#include "fault_list.hpp"

namespace nsrelay {

/// Whether `text` is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates) without NUL
/// and other control characters but tab and line ends. If not, adds a fault for the first bad byte.
///
/// This is done before the YAML parser sees the text, because yaml-cpp takes a 0x04 byte for the
/// end of the file and guesses UTF-16 from NULs.
bool check_text(std::string_view text, FaultList& faults);

}  // namespace nsrelay
