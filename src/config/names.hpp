#pragma once

#include <string>
#include <string_view>

#include "nsrelay/base/result.hpp"

namespace nsrelay {

/// Each returns the text itself where it is a valid name of its kind; the error says what is
/// allowed.

/// 1 to 255 letters, digits, '_', '-' and '.'.
Result<std::string> parse_rule_name(std::string_view text);

/// 1 to 15 bytes without '/', ':', spaces and control characters (dev_valid_name() of the kernel).
Result<std::string> parse_interface_name(std::string_view text);

/// 1 to 15 letters, digits, '_' and '-' (TCP_CA_NAME_MAX). Whether the kernel has it shows when a
/// socket is made.
Result<std::string> parse_congestion_name(std::string_view text);

/// An absolute path of at most 107 bytes, which is what fits sockaddr_un (unix(7)).
Result<std::string> parse_unix_path(std::string_view text);

/// parse_unix_path(), or the empty text, which switches the socket off.
Result<std::string> parse_optional_unix_path(std::string_view text);

/// Dot-separated labels of 1 to 63 letters, digits and inner hyphens, together at most 253 bytes
/// (RFC 1123 2.1); a final dot is allowed. The last label is not all digits: that is a mistyped
/// IPv4 address.
Result<std::string> parse_host_name(std::string_view text);

/// `text` with every `{netns}` replaced by `name`. Any other brace is an error.
Result<std::string> replace_placeholders(std::string_view text, std::string_view name);

}  // namespace nsrelay
