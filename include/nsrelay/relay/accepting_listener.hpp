#pragma once

#include <cstdint>
#include <memory>

#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/event/io_watcher.hpp"
#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/relay/accepted_client.hpp"
#include "nsrelay/relay/forwarded.hpp"
#include "nsrelay/relay/listener.hpp"
#include "nsrelay/relay/relay_route.hpp"

namespace nsrelay {

/// Accepts the clients of one listening socket of a connection-oriented protocol, TCP or SCTP; what
/// becomes of them is for the derived class.
///
/// Theory of operation. Level-triggered, with a budget per wake-up. What accept4(2) can fail with
/// falls into three classes: nothing more now, this client is gone but the next may not be, and
/// the system is out of something. The last pauses the listener for a while; clients wait in the
/// backlog meanwhile. Nobody is accepted unless a descriptor for the upstream socket is in reserve.
/// At `max_connections` it pauses until a connection of the rule ends.
class AcceptingListener : public Listener {
 public:
  /// Who waits in the backlog is reset (TCP) or aborted (SCTP).
  ~AcceptingListener() override;

  void serve_backlog() final;
  [[nodiscard]] int descriptor() const final { return socket_.get(); }
  void hand_over() final { set_accepting(false); }
  bool adopt(RuleRuntime& runtime, std::shared_ptr<UpstreamPool> pool) final;

 protected:
  /// Takes a listening, non-blocking socket. Borrows `context` and `runtime`.
  AcceptingListener(RelayContext& context, RuleRuntime& runtime, std::shared_ptr<UpstreamPool> pool,
                    std::shared_ptr<const ListenerInfo> info, UniqueFd socket);

  /// Starts accepting. Fails with the error of epoll_ctl(2).
  Result<void> start();

  /// Forwards an admitted client: begins a connection, which may have ended when this returns.
  virtual Forwarded& serve(AcceptedClient client) = 0;

  /// Gives the open socket `fd` of the rule `before` the options of `after`, as far as an open one
  /// can have them; false where it takes a new one.
  virtual bool retune(int fd, const ForwardRule& before, const ForwardRule& after) = 0;

  /// Puts a connection into the table and starts it.
  template <class Connection>
  Connection& begin(AcceptedClient client) {
    auto made = std::make_unique<Connection>(route(), std::move(client));
    Connection& connection = *made;
    context_.connections().add(std::move(made));
    connection.start();
    return connection;
  }

 private:
  enum class AcceptStep : std::uint8_t { Accepted, Retry, Done };

  [[nodiscard]] RuleRuntime& runtime() const { return route_->runtime; }
  const std::shared_ptr<const RelayRoute>& route();
  void on_readable(std::uint32_t events) noexcept;
  void on_resume() noexcept;
  void on_room() noexcept;
  AcceptStep accept_one();
  bool turns_away(AcceptedClient& client);
  bool closes_loop(const AcceptedClient& client);
  AcceptStep on_accept_error(int error);
  void refuse(AcceptedClient client, Reason reason);
  void write_record(const AcceptedClient& client, Reason reason);
  void pause(PauseReason reason, int error);
  void set_accepting(bool accepting);

  RelayContext& context_;
  std::shared_ptr<const RelayRoute> route_;
  UniqueFd socket_;
  IoWatcher watcher_;
  Timer resume_timer_;
  bool accepting_ = true;
  bool waited_ = false;  ///< let resets pass in the last iteration
};

}  // namespace nsrelay
