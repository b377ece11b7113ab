#include "check_command.hpp"

#include <ostream>

#include "exit_status.hpp"
#include "nsrelay/config/config_loader.hpp"

namespace nsrelay {

int check_configuration(const std::string& file, std::ostream& out, std::ostream& err) {
  const ConfigOutcome outcome = load_config(file);
  if (const auto* config = std::get_if<Config>(&outcome)) {
    out << file << ": ok: " << config->rules.size() << " rules\n";
    return kSuccess;
  }
  for (const ConfigFault& fault : std::get<std::vector<ConfigFault>>(outcome))
    err << format_fault(file, fault) << '\n';
  return kUsage;
}

}  // namespace nsrelay
