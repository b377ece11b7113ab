#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/event/io_watcher.hpp"
#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/net/socket_address.hpp"
#include "nsrelay/relay/accepted_client.hpp"
#include "nsrelay/relay/flow_step.hpp"
#include "nsrelay/relay/forwarded.hpp"
#include "nsrelay/relay/proxy_header_reader.hpp"
#include "nsrelay/relay/relay_route.hpp"
#include "nsrelay/relay/stream_mover.hpp"
#include "nsrelay/telemetry/reason.hpp"
#include "nsrelay/upstream/connector.hpp"

namespace nsrelay {

/// One forwarded TCP connection: the client's socket, the upstream's, and the bytes between them.
///
/// Theory of operation. Both sockets are registered once, edge-triggered, for everything; an event
/// only latches flags of its side and calls run(). run() asks next_step() for each direction what
/// to do until both say Wait, or the budget of the wake-up is spent.
///
/// A FIN is forwarded once everything before it is delivered; the other direction goes on, for at
/// most half_close_timeout without a byte. A reset is forwarded as a reset, also only after what
/// came before it: the receive queue of a socket survives its reset, so that side is read to its
/// end, and the other side is reset once its peer's kernel has acknowledged everything (a reset
/// throws the send queue away).
class TcpConnection final : public Forwarded {
 public:
  enum class State : std::uint8_t {
    AwaitingHeader,  ///< accept_proxy: who the client is has yet to come
    Connecting,      ///< the client is accepted, an upstream is sought; nothing is read
    Relaying,        ///< bytes go both ways, or one way after a FIN
    Flushing,        ///< one side was reset and all it sent is on its way to the other's peer
    Closed,          ///< will be destroyed at the end of the iteration
  };

  /// Takes `client`.
  TcpConnection(std::shared_ptr<const RelayRoute> route, AcceptedClient client);
  ~TcpConnection() override;

  /// Connections have a pool of their own: among what connecting needs for a moment they would
  /// leave a hole beside each of them.
  static void* operator new(std::size_t bytes);
  static void operator delete(void* memory, std::size_t bytes);

  /// Starts connecting. The connection is in the table by now; it may have ended when this returns.
  void start();

  void end(Reason reason) override;
  [[nodiscard]] const ListenerInfo& listener() const override { return *route_->listener; }
  [[nodiscard]] RuleRuntime& runtime() const override { return route_->runtime; }
  [[nodiscard]] std::uint64_t upstream_cookie() const override;
  [[nodiscard]] ForwardedStatus status() const override;
  [[nodiscard]] TimePoint began() const override { return began_; }
  [[nodiscard]] IpEndpoint peer() const override;
  [[nodiscard]] std::optional<IpEndpoint> upstream_local() const override;
  [[nodiscard]] SocketEnds client_ends() const override { return socket_ends(client_.fd.get()); }
  [[nodiscard]] SocketEnds upstream_ends() const override;

 private:
  /// What only the connections of some rules have.
  struct Extras {
    std::optional<ProxyHeaderReader> header_reader;  ///< while AwaitingHeader
    std::optional<IpEndpoint> peer;                  ///< who sent a header that names another
    std::optional<IpEndpoint> destination;           ///< what the header says of it
    std::optional<IpEndpoint> upstream;  ///< which address of a host name it is connected to
    SourceLease source;                  ///< where the rule has `per_source`
    std::string_view fault;              ///< what is wrong with the header
    int unacknowledged = 0;              ///< bytes on their way to a peer, when last asked
    Duration flush_interval{1};          ///< the same: until it is asked again
  };

  /// One of the two sockets, and the stream that comes from it.
  struct Side {
    explicit Side(EventLoop& loop) : watcher(loop) {}

    UniqueFd fd;
    std::uint16_t error = 0;  ///< the errno of its failure, once known
    bool readable = false;
    bool writable = false;
    IoWatcher watcher;
    [[no_unique_address]] StreamMover from;  ///< moves what comes from this side to the other
    bool fin_arrived = false;                ///< a FIN is behind what can be read now
    bool urgent = false;                     ///< a short read may stop at an urgent mark, tcp(7)
    bool at_end = false;                     ///< read to the end
    bool failed = false;                     ///< reset or timed out
    bool told_end : 1 = false;               ///< our FIN was sent to it (or close() will send it)
    bool is_unix : 1 = false;
    bool is_bounded : 1 = false;  ///< what the kernel keeps for it is
    bool is_muted : 1 = false;    ///< no event tells that more can be read
    std::uint64_t received = 0;   ///< bytes read from it
  };

  [[nodiscard]] RelayContext& context() const { return route_->context; }
  [[nodiscard]] EventLoop& loop() const { return route_->context.loop(); }
  [[nodiscard]] UpstreamPool& pool() const { return *route_->pool; }
  void set_state(State state) { state_ = state; }
  void on_client_event(std::uint32_t events) noexcept;
  void on_upstream_event(std::uint32_t events) noexcept;
  void on_timer() noexcept;
  void on_run_again() noexcept;
  void on_connector_finished() noexcept;
  void on_attempt_failed(const FailedAttempt& attempt) noexcept;

  static void latch(Side& side, std::uint32_t events);
  static void mute(Side& side);
  static void unmute(Side& side);
  void connect();
  void await_proxy_header();
  void read_proxy_header();
  void take_proxy_header();
  void send_proxy_header();
  [[nodiscard]] IpEndpoint client_destination() const;
  void begin_relaying();
  void run();
  void run_again();
  void run_on_event();
  bool step(Side& source, Side& sink);
  void note_sink(const StreamMover::Moved& moved, Side& source, Side& sink);
  void note_source(const StreamMover::Moved& moved, Side& source);
  void mark_failed(Side& side, int error);
  void send_fin(const Side& source, Side& sink);
  [[nodiscard]] static FlowState flow(const Side& source, const Side& sink);
  void settle();
  void forward_failure(Side& failed, Side& other);
  void poll_flush();
  void shorten_timer();
  void restart_timer();
  void look_at_delivery();
  [[nodiscard]] static int undelivered(const Side& side);
  [[nodiscard]] bool is_half_closed() const;
  [[nodiscard]] std::optional<Duration> quiet_limit() const;

  [[nodiscard]] Extras& extras();
  [[nodiscard]] std::string upstream_name() const;
  void finish(Reason reason, bool reset);
  void close_side(Side& side, std::uint64_t cookie, bool reset);
  void write_record(Reason reason) const;

  // There are many of these, most of them idle: what only some need is in Extras, and the order
  // leaves no gaps.
  std::uint32_t moved_ = 0;  ///< bytes since the wake-up, against the budget
  std::shared_ptr<const RelayRoute> route_;
  Side client_;
  Side upstream_;
  std::unique_ptr<Connector> connector_;
  [[no_unique_address]] TargetLease lease_;
  State state_ = State::Connecting;
  bool client_ended_first_ : 1 = false;
  bool half_close_timer_ : 1 = false;
  bool out_of_memory_ : 1 = false;
  bool runs_again_ : 1 = false;  ///< in the context's run_again()
  std::unique_ptr<Extras> extras_;
  Timer timer_;
  TimePoint began_;
  TimePoint quiet_since_;  ///< the last byte, or the first FIN
  std::uint64_t upstream_cookie_ = 0;
  IpEndpoint client_address_;
  std::uint32_t streak_ = 0;  ///< bytes moved without a pause, up to a bound
};

}  // namespace nsrelay
