#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/event/io_watcher.hpp"
#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/net/sctp_socket.hpp"
#include "nsrelay/net/socket_address.hpp"
#include "nsrelay/relay/accepted_client.hpp"
#include "nsrelay/relay/forwarded.hpp"
#include "nsrelay/relay/message_mover.hpp"
#include "nsrelay/relay/message_step.hpp"
#include "nsrelay/relay/relay_route.hpp"
#include "nsrelay/telemetry/reason.hpp"
#include "nsrelay/upstream/connector.hpp"

namespace nsrelay {

/// One forwarded SCTP association: the client's one-to-one socket, the upstream's, and the messages
/// between them, each with its stream, payload protocol identifier and order.
///
/// Theory of operation. As in a TcpConnection events only latch flags of their side and call run(),
/// which asks next_message_step() for each direction until both wait or the budget of the wake-up
/// is spent. The upstream is asked for the streams that the client's association has; a message
/// for a stream that was not granted ends both sides, and so does one over max_message.
///
/// SHUTDOWN is forwarded behind the last message. Its sender takes nothing any more, so what its
/// peer still says is read, dropped and counted as undelivered. ABORT, a restart and a peer that is
/// lost become ABORT, once the other peer has acknowledged what came before. A side is over when
/// the kernel says so (SctpNotice::Closed): only then is a socket closed without ABORT, so that no
/// association outlives this object in the kernel, and no namespace is held by one.
class SctpAssociation final : public Forwarded {
 public:
  enum class State : std::uint8_t {
    Connecting,  ///< the client is accepted, an upstream is sought; one message is read at most
    Relaying,    ///< messages go both ways, or the sides are being shut down
    Closed,      ///< will be destroyed at the end of the iteration
  };

  /// Takes `client`.
  SctpAssociation(std::shared_ptr<const RelayRoute> route, AcceptedClient client);
  ~SctpAssociation() override;

  /// Starts connecting. It is in the table by now; it may have ended when this returns.
  void start();

  void end(Reason reason) override;
  [[nodiscard]] const ListenerInfo& listener() const override { return *route_->listener; }
  [[nodiscard]] RuleRuntime& runtime() const override { return route_->runtime; }
  [[nodiscard]] std::uint64_t upstream_cookie() const override;
  [[nodiscard]] ForwardedStatus status() const override;
  [[nodiscard]] TimePoint began() const override { return began_; }
  [[nodiscard]] IpEndpoint peer() const override { return client_address_; }
  [[nodiscard]] std::optional<IpEndpoint> upstream_local() const override;
  [[nodiscard]] SocketEnds client_ends() const override { return socket_ends(client_.fd.get()); }
  [[nodiscard]] SocketEnds upstream_ends() const override;

 private:
  /// One of the two sockets, and the messages that come from it.
  struct Side {
    explicit Side(EventLoop& loop) : watcher(loop) {}

    UniqueFd fd;
    IoWatcher watcher;
    std::uint32_t events = 0;  ///< what it is registered for
    PeerState peer = PeerState::Open;
    bool readable = false;
    bool writable = true;
    bool muted = false;         ///< no event tells that more can be read
    bool refuses = false;       ///< a write said that it takes nothing any more
    bool told_end = false;      ///< it was told how the other side ended
    bool acknowledged = false;  ///< it has everything that came before the other side's failure
    SctpStreams streams;        ///< of its association
    Reason failure = Reason::ClientReset;  ///< what made it PeerState::Failed
    MessageMover from;                     ///< moves what comes from this side to the other
    std::uint64_t received = 0;            ///< bytes read from it
    std::uint64_t messages = 0;            ///< of it, delivered to the other
    std::uint64_t undelivered = 0;         ///< messages of it that the other did not take any more
  };

  [[nodiscard]] RelayContext& context() const { return route_->context; }
  [[nodiscard]] EventLoop& loop() const { return route_->context.loop(); }
  [[nodiscard]] UpstreamPool& pool() const { return *route_->pool; }
  void set_state(State state) { state_ = state; }
  void on_client_event(std::uint32_t events) noexcept;
  void on_upstream_event(std::uint32_t events) noexcept;
  void on_timer() noexcept;
  void on_run_again() noexcept { run(); }
  void on_connector_finished() noexcept;
  void on_attempt_failed(const FailedAttempt& attempt) noexcept;

  std::optional<SctpStreams> find_client_streams();
  static void latch(Side& side, std::uint32_t events);
  void read_ahead();
  void begin_relaying();
  void run();
  bool step(Side& source, Side& sink);
  void note_source(const SctpReceived& received, Side& source);
  void count(Side& source, const SctpReceived& received);
  void note_sink(const MessageMover::Moved& moved, Side& source, Side& sink);
  void note_notice(SctpNotice notice, Side& side);
  void note_end(Side& side, PeerState how);
  void fail(Side& side, int error);
  void forward_shutdown(Side& sink);
  void forward_abort(Side& sink);
  void note_fault(MessageMover::Fault fault, const Side& source, const Side& sink);
  [[nodiscard]] static MessageFlow flow(const Side& source, const Side& sink);
  [[nodiscard]] MessageMover::Limits limits_towards(const Side& sink) const;

  void settle();
  void watch(Side& side, const Side& source);
  [[nodiscard]] bool is_closing() const;
  [[nodiscard]] std::optional<Duration> quiet_limit() const;
  void restart_timer();
  [[nodiscard]] bool has_moved_in_kernel();
  [[nodiscard]] std::uint32_t count_in_kernel() const;
  [[nodiscard]] std::optional<Reason> failure() const;

  void finish(Reason reason, bool abort);
  void write_record(Reason reason) const;

  std::shared_ptr<const RelayRoute> route_;
  Side client_;
  Side upstream_;
  std::unique_ptr<Connector> connector_;
  TargetLease lease_;
  SourceLease source_lease_;
  Timer timer_;
  DeferredCall run_again_;
  TimePoint began_;
  TimePoint quiet_since_;  ///< the last byte, or the first sign of an end
  std::uint64_t upstream_cookie_ = 0;
  std::string upstream_name_;
  IpEndpoint client_address_;
  std::size_t moved_ = 0;        ///< bytes since the wake-up, against the budget
  std::uint32_t in_kernel_ = 0;  ///< chunks to be acknowledged when that was last asked
  std::optional<Reason> fault_;  ///< a message cannot be forwarded
  std::string fault_text_;       ///< for a person
  State state_ = State::Connecting;
  bool client_ended_first_ = false;
  bool closing_timer_ = false;
  bool out_of_memory_ = false;
};

}  // namespace nsrelay
