#include "nsrelay/relay/tcp_connection.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>

#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/netns/netns_scope.hpp"
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

constexpr Duration kFlushPollLongest{100};
constexpr Duration kMemoryRetryInterval{20};

}  // namespace

TcpConnection::TcpConnection(RelayContext& context, RuleRuntime& runtime,
                             std::shared_ptr<UpstreamPool> pool,
                             std::shared_ptr<const ListenerInfo> listener, AcceptedClient client)
    : context_(context),
      runtime_(runtime),
      pool_(std::move(pool)),
      listener_(std::move(listener)),
      client_(context.loop()),
      upstream_(context.loop()),
      timer_(context.loop().timers(), Delegate<void()>::to<&TcpConnection::on_timer>(this)),
      run_again_(context.loop(), Delegate<void()>::to<&TcpConnection::on_run_again>(this)),
      began_(context.loop().now()),
      quiet_since_(began_),
      client_address_(client.address) {
  client_.fd = std::move(client.socket);
  if (client.source) {
    extras_ = std::make_unique<Extras>();
    extras_->source = std::move(client.source);
  }
  runtime_.connection_began(*listener_->traffic);
}

TcpConnection::~TcpConnection() = default;

void TcpConnection::start() {
  if (runtime_.rule().accept_proxy)
    await_proxy_header();
  else
    connect();
  auto watching = client_.watcher.start(client_.fd.get(), kRelayEvents,
                                        IoCallback::to<&TcpConnection::on_client_event>(this));
  if (!watching)
    finish(Reason::OutOfMemory, true);
}

void TcpConnection::connect() {
  set_state(State::Connecting);
  connector_ = std::make_unique<Connector>(
      context_.loop(), context_.reserve(), *pool_,
      ConnectRequest{listener_->port_offset, client_address_.ip},
      Connector::Events{
          Delegate<void()>::to<&TcpConnection::on_connector_finished>(this),
          Delegate<void(const FailedAttempt&)>::to<&TcpConnection::on_attempt_failed>(this)});
  connector_->start();
}

// ---------------------------------------------------------------------------- events

void TcpConnection::latch(Side& side, std::uint32_t events) {
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
  upstream_name_ = attempt.target;
  log_upstream_failed(context_.log(), runtime_, *listener_, attempt);
}

void TcpConnection::begin_relaying() {
  set_state(State::Relaying);
  listener_->traffic->connect_time.add(context_.loop().now() - began_);
  upstream_name_ = connector_->target();
  upstream_cookie_ = connector_->netns_cookie();
  upstream_.fd = connector_->take_socket();
  upstream_.watcher = connector_->take_watcher();
  lease_ = connector_->take_lease();
  upstream_.watcher.redirect(IoCallback::to<&TcpConnection::on_upstream_event>(this));
  upstream_.is_unix = connector_->is_unix();
  latch(upstream_, connector_->seen_events());
  context_.loop().destroy_later(std::move(connector_));
  client_.writable = true;
  quiet_since_ = context_.loop().now();
  restart_timer();
  if (pool_->proxy_protocol() != ProxyProtocol::None)
    send_proxy_header();
  run();
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
    timer_.start(context_.loop().now() + kMemoryRetryInterval);
  else if (busy)
    run_again_.schedule();
  settle();
}

