#pragma once

#include <gmock/gmock.h>

#include <string>
#include <string_view>
#include <vector>

#include "nsrelay/config/config_loader.hpp"

namespace nsrelay {

/// The faults of a text as `LINE:COLUMN: WHAT`.
inline std::vector<std::string> faults_of(std::string_view text) {
  const ConfigOutcome outcome = parse_config(text, "rules.yaml");
  std::vector<std::string> lines;
  if (const auto* faults = std::get_if<std::vector<ConfigFault>>(&outcome))
    for (const ConfigFault& fault : *faults)
      lines.push_back(std::to_string(fault.line) + ":" + std::to_string(fault.column) + ": " +
                      fault.what);
  return lines;
}

/// The configuration of a valid text; an empty one and a failed test where it is not valid.
inline Config config_of(std::string_view text) {
  EXPECT_THAT(faults_of(text), testing::IsEmpty()) << text;
  ConfigOutcome outcome = parse_config(text, "rules.yaml");
  auto* config = std::get_if<Config>(&outcome);
  return config == nullptr ? Config{} : *config;
}

/// A valid rule to which a test adds `option`, which is line 5 from column 3.
inline std::string rule_with(std::string_view option) {
  std::string text = "rules:\n- name: web\n  listen: 0.0.0.0:80\n  upstream: app.example:80\n  ";
  return text.append(option).append("\n");
}

/// The same with options of `upstream`, on line 6 from column 5.
inline std::string upstream_with(std::string_view option) {
  std::string text =
      "rules:\n- name: web\n  listen: 0.0.0.0:80\n  upstream:\n    targets: app.example:80\n    ";
  return text.append(option).append("\n");
}

}  // namespace nsrelay
