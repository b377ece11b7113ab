#pragma once

#include <iosfwd>
#include <string>

namespace nsrelay {

/// `nsrelay check`: parses and validates `file` without opening a socket. Writes
/// `FILE: ok: N rules` to `out`, or to `err` one line per fault in file order.
///
/// Returns the exit status: 0, or 2 where the configuration is invalid or cannot be read.
int check_configuration(const std::string& file, std::ostream& out, std::ostream& err);

}  // namespace nsrelay
