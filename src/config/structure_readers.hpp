#pragma once

#include "option_input.hpp"

namespace nsrelay {

// The `read` functions of rows whose values have a structure of their own.

/// A mapping whose options go where those of the scope go.
template <OptionScope scope>
void read_section(const OptionInput& input) {
  read_mapping(input.value, scope, input.context);
}

/// `defaults`: options of a rule, for all rules. Comes before `rules` in the table.
void read_defaults(const OptionInput& input);

/// `rules`: makes a draft of each entry, starting from the defaults.
void read_rules(const OptionInput& input);

void read_netns_list(const OptionInput& input);
void read_listen_list(const OptionInput& input);

/// `upstream`: a text, a list of targets, or a mapping.
void read_upstream(const OptionInput& input);

/// `upstream.targets`, or the short forms of `upstream`.
void read_targets(const OptionInput& input);

/// `upstream.targets.address`
void read_target_address(const OptionInput& input);

/// `upstream.source`: networks that hold together at most kMostSourceAddresses addresses.
void read_source(const OptionInput& input);
inline constexpr std::uint64_t kMostSourceAddresses = 65536;

/// `per_source`: replaces the one of the defaults as a whole.
void read_per_source(const OptionInput& input);

}  // namespace nsrelay
