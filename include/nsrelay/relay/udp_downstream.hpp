#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/event/io_watcher.hpp"
#include "nsrelay/net/datagram_receiver.hpp"
#include "nsrelay/net/datagram_sender.hpp"
#include "nsrelay/relay/listener.hpp"
#include "nsrelay/relay/relay_context.hpp"
#include "nsrelay/relay/rule_runtime.hpp"
#include "nsrelay/relay/udp_session_table.hpp"
#include "nsrelay/upstream/upstream_pool.hpp"

namespace nsrelay {

/// The clients' side of UDP: one bound socket, and the sessions of all clients that send to it.
/// Shared by the listener and the sessions, because replies leave through its socket: it is
/// closed when the listener and the last session are gone.
///
/// Theory of operation. Level-triggered, with a budget per wake-up. A batch of datagrams is read,
/// each finds its session or starts one, and each session is given its datagrams together, so that
/// they leave with few system calls. A new client is turned away, by a drop that is counted, where
/// the rule denies it, has max_sessions, or no descriptor is left; those that have a session do not
/// feel it.
class UdpDownstream final : public std::enable_shared_from_this<UdpDownstream> {
 public:
  /// Takes a bound socket and starts. Borrows `listener` until drain(), and the rest.
  static Result<std::shared_ptr<UdpDownstream>> create(RelayContext& context, RuleRuntime& runtime,
                                                       std::shared_ptr<UpstreamPool> pool,
                                                       const Listener& listener, UniqueFd socket);

  UdpDownstream(const UdpDownstream&) = delete;
  UdpDownstream& operator=(const UdpDownstream&) = delete;
  ~UdpDownstream();

  /// Forwards what has arrived already.
  void receive_waiting() { on_readable(0); }

  /// Leaves what arrives in the socket. Replies still go out.
  void stop_receiving() { watcher_.stop(); }

  /// The bound socket; borrowed.
  [[nodiscard]] int descriptor() const { return socket_.get(); }

  /// New sessions belong to another version of the rule. Those that run keep theirs.
  void adopt(RuleRuntime& runtime, std::shared_ptr<UpstreamPool> pool);

  /// The listener goes. No session starts any more; those that run go on until they are idle.
  void drain();

  /// The end of a drain: `listener`, borrowed until the next, is served by this socket from now on,
  /// as adopt() says. Sessions that run are no longer in a hurry to end.
  void resume(const Listener& listener, RuleRuntime& runtime, std::shared_ptr<UpstreamPool> pool);

  /// Sends replies to clients, see DatagramSender::send().
  int send(DatagramSender& batch) { return batch.send(socket_.get(), false, segmentation_); }

  /// Where a datagram that came by `path` had been sent to.
  [[nodiscard]] IpEndpoint local(const DatagramPath& path) const;

  /// `session` has ended.
  void forget(const UdpSession& session);

 private:
  using Sessions = std::array<UdpSession*, DatagramReceiver::kMost>;

  UdpDownstream(RelayContext& context, RuleRuntime& runtime, std::shared_ptr<UpstreamPool> pool,
                const Listener& listener, UniqueFd socket);

  void on_readable(std::uint32_t events) noexcept;
  void dispatch(std::span<const ReceivedDatagrams> received);
  UdpSession* session_of(const ReceivedDatagrams& one);
  void deliver(UdpSession& session, std::span<const ReceivedDatagrams> received,
               UdpSession** sessions);
  UdpSession* start_session(const DatagramPath& path, std::uint64_t datagrams);
  bool breaks_loop(const DatagramPath& path);
  void drop(DropReason reason, std::uint64_t datagrams);

  RelayContext& context_;
  RuleRuntime* runtime_;  ///< null when draining
  std::shared_ptr<UpstreamPool> pool_;
  const Listener* listener_;  ///< null when draining
  std::shared_ptr<const ListenerInfo> info_;
  UniqueFd socket_;
  IoWatcher watcher_;
  UdpSessionTable sessions_;
  Segmentation segmentation_;
  std::size_t most_ = DatagramReceiver::kMost;  ///< messages in the next batch
  OverflowMeter overflow_meter_;
};

}  // namespace nsrelay
