#include <iostream>
#include <memory>

#include "commands.hpp"
#include "exit_status.hpp"
#include "nsrelay/config/config_loader.hpp"
#include "nsrelay/daemon/daemon.hpp"

namespace nsrelay {

int run_daemon(const RunOptions& options) {
  auto outcome = load_config(options.file);
  if (const auto* faults = std::get_if<std::vector<ConfigFault>>(&outcome)) {
    for (const ConfigFault& fault : *faults)
      std::cerr << format_fault(options.file, fault) << '\n';
    return kUsage;
  }
  auto config = std::make_shared<Config>(std::get<Config>(std::move(outcome)));
  config->log.level = options.log_level.value_or(config->log.level);
  config->log.target = options.log_target.value_or(config->log.target);
  auto daemon = Daemon::create(std::move(config));
  if (!daemon) {
    std::cerr << "nsrelay: " << daemon.error().message() << '\n';
    return kFailure;
  }
  (*daemon)->run();
  return kSuccess;
}

}  // namespace nsrelay
