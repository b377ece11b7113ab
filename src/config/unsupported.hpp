#pragma once

#include "nsrelay/config/option_table.hpp"
#include "yaml_document.hpp"

namespace nsrelay {

/// Adds a fault for every part of a valid value that this build cannot do yet, so that it is never
/// silently ignored: `per_source.rate 5: not supported by this build`.
void check_support(const Option& option, const YamlNode& value, FaultList& faults);

}  // namespace nsrelay
