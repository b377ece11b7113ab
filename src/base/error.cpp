#include "nsrelay/base/error.hpp"

#include <cstring>

namespace nsrelay {

std::string errno_text(int number) {
  const char* text = ::strerrordesc_np(number);
  return text != nullptr ? text : "error " + std::to_string(number);
}

Error Error::from_errno(std::string_view what, int number) {
  Error error(std::string(what) + ": " + errno_text(number));
  error.number_ = number;
  return error;
}

Error Error::with_context(std::string_view context) && {
  message_.insert(0, ": ");
  message_.insert(0, context);
  return std::move(*this);
}

}  // namespace nsrelay
