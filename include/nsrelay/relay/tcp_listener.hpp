#pragma once

#include <cstdint>
#include <memory>

#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/event/io_watcher.hpp"
#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/relay/relay_context.hpp"
#include "nsrelay/relay/rule_runtime.hpp"
#include "nsrelay/relay/tcp_connection.hpp"

namespace nsrelay {

/// Accepts the clients of one listening socket and makes connections of them.
///
/// Theory of operation. Level-triggered, with a budget per wake-up. What accept4(2) can fail with
/// falls into three classes: nothing more now, this client is gone but the next may not be, and
/// the system is out of something. The last pauses the listener for a while; clients wait in the
/// backlog meanwhile. Nobody is accepted unless a descriptor for the upstream socket is in reserve.
/// At `max_connections` it pauses until a connection of the rule ends.
class TcpListener {
 public:
  /// Takes a listening socket and starts. Borrows the rest.
  static Result<std::unique_ptr<TcpListener>> create(RelayContext& context, RuleRuntime& runtime,
                                                     UpstreamPool& pool,
                                                     std::shared_ptr<const ListenerInfo> info,
                                                     UniqueFd socket);

  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;
  /// Closes; who waits in the backlog is reset.
  ~TcpListener();

  /// Accepts who has completed the handshake already, so that closing refuses as few as can be.
  void accept_backlog();

  [[nodiscard]] const ListenerInfo& info() const { return *info_; }

  /// The namespace is called by another of its names: what connections remember from now on, and
  /// the pool of that name. Connections that were made before keep theirs.
  void rename(std::shared_ptr<const ListenerInfo> info, UpstreamPool& pool) {
    info_ = std::move(info);
    pool_ = &pool;
  }

 private:
  enum class AcceptStep : std::uint8_t { Accepted, Retry, Done };

  TcpListener(RelayContext& context, RuleRuntime& runtime, UpstreamPool& pool,
              std::shared_ptr<const ListenerInfo> info, UniqueFd socket);

  void on_readable(std::uint32_t events) noexcept;
  void on_resume() noexcept;
  void on_room() noexcept;
  AcceptStep accept_one();
  AcceptStep on_accept_error(int error);
  void serve(UniqueFd client, const IpEndpoint& address);
  void refuse(UniqueFd client, const IpEndpoint& address);
  void pause(Reason reason, int error);
  void set_accepting(bool accepting);

  RelayContext& context_;
  RuleRuntime& runtime_;
  UpstreamPool* pool_;
  std::shared_ptr<const ListenerInfo> info_;
  UniqueFd socket_;
  IoWatcher watcher_;
  Timer resume_timer_;
  bool accepting_ = true;
};

}  // namespace nsrelay
