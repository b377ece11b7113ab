// How a TCP connection ends: failures that are forwarded, time-outs, closing and the record.

#include <sys/socket.h>

#include <algorithm>
#include <limits>

#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/netns/netns_scope.hpp"
#include "nsrelay/relay/forwarding_log.hpp"
#include "nsrelay/relay/tcp_connection.hpp"
#include "nsrelay/upstream/target.hpp"

namespace nsrelay {
namespace {

constexpr Duration kFlushPollLongest{100};

// How often a quiet connection is looked at before it is over.
constexpr int kLooksPerLimit = 4;

}  // namespace

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

/// The timer is not moved by every byte: when it fires it looks when the last one was. It fires
/// more than once in that time, because what the kernels still deliver only shows by comparing.
void TcpConnection::restart_timer() {
  const auto limit = quiet_limit();
  if (!limit)
    return;
  const TimePoint next_look = loop().now() + std::max(*limit / kLooksPerLimit, Duration{1});
  timer_.start(std::min(quiet_since_ + *limit, next_look));
}

/// Bytes that its peer has not acknowledged. A FIN counts as one in the kernel, and is none.
int TcpConnection::undelivered(const Side& side) {
  const int waiting = unacknowledged_bytes(side.fd.get());
  return side.told_end && waiting > 0 ? waiting - 1 : waiting;
}

/// What the kernel has taken for a peer that reads slowly is not delivered for a long time: as long
/// as it gets less, neither side is quiet. A reset would throw it away.
void TcpConnection::look_at_delivery() {
  const int before = extras_ ? extras_->unacknowledged : 0;
  const int waiting = undelivered(client_) + undelivered(upstream_);
  if (waiting == before)
    return;
  extras().unacknowledged = waiting;
  quiet_since_ = loop().now();
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
  if (limit)
    look_at_delivery();
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
    context().lingering().take(std::move(side.fd), cookie, runtime().rule().on_netns_delete);
  }
  side.watcher.stop_and_close(side.fd);
}

void TcpConnection::write_record(Reason reason) const {
  if (!logs_end(context(), reason))
    return;
  const std::string upstream = upstream_name();
  log_end(context(), runtime(),
          {.listener = listener(),
           .client = client_address_,
           .upstream = upstream,
           .received = client_.received,
           .sent = upstream_.received,
           .began = began_,
           .reason = reason},
          {{"error", std::string(extras_ ? extras_->fault : "")}});
}

}  // namespace nsrelay