/// One step of one direction. False: it has to wait, or is over.
bool TcpConnection::step(Side& source, Side& sink) {
  switch (next_step(flow(source, sink))) {
    case FlowStep::Read: {
      const auto moved = source.from.read_and_deliver(source.fd.get(), sink.fd.get(), source.urgent,
                                                      context_.mover_resources());
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
  TrafficCounters& traffic = *listener_->traffic;
  (&source == &client_ ? traffic.bytes_received : traffic.bytes_sent) += moved.read;
  if (before / kReceiveBufferFrom != source.received / kReceiveBufferFrom && !source.is_bounded)
    source.is_bounded = pool_->tcp_options().receive_buffer ||
                        bound_receive_buffer(source.fd.get(), kReceiveBuffer);
  moved_ += moved.read;
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

void TcpConnection::note_sink(const StreamMover::Moved& moved, const Side& source, Side& sink) {
  if (moved.read + moved.delivered > 0)
    quiet_since_ = context_.loop().now();
  // A short write has filled the send queue: the edge will come.
  if (source.from.has_pending())
    sink.writable = false;
  if (moved.sink.status == IoStatus::NoMemory)
    out_of_memory_ = sink.writable = true;
  if (moved.sink.status == IoStatus::Error)
    mark_failed(sink, moved.sink.error);
}

void TcpConnection::mark_failed(Side& side, int error) {
  side.failed = true;
  side.error = error;
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
  unacknowledged_ = std::numeric_limits<int>::max();
  poll_flush();
}

void TcpConnection::poll_flush() {
  const Side& failed = client_.failed ? client_ : upstream_;
  const Side& receiver = client_.failed ? upstream_ : client_;
  // Nothing tells when the last byte is acknowledged: ask, ever more seldom. What a Unix socket
  // was given is with its peer already.
  const int waiting =
      receiver.is_unix || receiver.failed ? 0 : unacknowledged_bytes(receiver.fd.get());
  const TimePoint now = context_.loop().now();
  if (waiting < unacknowledged_) {
    unacknowledged_ = waiting;
    quiet_since_ = now;
  }
  if (waiting == 0 || now - quiet_since_ >= runtime_.rule().half_close_timeout) {
    const bool is_client = &failed == &client_;
    const bool timed_out = failed.error == ETIMEDOUT;
    const Reason reset = is_client ? Reason::ClientReset : Reason::UpstreamReset;
    const Reason timeout = is_client ? Reason::ClientTimeout : Reason::UpstreamTimeout;
    finish(timed_out ? timeout : reset, true);
    return;
  }
  timer_.start(now + flush_interval_);
  flush_interval_ = std::min(flush_interval_ * 2, kFlushPollLongest);
}

std::optional<Duration> TcpConnection::quiet_limit() const {
  if (is_half_closed())
    return runtime_.rule().half_close_timeout;
  return runtime_.rule().idle_timeout;
}

/// From idle_timeout to half_close_timeout, once.
void TcpConnection::shorten_timer() {
  if (half_close_timer_)
    return;
  half_close_timer_ = true;
  quiet_since_ = context_.loop().now();
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
  if (limit && context_.loop().now() - quiet_since_ >= *limit)
    end(is_half_closed() ? Reason::HalfCloseTimeout : Reason::IdleTimeout);
  else
    restart_timer();
}

std::uint64_t TcpConnection::upstream_cookie() const {
  return connector_ ? connector_->netns_cookie() : upstream_cookie_;
}

ForwardedStatus TcpConnection::status() const {
  return {listener_,           client_address_, state_ == State::Connecting ? "" : upstream_name_,
          pool_->netns().name, began_,          client_.received,
          upstream_.received};
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
  close_side(client_, listener_->cookie, reset);
  close_side(upstream_, upstream_cookie_, reset);
  timer_.stop();
  run_again_.cancel();
  if (connector_)
    connector_->cancel();
  lease_.release();
  if (extras_)
    extras_->source.release();
  write_record(reason);
  runtime_.connection_ended(*listener_->traffic, reason);
  context_.loop().destroy_later(context_.connections().take(*this));
}

void TcpConnection::close_side(Side& side, std::uint64_t cookie, bool reset) {
  if (!side.fd)
    return;
  const bool is_home = cookie == home_netns().cookie();
  if (reset) {
    reset_on_close(side.fd.get());
  } else if (!is_home && !side.is_unix && unacknowledged_bytes(side.fd.get()) > 0) {
    side.watcher.stop();
    context_.lingering().take(std::move(side.fd), cookie);
  }
  side.watcher.stop_and_close(side.fd);
}

void TcpConnection::write_record(Reason reason) const {
  const bool failed = is_failure(reason);
  const bool is_wanted = !failed || reason == Reason::Denied;
  const LogLevel level = is_wanted ? LogLevel::Info : LogLevel::Warn;
  if (!context_.log().takes(level) || (is_wanted && !context_.logs_connections()))
    return;
  const std::string client = client_address_.to_string();
  context_.log().write(
      {.level = level,
       .event = failed ? log_event::kConnectionFailed : log_event::kConnectionClosed,
       .rule = runtime_.rule().name,
       .netns = listener_->netns,
       .protocol = to_string(Protocol::Tcp),
       .client = client,
       .listener = listener_->address,
       .upstream = upstream_name_,
       .received = client_.received,
       .sent = upstream_.received,
       .duration =
           std::chrono::duration_cast<std::chrono::microseconds>(context_.loop().now() - began_),
       .reason = to_string(reason),
       .more = {{"error", std::string(extras_ ? extras_->fault : "")}}});
}

}  // namespace nsrelay
