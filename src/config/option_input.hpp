#pragma once

#include <string>
#include <vector>

#include "nsrelay/config/config.hpp"
#include "nsrelay/config/config_loader.hpp"
#include "nsrelay/config/option_table.hpp"
#include "rule_draft.hpp"

namespace nsrelay {

/// What is being filled while a file is read. Borrows everything.
struct ReadContext {
  Config& config;
  FaultList& faults;
  RuleDraft& defaults;
  std::vector<RuleDraft>& drafts;
  /// The rule (or the defaults) and the target that options go into now; null outside of them.
  RuleDraft* draft = nullptr;
  TargetSpec* target = nullptr;

  [[nodiscard]] bool in_defaults() const { return draft == &defaults; }
};

/// One option and the value that the file gives it (never a Null node).
struct OptionInput {
  const Option& option;
  const YamlNode& value;
  ReadContext& context;
};

/// Adds the fault `PATH: what` at `position`.
void add_fault(const OptionInput& input, Position position, const std::string& what);

/// Adds a fault that says which values are allowed instead of a value of this kind.
void add_type_fault(const OptionInput& input, const YamlNode& value);

/// Reads every option of a mapping, in the order of the table: unknown keys, missing values and
/// missing required keys become faults. A value that is not a mapping is one too.
void read_mapping(const YamlNode& mapping, OptionScope scope, ReadContext& context);

}  // namespace nsrelay
