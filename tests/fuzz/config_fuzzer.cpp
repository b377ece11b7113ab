#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <tuple>

#include "nsrelay/config/config_loader.hpp"

namespace nsrelay {
namespace {

void require(bool holds, const char* what) {
  if (holds)
    return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

void check_faults(const std::vector<ConfigFault>& faults) {
  require(!faults.empty(), "an invalid file has a fault");
  const ConfigFault* last = nullptr;
  for (const ConfigFault& fault : faults) {
    require(fault.line >= 1 && fault.column >= 1, "a fault of a text has a place");
    require(format_fault("f", fault).find('\n') == std::string::npos, "a fault is one line");
    require(
        last == nullptr || std::tie(last->line, last->column) <= std::tie(fault.line, fault.column),
        "faults are in file order");
    last = &fault;
  }
}

void check_text(std::string_view text) {
  const ConfigOutcome outcome = parse_config(text, "f");
  if (const auto* faults = std::get_if<std::vector<ConfigFault>>(&outcome)) {
    check_faults(*faults);
    return;
  }
  const auto& config = std::get<Config>(outcome);
  require(!config.rules.empty(), "a valid file has a rule");
  for (const ForwardRule& rule : config.rules)
    require(!rule.name.empty() && !rule.listen.empty() && !rule.netns.empty() &&
                !rule.upstream.targets.empty(),
            "a valid rule is complete");
}

}  // namespace
}  // namespace nsrelay

/// Any bytes are a configuration file: they give a valid configuration or proper faults.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  nsrelay::check_text({reinterpret_cast<const char*>(data), size});
  return 0;
}
