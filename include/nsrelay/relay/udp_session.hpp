#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "nsrelay/event/io_watcher.hpp"
#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/net/datagram.hpp"
#include "nsrelay/net/datagram_queue.hpp"
#include "nsrelay/net/datagram_sender.hpp"
#include "nsrelay/relay/forwarded.hpp"
#include "nsrelay/relay/relay_context.hpp"
#include "nsrelay/relay/rule_runtime.hpp"
#include "nsrelay/telemetry/drop_reason.hpp"
#include "nsrelay/telemetry/reason.hpp"
#include "nsrelay/upstream/connector.hpp"

namespace nsrelay {

class UdpDownstream;

/// One UDP session: a client's address and port and the address that it sends to, with a connected
/// upstream socket of its own.
///
/// Theory of operation. The downstream reads what clients send and hands each session its
/// datagrams with forward(). Replies are read here and leave through the downstream's socket, from
/// the address that the client had sent to. Nothing waits: what a full socket does not take is
/// dropped and counted, as any router does. Only while an upstream is sought are datagrams kept.
///
/// The connected socket hears of ICMP errors (udp(7)). One of them ends the session, whichever call
/// it shows at. A send that reports an earlier datagram's error has sent nothing: its datagrams
/// go to a new session.
class UdpSession final : public Forwarded {
 public:
  enum class State : std::uint8_t {
    Connecting,  ///< an upstream is sought; datagrams of the client are kept
    Relaying,
    Closed,  ///< will be destroyed at the end of the iteration
  };

  /// `path` is the client's way in. Shares `downstream`, borrows the rest.
  UdpSession(RelayContext& context, RuleRuntime& runtime, std::shared_ptr<UpstreamPool> pool,
             std::shared_ptr<UdpDownstream> downstream,
             std::shared_ptr<const ListenerInfo> listener, const DatagramPath& path);
  ~UdpSession() override;

  /// Starts looking for an upstream. Never ends the session.
  void start();

  /// Sends what `batch` holds to the upstream, or keeps a copy. False: the session has ended by an
  /// error of a datagram that was sent before; the rest of `batch` was not sent.
  bool forward(DatagramSender& batch);

  /// Keeps a copy of `run` until the upstream is connected. Only while Connecting.
  void keep(const DatagramRun& run);

  /// From now on it ends when it was idle for a second.
  void drain();

  /// No longer: it ends by `session_timeout`. The timer looks at that when it fires.
  void resume() { draining_ = false; }

  /// Keeps its place among the sessions of its source until it ends.
  void hold(SourceLease source) { source_ = std::move(source); }

  [[nodiscard]] const DatagramPath& path() const { return path_; }

  void end(Reason reason) override;
  [[nodiscard]] const ListenerInfo& listener() const override { return *listener_; }
  [[nodiscard]] RuleRuntime& runtime() const override { return runtime_; }
  [[nodiscard]] std::uint64_t upstream_cookie() const override {
    return connector_ ? connector_->netns_cookie() : upstream_cookie_;
  }
  [[nodiscard]] ForwardedStatus status() const override;
  [[nodiscard]] IpEndpoint peer() const override { return path_.peer; }
  [[nodiscard]] std::optional<IpEndpoint> upstream_local() const override {
    return local_endpoint(upstream_.get());
  }
  [[nodiscard]] TimePoint began() const override { return began_; }
  [[nodiscard]] SocketEnds client_ends() const override;
  [[nodiscard]] SocketEnds upstream_ends() const override { return socket_ends(upstream_.get()); }

 private:
  void set_state(State state) { state_ = state; }
  void on_connector_finished() noexcept;
  void on_attempt_failed(const FailedAttempt& attempt) noexcept;
  void on_upstream_event(std::uint32_t events) noexcept;
  void on_timer() noexcept;

  void begin_relaying();
  void watch_name();
  void on_addresses_changed() noexcept;
  int send_to_upstream(DatagramSender& batch);
  void send_replies();
  void drop_failed(DatagramSender& batch, int error);
  void drop(DropReason reason, std::uint64_t datagrams);
  [[nodiscard]] Duration idle_limit() const;
  void restart_timer();
  void fail(int error);
  void finish(Reason reason);
  void write_record(Reason reason) const;

  RelayContext& context_;
  RuleRuntime& runtime_;
  std::shared_ptr<UpstreamPool> pool_;
  std::shared_ptr<UdpDownstream> downstream_;
  std::shared_ptr<const ListenerInfo> listener_;
  const DatagramPath path_;
  UniqueFd upstream_;
  IoWatcher watcher_;
  Timer timer_;
  std::unique_ptr<Connector> connector_;
  TargetLease lease_;
  SourceLease source_;
  std::unique_ptr<NameWatch> name_watch_;  ///< where the target is a name
  IpAddress upstream_address_;
  std::unique_ptr<DatagramQueue> queue_;
  TimePoint began_;
  TimePoint last_datagram_;
  DatagramSender::Amount received_;  ///< from the client, forwarded
  DatagramSender::Amount sent_;      ///< to the client
  std::uint64_t upstream_cookie_ = 0;
  std::string upstream_name_;
  Segmentation segmentation_;  ///< of the upstream socket
  OverflowMeter overflow_meter_;
  State state_ = State::Connecting;
  bool upstream_is_v6_ = false;
  bool draining_ = false;
};

}  // namespace nsrelay
