#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nsrelay {

/// What /metrics tells of targets and source addresses, at one moment. Each combination of names
/// occurs once. `netns` is where the target is connected to from.
struct UpstreamMetrics {
  struct Target {
    std::string rule;
    std::string netns;
    std::string target;
    bool is_up = true;
    std::uint64_t connections = 0;
    std::uint64_t failures = 0;
  };
  /// The ports of a source address towards a target that connections have.
  struct PortsInUse {
    std::string rule;
    std::string netns;
    std::string source;
    std::string target;
    std::uint64_t in_use = 0;
  };
  struct Ports {
    std::string rule;
    std::string netns;
    std::uint64_t exhausted = 0;  ///< how often a connection found none
    std::uint64_t available = 0;  ///< for each source address and target; 0: not known
  };

  std::vector<Target> targets;
  std::vector<PortsInUse> in_use;
  std::vector<Ports> ports;
};

/// Appends the metrics of targets and source addresses.
void append_upstreams(std::string& out, const UpstreamMetrics& upstreams);

}  // namespace nsrelay
