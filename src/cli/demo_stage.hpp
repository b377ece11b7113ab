#pragma once

#include <memory>
#include <string>
#include <vector>

#include "child_process.hpp"
#include "interruptible.hpp"
#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/net/socket_address.hpp"
#include "nsrelay/netns/throwaway_netns.hpp"

namespace nsrelay {

/// What the demonstration plays on: two namespaces for clients, a third with the upstream, the
/// upstream's process and nsrelay's. Everything is taken away when it is destroyed.
class DemoStage {
 public:
  /// Where a client stands.
  struct Place {
    std::string name;  ///< as nsrelay calls the namespace
    const Netns* netns;
  };

  /// Makes and starts everything; returns when nsrelay listens.
  static Result<std::unique_ptr<DemoStage>> set_up(const Interruptible& signals);

  DemoStage(const DemoStage&) = delete;
  DemoStage& operator=(const DemoStage&) = delete;

  [[nodiscard]] std::vector<Place> places() const;
  /// Where nsrelay listens, in each place.
  [[nodiscard]] SocketAddress listener() const;
  /// What nsrelay forwards to, in the third namespace.
  [[nodiscard]] std::string upstream() const;
  [[nodiscard]] std::string echo_upstream() const;
  [[nodiscard]] const std::string& configuration() const { return configuration_; }
  /// Whether the kernel has SCTP, else why it is not shown.
  [[nodiscard]] bool has_sctp() const { return why_no_sctp_.empty(); }
  [[nodiscard]] const std::string& why_no_sctp() const { return why_no_sctp_; }
  [[nodiscard]] bool usual_port_was_taken() const;

  /// Ends nsrelay and returns the records that it wrote.
  std::vector<std::string> stop_and_read_log();

 private:
  explicit DemoStage(const Interruptible& signals) : signals_(signals) {}

  Result<void> make_namespaces();
  Result<void> choose_port();
  Result<void> start_upstream();
  Result<void> start_echo();
  Result<void> start_sctp_echo();
  Result<void> start_relay();
  [[nodiscard]] std::string rule_text(const char* name, Protocol protocol,
                                      std::uint16_t target) const;
  Result<void> wait_until_listening();
  bool read_log();

  const Interruptible& signals_;
  std::unique_ptr<ThrowawayNetns> blue_;
  std::unique_ptr<ThrowawayNetns> green_;
  std::unique_ptr<ThrowawayNetns> upstream_;
  std::uint16_t port_ = 0;
  std::string configuration_;
  std::string why_no_sctp_;
  UniqueFd log_pipe_;
  std::string log_;
  ChildProcess upstream_process_;
  ChildProcess echo_process_;
  ChildProcess sctp_process_;
  ChildProcess relay_process_;
};

}  // namespace nsrelay
