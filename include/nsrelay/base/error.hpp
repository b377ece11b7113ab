#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

namespace nsrelay {

/// Why something failed: a message for a person, and the errno it came from where there is one.
///
/// The message grows outwards: each level that passes the error on puts its own context before
/// it, so that the whole reads like
/// `rule "web": listen 10.0.0.1:80 in netns "blue": bind: Address already in use`.
class Error {
 public:
  /// An error that did not come from the kernel.
  explicit Error(std::string message) : message_(std::move(message)) {}

  /// `what: strerror(number)`, e.g. `bind: Address already in use`. `number` is an errno value.
  static Error from_errno(std::string_view what, int number);

  /// As above, with the current errno.
  static Error from_errno(std::string_view what) { return from_errno(what, errno); }

  /// The same error with `context: ` before its message.
  [[nodiscard]] Error with_context(std::string_view context) &&;

  [[nodiscard]] const std::string& message() const { return message_; }

  /// The errno value, or 0 where the error did not come from the kernel.
  [[nodiscard]] int number() const { return number_; }

 private:
  std::string message_;
  int number_ = 0;
};

/// The description of an errno value, e.g. "Connection refused". Never localised.
std::string errno_text(int number);

}  // namespace nsrelay
