#pragma once

#include "nsrelay/telemetry/reason.hpp"

namespace nsrelay {

/// What an errno of connect(2), or one that an ICMP message brought, says.
Reason reason_of_connect_error(int error);

/// Whether a failure says something about the target, rather than about this machine.
bool blames_target(Reason reason);

}  // namespace nsrelay
