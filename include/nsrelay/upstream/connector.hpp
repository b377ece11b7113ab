#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/event/io_watcher.hpp"
#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/net/descriptor_reserve.hpp"
#include "nsrelay/net/sctp_socket.hpp"
#include "nsrelay/net/socket_address.hpp"
#include "nsrelay/net/socket_ends.hpp"
#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/telemetry/reason.hpp"
#include "nsrelay/upstream/upstream_pool.hpp"

namespace nsrelay {

/// The events that a relayed TCP socket is registered for, once and for good.
inline constexpr std::uint32_t kRelayEvents =
    std::uint32_t{EPOLLIN} | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;

/// The events that a session's UDP socket is registered for, level-triggered. Not EPOLLOUT: it
/// would wake the loop for every datagram that leaves.
inline constexpr std::uint32_t kDatagramEvents = EPOLLIN;

/// For whom an upstream is sought.
struct ConnectRequest {
  /// How far behind the first port of its range the listener is.
  std::uint16_t port_offset = 0;
  /// The client's address, which `source_hash` goes by.
  IpAddress client{};
  /// SCTP: what the association is to have, seen from here.
  SctpStreams sctp_streams{};
  /// TCP: whoever takes the socket sends something at once or calls push_ack(), see
  /// hold_handshake_ack().
  bool hold_ack = false;
  /// No client: one target is tried, to see whether it answers.
  struct Probe {
    std::size_t target = 0;  ///< its place in the pool
    Duration timeout{};      ///< in place of connect_timeout
  };
  std::optional<Probe> probe = std::nullopt;
};

/// A target that could not be connected to.
struct FailedAttempt {
  std::string target;
  Reason reason = Reason::ConnectFailed;
  /// For a person, e.g. "connect: Connection refused".
  std::string text;
};

/// Gets one client a connected upstream socket: the targets that the pool gives it, each at most
/// once, each address of a target for at most connect_timeout, each source address where ports run
/// out.
///
/// Theory of operation. Each attempt ends in success or in one FailedAttempt, after which the next
/// address, then the next target is tried. `finished` is never called from inside start(): the
/// outcome arrives as a later event, so that the owner need not be ready for it. Bytes of the
/// client are not touched, hence a fail-over loses none. A UDP socket is connected as soon as there
/// is a route; whether anybody listens only shows later.
class Connector {
 public:
  struct Events {
    /// The socket is ready to be taken, or (failed()) no target is left.
    Delegate<void()> finished;
    /// One attempt failed; others may follow. May be called from inside start(), so that it must
    /// do no more than take note.
    Delegate<void(const FailedAttempt&)> attempt_failed;
  };

  /// Borrows everything.
  Connector(EventLoop& loop, DescriptorReserve& reserve, UpstreamPool& pool,
            const ConnectRequest& request, Events events);
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  void start();

  /// Ends the search; `finished` is not called any more. May be called at any time.
  void cancel();

  [[nodiscard]] bool failed() const { return !connected_; }
  /// Why the last attempt failed. Only when failed().
  [[nodiscard]] const FailedAttempt& last_failure() const { return last_failure_; }

  /// The target of the current attempt, e.g. `10.0.0.5:80`; a host name stands as its address.
  [[nodiscard]] std::string target() const;

  // What the owner takes over when it has finished with success.
  UniqueFd take_socket() { return std::move(socket_); }
  /// Watches the socket for kRelayEvents, or kDatagramEvents; to be redirected.
  IoWatcher take_watcher() { return std::move(watcher_); }
  /// The hold on the target. A stream's has succeeded; a UDP session has to say how it went on.
  TargetLease take_lease() { return std::move(lease_); }
  /// The events that have arrived on the socket so far.
  [[nodiscard]] std::uint32_t seen_events() const { return seen_events_; }
  /// Where the socket is connected to.
  [[nodiscard]] const SocketAddress& address() const { return address_; }
  /// Where the socket of the current attempt is bound, see local_endpoint().
  [[nodiscard]] std::optional<IpEndpoint> local() const { return local_endpoint(socket_.get()); }
  /// Both ends of that socket, while it is being connected too.
  [[nodiscard]] SocketEnds ends() const;
  [[nodiscard]] bool is_unix() const { return address_.is_unix(); }
  [[nodiscard]] bool is_v6() const { return address_.family() == AF_INET6; }

  /// The identity of the namespace that the current socket is in; 0 before the first. The pool's
  /// name may mean another one by now.
  [[nodiscard]] std::uint64_t netns_cookie() const { return netns_cookie_; }

 private:
  enum class Step : std::uint8_t { InProgress, Failed };

  void advance();
  bool next_address();
  bool next_target();
  std::optional<TargetLease> take_target();
  void load_target();
  [[nodiscard]] Duration connect_timeout() const;
  void leave_target();
  void load_addresses(const std::vector<IpAddress>& addresses);
  [[nodiscard]] bool has_source_for(const IpAddress& address) const;
  Step attempt();
  Step attempt_from_sources(const Netns& netns);
  Result<void> find_endpoint(const Netns& netns);
  Step connect_once(const Netns& netns, const std::optional<IpAddress>& source);
  Result<void> begin_to_connect();
  Step wait_until_retry();
  Step fail(Reason reason, std::string text);
  Step fail(const Error& error);
  void on_event(std::uint32_t events) noexcept;
  void on_timer() noexcept;
  void on_resolved() noexcept;
  void on_outcome() noexcept { events_.finished(); }
  [[nodiscard]] const TargetSpec& current() const;

  EventLoop& loop_;
  DescriptorReserve& reserve_;
  UpstreamPool& pool_;
  const ConnectRequest request_;
  Events events_;

  TriedTargets tried_;
  TargetLease lease_;                     // on the current target
  std::vector<SocketAddress> addresses_;  // of the current target, last one first
  SocketAddress address_;                 // whose turn it is
  std::vector<SocketAddress> endpoint_;   // that, or all of a multihomed SCTP endpoint
  TimePoint deadline_;                    // of the current attempt

  UniqueFd socket_;
  std::uint64_t netns_cookie_ = 0;
  IoWatcher watcher_;
  Timer timer_;
  DeferredCall outcome_;
  ResolverWaiter waiter_;
  bool resolving_ = false;
  bool connected_ = false;
  std::uint32_t seen_events_ = 0;
  FailedAttempt last_failure_;
};

}  // namespace nsrelay
