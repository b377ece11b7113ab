#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace nsrelay {

/// Keeps keys in the order in which they are written.
using Json = nlohmann::ordered_json;

/// `json` on one line. Names come from files, which may have any bytes.
inline std::string to_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace nsrelay
