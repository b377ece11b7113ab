#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string_view>

namespace nsrelay {

/// The answer to `/status` for a person.
void print_status(const nlohmann::json& status, std::ostream& out, bool colour);

/// The answer to `/connections` for a person.
void print_connections(const nlohmann::json& connections, std::ostream& out, bool colour);

/// The escape sequence for a listener's state or a namespace's; empty: none.
std::string_view colour_of_state(std::string_view state);

}  // namespace nsrelay
