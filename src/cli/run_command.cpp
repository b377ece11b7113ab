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
  auto daemon = Daemon::create(std::make_shared<const Config>(std::get<Config>(std::move(outcome))),
                               options.log);
  if (!daemon) {
    std::cerr << "nsrelay: " << daemon.error().message() << '\n';
    return kFailure;
  }
  (*daemon)->run();
  return kSuccess;
}

}  // namespace nsrelay
