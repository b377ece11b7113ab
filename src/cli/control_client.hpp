#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "nsrelay/base/duration.hpp"
#include "nsrelay/base/result.hpp"

namespace nsrelay {

/// What the daemon said to one question.
struct ControlAnswer {
  int status = 0;          ///< of HTTP
  std::string text;        ///< the JSON document as it came
  nlohmann::json content;  ///< the same, read

  [[nodiscard]] bool is_ok() const { return status / 100 == 2; }
  /// The text of `error`.
  [[nodiscard]] std::string error() const;
};

/// One question to the daemon.
struct ControlQuestion {
  std::string socket;                  ///< path of the control socket
  std::string_view method;             ///< GET or POST
  std::string target;                  ///< `/status`, with its query
  std::optional<Duration> patience{};  ///< how long the daemon may say nothing; absent: for ever
};

/// Asks and waits for the whole answer, whatever its status. The error is one line for the user:
/// nobody is there, we may not, it is not nsrelay, it went away meanwhile.
Result<ControlAnswer> ask_daemon(const ControlQuestion& question);

/// `text` for a query: what is not a letter or digit becomes `%20` and the like.
std::string percent_encoded(std::string_view text);

/// Reads a whole HTTP/1.0 answer (RFC 1945) of an nsrelay daemon.
Result<ControlAnswer> parse_answer(std::string_view text);

}  // namespace nsrelay
