// How an SCTP association ends: what is waited for, time-outs, closing and the record.

#include <sys/socket.h>

#include <cstdlib>

#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/relay/forwarding_log.hpp"
#include "nsrelay/relay/sctp_association.hpp"

namespace nsrelay {

void SctpAssociation::settle() {
  const auto failed = failure();
  if (fault_) {
    finish(*fault_, true);
    return;
  }
  if (is_over(client_.peer) && is_over(upstream_.peer)) {
    const Reason closed = client_ended_first_ ? Reason::ClientClosed : Reason::UpstreamClosed;
    finish(failed.value_or(closed), failed.has_value());
    return;
  }
  if (failed && (client_.acknowledged || upstream_.acknowledged)) {
    finish(*failed, true);
    return;
  }
  if (is_closing() && !closing_timer_ && !out_of_memory_) {
    closing_timer_ = true;
    quiet_since_ = loop().now();
    in_kernel_ = count_in_kernel();
    restart_timer();
  }
  watch(upstream_, client_);
  watch(client_, upstream_);
}

/// Registers `side` for what it is waited for now, `source` being where its messages come from.
void SctpAssociation::watch(Side& side, const Side& source) {
  const bool waits = source.from.has_pending() && !side.writable && !is_over(side.peer);
  side.muted = side.muted && side.from.has_pending();
  const std::uint32_t events = wanted_sctp_events(waits, side.muted);
  if (events == side.events)
    return;
  side.events = events;
  // Only fails for a descriptor that is not registered.
  if (!side.watcher.set_events(events))
    std::abort();
}

std::optional<Reason> SctpAssociation::failure() const {
  if (client_.peer == PeerState::Failed)
    return client_.failure;
  if (upstream_.peer == PeerState::Failed)
    return upstream_.failure;
  return std::nullopt;
}

bool SctpAssociation::is_closing() const {
  return client_.peer != PeerState::Open || upstream_.peer != PeerState::Open;
}

std::optional<Duration> SctpAssociation::quiet_limit() const {
  if (is_closing())
    return runtime().rule().half_close_timeout;
  return runtime().rule().idle_timeout;
}

/// The timer is not moved by every message: when it fires it looks when the last one was.
void SctpAssociation::restart_timer() {
  if (const auto limit = quiet_limit())
    timer_.start(quiet_since_ + *limit);
}

/// Whether what the peers have to acknowledge is another amount since this was last asked: a slow
/// link or reader empties the kernel's queue without any event.
bool SctpAssociation::has_moved_in_kernel() {
  const std::uint32_t before = in_kernel_;
  in_kernel_ = count_in_kernel();
  return in_kernel_ != before;
}

std::uint32_t SctpAssociation::count_in_kernel() const {
  return unacknowledged_sctp_chunks(client_.fd.get()) +
         unacknowledged_sctp_chunks(upstream_.fd.get());
}

void SctpAssociation::on_timer() noexcept {
  if (out_of_memory_) {
    restart_timer();
    run();
    return;
  }
  const auto limit = quiet_limit();
  const TimePoint now = loop().now();
  if (limit && has_moved_in_kernel())
    quiet_since_ = now;
  if (limit && now - quiet_since_ >= *limit)
    end(is_closing() ? failure().value_or(Reason::HalfCloseTimeout) : Reason::IdleTimeout);
  else
    restart_timer();
}

std::uint64_t SctpAssociation::upstream_cookie() const {
  return connector_ ? connector_->netns_cookie() : upstream_cookie_;
}

ForwardedStatus SctpAssociation::status() const {
  return {route_->listener,    client_address_, state_ == State::Connecting ? "" : upstream_name_,
          pool().netns().name, began_,          client_.received,
          upstream_.received};
}

std::optional<IpEndpoint> SctpAssociation::upstream_local() const {
  return connector_ ? connector_->local() : local_endpoint(upstream_.fd.get());
}

SocketEnds SctpAssociation::upstream_ends() const {
  return connector_ ? connector_->ends() : socket_ends(upstream_.fd.get());
}

void SctpAssociation::end(Reason reason) {
  if (state_ != State::Closed)
    finish(reason, true);
}

void SctpAssociation::finish(Reason reason, bool abort) {
  set_state(State::Closed);
  for (Side* side : {&client_, &upstream_}) {
    if (!side->fd)
      continue;
    if (abort)
      reset_on_close(side->fd.get());
    side->watcher.stop_and_close(side->fd);
  }
  timer_.stop();
  run_again_.cancel();
  if (connector_)
    connector_->cancel();
  lease_.release();
  source_lease_.release();
  write_record(reason);
  runtime().connection_ended(*listener().traffic, reason);
  loop().destroy_later(context().connections().take(*this));
}

void SctpAssociation::write_record(Reason reason) const {
  if (!logs_end(context(), reason))
    return;
  log_end(context(), runtime(),
          {.listener = listener(),
           .client = client_address_,
           .upstream = upstream_name_,
           .received = client_.received,
           .sent = upstream_.received,
           .began = began_,
           .reason = reason},
          {{"messages_received", std::to_string(client_.messages)},
           {"messages_sent", std::to_string(upstream_.messages)},
           {"undelivered", std::to_string(client_.undelivered + upstream_.undelivered)},
           {"error", fault_text_}});
}

}  // namespace nsrelay
