#pragma once

#include <memory>
#include <string>

#include "nsrelay/control/http_exchange.hpp"
#include "nsrelay/control/status_report.hpp"

namespace nsrelay {

/// The JSON documents of the control socket. Those that can be long are written piece by piece.
/// Texts that are not UTF-8 have the replacement character in place of what is not.

std::unique_ptr<HttpBody> to_json(StatusReport report);
std::unique_ptr<HttpBody> to_json(std::unique_ptr<ConnectionSource> connections);
std::string to_json(const ReloadOutcome& outcome);
std::string to_json(const DrainOutcome& outcome);

/// "listening", "pending", "draining".
const char* to_string(ListenerState state);
/// "present", "absent", "deleted".
const char* to_string(NetnsState state);

}  // namespace nsrelay
