#include "nsrelay/relay/tcp_connection.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <memory_resource>

#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/netns/netns_scope.hpp"
#include "nsrelay/relay/forwarding_log.hpp"
#include "nsrelay/upstream/target.hpp"

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

constexpr Duration kFlushPollLongest{100};
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
  if ((events & EPOLLRDHUP) != 0)
    side.fin_arrived = true;
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
    run();
  else if (client_.failed && readable_bytes(client_.fd.get()) == 0)
    finish(Reason::ClientReset, true);  // nobody is left, and nothing to deliver
}

void TcpConnection::on_upstream_event(std::uint32_t events) noexcept {
  latch(upstream_, events);
  run();
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
  note_bulk();
  settle();
}

/// Bulk that has gone on for a while may come in larger pieces, where the kernel has room for them
/// on the way in.
void TcpConnection::note_bulk() {
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

// ---------------------------------------------------------------------------- ending

void TcpConnection::settle() {
  if (client_.failed && upstream_.failed)
    finish(client_.error == ETIMEDOUT ? Reason::ClientTimeout : Reason::ClientReset, true);
  else if (client_.failed)
    forward_failure(client_, upstream_);
  else if (upstream_.failed)
    forward_failure(upstream_, client_);
  else if (client_.told_end && upstream_.told_end)
    finish(client_ended_first_ ? Reason::ClientClosed : Reason::UpstreamClosed, false);
  else if (is_half_closed())
    shorten_timer();
}

bool TcpConnection::is_half_closed() const {
  return client_.at_end || upstream_.at_end || client_.failed || upstream_.failed;
}

void TcpConnection::forward_failure(Side& failed, Side& other) {
  if (next_step(flow(failed, other)) != FlowStep::Drained) {
    shorten_timer();  // the other side has to read first
    return;
  }
  set_state(State::Flushing);
  extras().unacknowledged = std::numeric_limits<int>::max();
  poll_flush();
}

void TcpConnection::poll_flush() {
  const Side& failed = client_.failed ? client_ : upstream_;
  const Side& receiver = client_.failed ? upstream_ : client_;
  // Nothing tells when the last byte is acknowledged: ask, ever more seldom. What a Unix socket
  // was given is with its peer already.
  const int waiting =
      receiver.is_unix || receiver.failed ? 0 : unacknowledged_bytes(receiver.fd.get());
  const TimePoint now = loop().now();
  if (waiting < extras_->unacknowledged) {
    extras_->unacknowledged = waiting;
    quiet_since_ = now;
  }
  if (waiting == 0 || now - quiet_since_ >= runtime().rule().half_close_timeout) {
    const bool is_client = &failed == &client_;
    const bool timed_out = failed.error == ETIMEDOUT;
    const Reason reset = is_client ? Reason::ClientReset : Reason::UpstreamReset;
    const Reason timeout = is_client ? Reason::ClientTimeout : Reason::UpstreamTimeout;
    finish(timed_out ? timeout : reset, true);
    return;
  }
  timer_.start(now + extras_->flush_interval);
  extras_->flush_interval = std::min(2 * extras_->flush_interval, kFlushPollLongest);
}

std::optional<Duration> TcpConnection::quiet_limit() const {
  if (is_half_closed())
    return runtime().rule().half_close_timeout;
  return runtime().rule().idle_timeout;
}

/// From idle_timeout to half_close_timeout, once.
void TcpConnection::shorten_timer() {
  if (half_close_timer_)
    return;
  half_close_timer_ = true;
  quiet_since_ = loop().now();
  if (!out_of_memory_)
    restart_timer();
}

/// The timer is not moved by every byte: when it fires it looks when the last one was.
void TcpConnection::restart_timer() {
  if (const auto limit = quiet_limit())
    timer_.start(quiet_since_ + *limit);
}

void TcpConnection::on_timer() noexcept {
  if (state_ == State::AwaitingHeader) {
    finish(Reason::ProxyHeaderTimeout, true);
    return;
  }
  if (state_ == State::Flushing) {
    poll_flush();
    return;
  }
  if (out_of_memory_) {
    restart_timer();
    run();
    return;
  }
  const auto limit = quiet_limit();
  if (limit && loop().now() - quiet_since_ >= *limit)
    end(is_half_closed() ? Reason::HalfCloseTimeout : Reason::IdleTimeout);
  else
    restart_timer();
}

std::uint64_t TcpConnection::upstream_cookie() const {
  return connector_ ? connector_->netns_cookie() : upstream_cookie_;
}

ForwardedStatus TcpConnection::status() const {
  return {route_->listener,    client_address_, connector_ ? "" : upstream_name(),
          pool().netns().name, began_,          client_.received,
          upstream_.received};
}

/// Where none is connected: the last that was tried.
std::string TcpConnection::upstream_name() const {
  if (connector_)
    return connector_->last_failure().target;
  if (extras_ && extras_->upstream)
    return extras_->upstream->to_string();
  return lease_ ? describe(lease_.target().spec, listener().port_offset) : "";
}

IpEndpoint TcpConnection::peer() const {
  return extras_ && extras_->peer ? *extras_->peer : client_address_;
}

std::optional<IpEndpoint> TcpConnection::upstream_local() const {
  return connector_ ? connector_->local() : local_endpoint(upstream_.fd.get());
}

SocketEnds TcpConnection::upstream_ends() const {
  return connector_ ? connector_->ends() : socket_ends(upstream_.fd.get());
}

void TcpConnection::end(Reason reason) {
  if (state_ != State::Closed)
    finish(reason, true);
}

void TcpConnection::finish(Reason reason, bool reset) {
  set_state(State::Closed);
  close_side(client_, listener().cookie, reset);
  close_side(upstream_, upstream_cookie_, reset);
  timer_.stop();
  if (runs_again_)
    context().run_again().remove(Delegate<void()>::to<&TcpConnection::on_run_again>(this));
  if (connector_)
    connector_->cancel();
  write_record(reason);
  lease_.release();
  if (extras_)
    extras_->source.release();
  runtime().connection_ended(*listener().traffic, reason);
  loop().destroy_later(context().connections().take(*this));
}

void TcpConnection::close_side(Side& side, std::uint64_t cookie, bool reset) {
  if (!side.fd)
    return;
  const bool is_home = cookie == home_netns().cookie();
  if (reset) {
    reset_on_close(side.fd.get());
  } else if (!is_home && !side.is_unix && unacknowledged_bytes(side.fd.get()) > 0) {
    side.watcher.stop();
    context().lingering().take(std::move(side.fd), cookie);
  }
  side.watcher.stop_and_close(side.fd);
}

void TcpConnection::write_record(Reason reason) const {
  const bool failed = is_failure(reason);
  const bool is_wanted = !failed || reason == Reason::Denied;
  const LogLevel level = is_wanted ? LogLevel::Info : LogLevel::Warn;
  if (!context().log().takes(level) || (is_wanted && !context().logs_connections()))
    return;
  const std::string client = client_address_.to_string();
  const std::string upstream = upstream_name();
  context().log().write(
      {.level = level,
       .event = failed ? log_event::kConnectionFailed : log_event::kConnectionClosed,
       .rule = runtime().rule().name,
       .netns = listener().netns,
       .protocol = to_string(Protocol::Tcp),
       .client = client,
       .listener = listener().address,
       .upstream = upstream,
       .received = client_.received,
       .sent = upstream_.received,
       .duration = std::chrono::duration_cast<std::chrono::microseconds>(loop().now() - began_),
       .reason = to_string(reason),
       .more = {{"error", std::string(extras_ ? extras_->fault : "")}}});
}

}  // namespace nsrelay
