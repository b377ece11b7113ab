#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "nsrelay/base/error.hpp"
#include "nsrelay/event/deferred_queue.hpp"
#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/net/datagram_queue.hpp"
#include "nsrelay/net/datagram_receiver.hpp"
#include "nsrelay/net/datagram_sender.hpp"
#include "nsrelay/net/descriptor_reserve.hpp"
#include "nsrelay/net/pipe_pool.hpp"
#include "nsrelay/relay/connection_table.hpp"
#include "nsrelay/relay/draining_ports.hpp"
#include "nsrelay/relay/lingering_sockets.hpp"
#include "nsrelay/relay/loop_guard.hpp"
#include "nsrelay/relay/loop_trace.hpp"
#include "nsrelay/relay/stream_mover.hpp"
#include "nsrelay/telemetry/log.hpp"
#include "nsrelay/telemetry/traffic_table.hpp"

namespace nsrelay {

/// What moves datagrams. One set serves all UDP sockets, because only one is served at a time.
struct DatagramMover {
  DatagramReceiver receiver;
  DatagramSender sender;
  DatagramQueue::Budget queue_budget;
};

/// What all listeners and connections of the daemon share. Outlives them.
class RelayContext {
 public:
  /// Borrows `loop` and `log`.
  RelayContext(EventLoop& loop, Log& log, const PipePool::Limits& pipe_limits)
      : loop_(loop), log_(log), pipes_(pipe_limits), lingering_(loop), run_again_(loop) {}
  RelayContext(const RelayContext&) = delete;
  RelayContext& operator=(const RelayContext&) = delete;

  EventLoop& loop() { return loop_; }
  Log& log() { return log_; }
  DescriptorReserve& reserve() { return reserve_; }
  ConnectionTable& connections() { return connections_; }
  LoopGuard& loop_guard() { return loop_guard_; }
  LoopTrace& loop_trace() { return loop_trace_; }
  [[nodiscard]] const ConnectionTable& connections() const { return connections_; }
  LingeringSockets& lingering() { return lingering_; }
  DrainingPorts& draining_ports() { return draining_ports_; }
  TrafficTable& traffic() { return traffic_; }
  /// Connections whose budget of a wake-up is spent go on from here.
  DeferredQueue& run_again() { return run_again_; }

  /// `log.connections`: whether each finished connection has its record. Failed ones always have.
  [[nodiscard]] bool logs_connections() const { return logs_connections_; }
  void set_logs_connections(bool on) { logs_connections_ = on; }

  MoverResources mover_resources() { return {*buffer_, pipes_}; }
  /// Made when it is first needed.
  DatagramMover& datagrams();

  /// Notes that a wake-up passed on so many bytes: so few are likely to be answered at once.
  void note_moved(std::size_t bytes) {
    if (bytes > 0 && bytes <= kSmallMessage)
      loop_.busy_poll().expect();
  }

  /// Notes that accepting had to pause, and logs it if it is the first time in a burst: one that
  /// comes within five seconds of the last belongs to the same.
  void accept_paused(const LogRecord& record);

  /// Why the namespace with this cookie cannot have SCTP listeners, as the kernel said less than
  /// 30 seconds ago; null: ask it. Each question makes the kernel start modprobe(8), so that not
  /// every listener asks.
  [[nodiscard]] const Error* why_no_sctp(std::uint64_t netns) const;
  /// `error`: is_sctp_missing() its number.
  void note_no_sctp(std::uint64_t netns, const Error& error);
  /// The kernel is asked again, at once: somebody may have helped it.
  void forget_no_sctp() { no_sctp_.clear(); }

 private:
  static constexpr std::size_t kSmallMessage = std::size_t{16} * 1024;

  using Buffer = std::array<std::byte, std::size_t{64} * 1024>;

  struct NoSctp {
    Error error;
    TimePoint until;
  };

  EventLoop& loop_;
  Log& log_;
  TrafficTable traffic_;
  PipePool pipes_;
  DescriptorReserve reserve_;
  LingeringSockets lingering_;
  DrainingPorts draining_ports_;
  DeferredQueue run_again_;
  std::unique_ptr<Buffer> buffer_ = std::make_unique<Buffer>();
  std::unique_ptr<DatagramMover> datagrams_;
  std::optional<TimePoint> last_pause_;
  std::unordered_map<std::uint64_t, NoSctp> no_sctp_;  // by cookie
  bool logs_connections_ = true;
  LoopGuard loop_guard_{connections_, log_};
  LoopTrace loop_trace_;
  ConnectionTable connections_;  // last: connections use all of the above until they are gone
};

}  // namespace nsrelay
