#include "nsrelay/relay/tcp_connection.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <memory_resource>

#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/relay/forwarding_log.hpp"

namespace nsrelay {
namespace {

// One connection moves at most so much before the others have their turn.
constexpr std::size_t kBudget = std::size_t{1024} * 1024;

// What a stopped reader makes the kernel keep for us is this, a pipe, and a send buffer (at most
// tcp_wmem's 4 MiB): well below 16 MiB, where tcp_rmem may allow far more. Larger than the window
// that default kernels offer, so that it costs no speed. Set once a connection has received so
// much that the kernel begins to tune: no system call is spent on short ones.
constexpr ByteSize kReceiveBuffer{4 * 1024 * 1024};
constexpr std::uint64_t kReceiveBufferFrom = 256 * 1024;

// Bulk is what has moved so much without a pause: transfers that are shorter are never held up. A
// piece that is small may be chance, the next one makes it the end.
constexpr std::uint32_t kSmallPiece = 4 * 1024;
constexpr std::uint32_t kSustained = 4 * 1024 * 1024;

constexpr Duration kMemoryRetryInterval{20};

/// Where connections live. One thread makes and destroys them.
std::pmr::memory_resource& connection_memory() {
#ifdef __SANITIZE_ADDRESS__
  return *std::pmr::new_delete_resource();  // so that it sees who uses a dead one
#else
  // The largest size is the only one that is not rounded up.
  static std::pmr::unsynchronized_pool_resource pool(
      {.max_blocks_per_chunk = 0, .largest_required_pool_block = sizeof(TcpConnection)});
  return pool;
#endif
}

}  // namespace

TcpConnection::TcpConnection(std::shared_ptr<const RelayRoute> route, AcceptedClient client)
    : route_(std::move(route)),
      client_(loop()),
      upstream_(loop()),
      timer_(loop().timers(), Delegate<void()>::to<&TcpConnection::on_timer>(this)),
      began_(loop().now()),
      quiet_since_(began_),
      client_address_(client.address) {
  client_.fd = std::move(client.socket);
  if (client.source)
    extras().source = std::move(client.source);
  runtime().connection_began(*listener().traffic);
}

TcpConnection::~TcpConnection() = default;

void* TcpConnection::operator new(std::size_t bytes) {
  return connection_memory().allocate(bytes);
}

void TcpConnection::operator delete(void* memory, std::size_t bytes) {
  connection_memory().deallocate(memory, bytes);
}

TcpConnection::Extras& TcpConnection::extras() {
  if (!extras_)
    extras_ = std::make_unique<Extras>();
  return *extras_;
}

void TcpConnection::start() {
  // Before connecting: whether the client has spoken is known when the upstream answers.
  auto watching = client_.watcher.start(client_.fd.get(), kRelayEvents,
                                        IoCallback::to<&TcpConnection::on_client_event>(this));
  if (!watching)
    finish(Reason::OutOfMemory, true);
  else if (runtime().rule().accept_proxy)
    await_proxy_header();
  else
    connect();
}

void TcpConnection::connect() {
  set_state(State::Connecting);
  connector_ = std::make_unique<Connector>(
      loop(), context().reserve(), pool(),
      ConnectRequest{
          .port_offset = listener().port_offset, .client = client_address_.ip, .hold_ack = true},
      Connector::Events{
          Delegate<void()>::to<&TcpConnection::on_connector_finished>(this),
          Delegate<void(const FailedAttempt&)>::to<&TcpConnection::on_attempt_failed>(this)});
  connector_->start();
}

// ---------------------------------------------------------------------------- events

void TcpConnection::latch(Side& side, std::uint32_t events) {
  // It was known, and the other side has to take something first.
  if ((events & EPOLLIN) != 0 && side.readable && side.from.has_pending() && !side.is_muted)
    mute(side);
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
    side.readable = true;
  if ((events & EPOLLOUT) != 0)
    side.writable = true;
  if ((events & EPOLLRDHUP) != 0) {
    side.fin_arrived = true;
    side.urgent |= side.is_muted;  // it would not have been told
  }
  if ((events & EPOLLPRI) != 0)
    side.urgent = true;
  if ((events & EPOLLERR) != 0)
    side.failed = true;
}

/// Edge-triggered, each segment that arrives is an event: while nothing can be done with them, a
/// window full of useless wake-ups, for which the sender's CPU pays too.
void TcpConnection::mute(Side& side) {
  // EPOLLPRI too: the kernel wakes who waits for either, and looks only then which it is.
  const std::uint32_t useless =
      std::uint32_t{EPOLLIN} | EPOLLPRI | (side.writable ? std::uint32_t{EPOLLOUT} : 0U);
  side.is_muted = side.watcher.set_events(kRelayEvents & ~useless).has_value();
}

/// What has become of it meanwhile is an event, as when it was registered.
void TcpConnection::unmute(Side& side) {
  // Only fails for a descriptor that is not registered.
  if (!side.watcher.set_events(kRelayEvents))
    std::abort();
  side.is_muted = false;
}

void TcpConnection::on_client_event(std::uint32_t events) noexcept {
  latch(client_, events);
  if (state_ == State::AwaitingHeader)
    read_proxy_header();
  else if (state_ != State::Connecting)
    run_on_event();
  else if (client_.failed && readable_bytes(client_.fd.get()) == 0)
    finish(Reason::ClientReset, true);  // nobody is left, and nothing to deliver
}

void TcpConnection::on_upstream_event(std::uint32_t events) noexcept {
  latch(upstream_, events);
  run_on_event();
}

void TcpConnection::on_connector_finished() noexcept {
  if (connector_->failed()) {
    finish(connector_->last_failure().reason, true);
    return;
  }
  begin_relaying();
}

void TcpConnection::on_attempt_failed(const FailedAttempt& attempt) noexcept {
  log_upstream_failed(context().log(), runtime(), listener(), attempt);
}

void TcpConnection::begin_relaying() {
  set_state(State::Relaying);
  listener().traffic->connect_time.add(loop().now() - began_);
  upstream_cookie_ = connector_->netns_cookie();
  upstream_.fd = connector_->take_socket();
  upstream_.watcher = connector_->take_watcher();
  lease_ = connector_->take_lease();
  upstream_.watcher.redirect(IoCallback::to<&TcpConnection::on_upstream_event>(this));
  upstream_.is_unix = connector_->is_unix();
  if (lease_.target().spec.kind == TargetSpec::Kind::HostName)
    extras().upstream = connector_->address().endpoint();
  latch(upstream_, connector_->seen_events());
  loop().destroy_later(std::move(connector_));
  client_.writable = true;
  quiet_since_ = loop().now();
  restart_timer();
  const bool has_header = pool().proxy_protocol() != ProxyProtocol::None;
  if (has_header)
    send_proxy_header();
  run();
  // A client that waits for the upstream to speak first: it has to learn that it is connected.
  if (state_ == State::Relaying && !has_header && client_.received == 0)
    push_ack(upstream_.fd.get());
}

// ---------------------------------------------------------------------------- moving bytes

FlowState TcpConnection::flow(const Side& source, const Side& sink) {
  return {.source_readable = source.readable,
          .source_at_end = source.at_end,
          .source_failed = source.failed,
          .sink_writable = sink.writable,
          .sink_failed = sink.failed,
          .has_pending = source.from.has_pending(),
          .fin_forwarded = sink.told_end};
}

void TcpConnection::run() {
  if (state_ == State::Flushing) {
    poll_flush();
    return;
  }
  if (state_ != State::Relaying)
    return;
  moved_ = 0;
  out_of_memory_ = false;
  bool busy = true;
  while (busy && !out_of_memory_ && moved_ < kBudget) {
    busy = step(client_, upstream_);
    busy |= step(upstream_, client_);
  }
  if (out_of_memory_)
    timer_.start(loop().now() + kMemoryRetryInterval);
  else if (busy && !runs_again_)
    run_again();
  context().note_moved(moved_);
  settle();
}

/// Runs, and tells what kind of event this was. Bulk that has gone on for a while
/// may come in larger pieces, where the kernel has room for them on the way in.
void TcpConnection::run_on_event() {
  run();
  if (state_ != State::Relaying)
    return;
  if (moved_ > 0 && moved_ < kSmallPiece)
    streak_ /= 2;
  else
    streak_ = std::min(streak_ + moved_, 2 * kSustained);
  const bool has_room = (client_.is_bounded || upstream_.is_bounded) && !upstream_.is_unix &&
                        !pool().tcp_options().receive_buffer;
  if (streak_ < kSustained || !has_room)
    return;
  const bool blocked = client_.from.has_pending() || upstream_.from.has_pending();
  loop().pacing().note_bulk(blocked ? WakeupPacing::Bulk::Blocked : WakeupPacing::Bulk::Flows);
}

void TcpConnection::run_again() {
  runs_again_ = true;
  context().run_again().add(Delegate<void()>::to<&TcpConnection::on_run_again>(this));
}

void TcpConnection::on_run_again() noexcept {
  runs_again_ = false;
  run();
}

/// One step of one direction. False: it has to wait, or is over.
bool TcpConnection::step(Side& source, Side& sink) {
  switch (next_step(flow(source, sink))) {
    case FlowStep::Read: {
      const auto moved = source.from.read_and_deliver(source.fd.get(), sink.fd.get(), source.urgent,
                                                      context().mover_resources());
      note_source(moved, source);
      note_sink(moved, source, sink);
      return true;
    }
    case FlowStep::Deliver:
      note_sink(source.from.deliver(sink.fd.get()), source, sink);
      return true;
    case FlowStep::SendFin:
      send_fin(source, sink);
      return true;
    case FlowStep::Abandoned:
      source.from.discard();
      return false;
    case FlowStep::Wait:
    case FlowStep::Finished:
    case FlowStep::Drained:
      return false;
  }
  return false;
}

void TcpConnection::note_source(const StreamMover::Moved& moved, Side& source) {
  const std::uint64_t before = source.received;
  source.received += moved.read;
  TrafficCounters& traffic = *listener().traffic;
  (&source == &client_ ? traffic.bytes_received : traffic.bytes_sent) += moved.read;
  if (before / kReceiveBufferFrom != source.received / kReceiveBufferFrom && !source.is_bounded)
    source.is_bounded = pool().tcp_options().receive_buffer ||
                        bound_receive_buffer(source.fd.get(), kReceiveBuffer);
  moved_ += static_cast<std::uint32_t>(moved.read);
  switch (moved.source.status) {
    case IoStatus::Ok:
      // A short read has emptied the queue: no second one, unless more than data is there.
      if (moved.source_is_drained && !source.urgent && !source.failed && !source.is_unix) {
        source.readable = false;
        source.at_end = source.fin_arrived;
      }
      break;
    case IoStatus::WouldBlock:
      source.readable = false;
      source.urgent = false;
      break;
    case IoStatus::Eof:
      source.at_end = true;
      break;
    case IoStatus::NoMemory:
      out_of_memory_ = true;
      break;
    case IoStatus::Error:
      source.at_end = true;
      mark_failed(source, moved.source.error);
      break;
  }
  if (source.at_end && !client_.told_end && !upstream_.told_end)
    client_ended_first_ = &source == &client_;
}

void TcpConnection::note_sink(const StreamMover::Moved& moved, Side& source, Side& sink) {
  if (moved.read + moved.delivered > 0)
    quiet_since_ = loop().now();
  // A short write has filled the send queue: the edge will come.
  if (source.from.has_pending()) {
    sink.writable = false;
    if (sink.is_muted)
      unmute(sink);
  } else if (source.is_muted) {
    unmute(source);
  }
  if (moved.sink.status == IoStatus::NoMemory)
    out_of_memory_ = sink.writable = true;
  if (moved.sink.status == IoStatus::Error)
    mark_failed(sink, moved.sink.error);
}

void TcpConnection::mark_failed(Side& side, int error) {
  side.failed = true;
  side.error = static_cast<std::uint16_t>(error);
  side.readable = true;  // what came before the failure is still to be read
}

void TcpConnection::send_fin(const Side& source, Side& sink) {
  sink.told_end = true;
  // When the other direction is over too, close() follows and sends the FIN itself.
  if (!source.told_end && ::shutdown(sink.fd.get(), SHUT_WR) != 0)
    mark_failed(sink, errno);
}

}  // namespace nsrelay
