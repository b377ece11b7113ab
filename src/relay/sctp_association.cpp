#include "nsrelay/relay/sctp_association.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/relay/forwarding_log.hpp"

namespace nsrelay {
namespace {

// One association moves at most so much before the others have their turn.
constexpr std::size_t kBudget = std::size_t{1024} * 1024;
// What a short message costs in that budget: the system calls are the work.
constexpr std::size_t kLeastCost = 4096;

constexpr Duration kMemoryRetryInterval{20};

/// Whether an error of sending only says that the peer takes nothing any more. How it ended,
/// reading will tell.
bool is_refusal(int error) {
  return error == EPIPE || error == ESHUTDOWN || error == ENOTCONN || error == ECONNRESET;
}

}  // namespace

SctpAssociation::SctpAssociation(std::shared_ptr<const RelayRoute> route, AcceptedClient client)
    : route_(std::move(route)),
      client_(loop()),
      upstream_(loop()),
      timer_(loop().timers(), Delegate<void()>::to<&SctpAssociation::on_timer>(this)),
      run_again_(loop(), Delegate<void()>::to<&SctpAssociation::on_run_again>(this)),
      began_(loop().now()),
      quiet_since_(began_),
      client_address_(client.address) {
  client_.fd = std::move(client.socket);
  source_lease_ = std::move(client.source);
  runtime().connection_began(*listener().traffic);
}

SctpAssociation::~SctpAssociation() = default;

/// Its association may be over by the time that it is accepted, with messages still to be read;
/// then the first notice tells what it had.
std::optional<SctpStreams> SctpAssociation::find_client_streams() {
  if (const auto granted = granted_sctp_streams(client_.fd.get()))
    return granted;
  const auto first = receive_sctp(client_.fd.get(), context().mover_resources().buffer);
  return first.notice == SctpNotice::Up ? std::optional(first.streams) : std::nullopt;
}

void SctpAssociation::start() {
  const auto streams = find_client_streams();
  if (!streams) {
    finish(Reason::OutOfMemory, true);  // of which its first notice was lost
    return;
  }
  client_.streams = *streams;
  connector_ = std::make_unique<Connector>(
      loop(), context().reserve(), pool(),
      ConnectRequest{.port_offset = listener().port_offset,
                     .client = client_address_.ip,
                     .sctp_streams = {streams->inbound, streams->outbound}},
      Connector::Events{
          Delegate<void()>::to<&SctpAssociation::on_connector_finished>(this),
          Delegate<void(const FailedAttempt&)>::to<&SctpAssociation::on_attempt_failed>(this)});
  connector_->start();
  client_.events = wanted_sctp_events(false, false);
  auto watching = client_.watcher.start(client_.fd.get(), client_.events,
                                        IoCallback::to<&SctpAssociation::on_client_event>(this));
  if (!watching)
    finish(Reason::OutOfMemory, true);
}

// ---------------------------------------------------------------------------- events

void SctpAssociation::latch(Side& side, std::uint32_t events) {
  // It was known, and the other side has to take something first: each chunk would be an event.
  if ((events & EPOLLIN) != 0 && side.readable && side.from.has_pending())
    side.muted = true;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
    side.readable = true;
  if ((events & EPOLLOUT) != 0)
    side.writable = true;
}

void SctpAssociation::on_client_event(std::uint32_t events) noexcept {
  latch(client_, events);
  if (state_ == State::Connecting)
    read_ahead();
  else
    run();
}

void SctpAssociation::on_upstream_event(std::uint32_t events) noexcept {
  latch(upstream_, events);
  run();
}

void SctpAssociation::on_connector_finished() noexcept {
  if (connector_->failed()) {
    finish(connector_->last_failure().reason, true);
    return;
  }
  begin_relaying();
}

void SctpAssociation::on_attempt_failed(const FailedAttempt& attempt) noexcept {
  upstream_name_ = attempt.target;
  log_upstream_failed(context().log(), runtime(), listener(), attempt);
}

/// While an upstream is sought, at most one message is taken: to hear of a client that is gone, of
/// whom there is nothing to deliver.
void SctpAssociation::read_ahead() {
  const auto buffer = context().mover_resources().buffer;
  while (client_.readable && client_.peer == PeerState::Open && !client_.from.has_pending() &&
         !fault_) {
    const auto moved = client_.from.read(client_.fd.get(), buffer, limits_towards(upstream_));
    note_source(moved.source, client_);
    note_fault(moved.fault, client_, upstream_);
    if (moved.source.io.status == IoStatus::NoMemory)
      break;
  }
  if (fault_)
    finish(*fault_, true);
  else if (is_over(client_.peer) && !client_.from.has_pending())
    finish(failure().value_or(Reason::ClientClosed), true);
}

void SctpAssociation::begin_relaying() {
  set_state(State::Relaying);
  listener().traffic->connect_time.add(loop().now() - began_);
  upstream_name_ = connector_->target();
  upstream_cookie_ = connector_->netns_cookie();
  upstream_.fd = connector_->take_socket();
  upstream_.watcher = connector_->take_watcher();
  lease_ = connector_->take_lease();
  upstream_.watcher.redirect(IoCallback::to<&SctpAssociation::on_upstream_event>(this));
  upstream_.events = kRelayEvents;
  // An association that is over again grants nothing; sending will say so.
  upstream_.streams = granted_sctp_streams(upstream_.fd.get())
                          .value_or(SctpStreams{client_.streams.inbound, client_.streams.outbound});
  latch(upstream_, connector_->seen_events());
  loop().destroy_later(std::move(connector_));
  quiet_since_ = loop().now();
  restart_timer();
  run();
}

// ---------------------------------------------------------------------------- moving messages

MessageFlow SctpAssociation::flow(const Side& source, const Side& sink) {
  return {.source = source.peer,
          .sink = sink.peer,
          .source_readable = source.readable,
          .sink_writable = sink.writable,
          .sink_refuses = sink.refuses,
          .has_pending = source.from.has_pending(),
          .end_forwarded = sink.told_end};
}

MessageMover::Limits SctpAssociation::limits_towards(const Side& sink) const {
  return {.longest = runtime().rule().max_message.bytes, .streams = sink.streams.outbound};
}

void SctpAssociation::run() {
  if (state_ != State::Relaying)
    return;
  moved_ = 0;
  out_of_memory_ = false;
  bool busy = true;
  while (busy && !out_of_memory_ && !fault_ && moved_ < kBudget) {
    busy = step(client_, upstream_);
    busy |= step(upstream_, client_);
  }
  if (out_of_memory_)
    timer_.start(loop().now() + kMemoryRetryInterval);
  else if (busy)
    run_again_.schedule();
  context().note_moved(moved_);
  settle();
}

/// One step of one direction. False: it has to wait, or is over.
bool SctpAssociation::step(Side& source, Side& sink) {
  const auto buffer = context().mover_resources().buffer;
  switch (next_message_step(flow(source, sink))) {
    case MessageStep::Read: {
      const auto moved = source.from.read_and_deliver(source.fd.get(), sink.fd.get(), buffer,
                                                      limits_towards(sink));
      note_source(moved.source, source);
      note_sink(moved, source, sink);
      return true;
    }
    case MessageStep::ReadAndDrop: {
      const auto moved = MessageMover::read_and_drop(source.fd.get(), buffer);
      source.undelivered += moved.dropped ? 1 : 0;
      note_source(moved.source, source);
      return true;
    }
    case MessageStep::Deliver:
      note_sink(source.from.deliver(sink.fd.get(), limits_towards(sink)), source, sink);
      return true;
    case MessageStep::Drop:
      source.from.drop();
      ++source.undelivered;
      return true;
    case MessageStep::ForwardShutdown:
      forward_shutdown(sink);
      return true;
    case MessageStep::ForwardAbort:
      forward_abort(sink);
      return true;
    case MessageStep::Wait:
    case MessageStep::Finished:
      return false;
  }
  return false;
}

void SctpAssociation::note_source(const SctpReceived& received, Side& source) {
  switch (received.io.status) {
    case IoStatus::Ok:
      moved_ += std::max(received.io.bytes, kLeastCost);
      if (received.notice != SctpNotice::None) {
        note_notice(received.notice, source);
        return;
      }
      count(source, received);
      return;
    case IoStatus::WouldBlock:
      source.readable = false;
      return;
    case IoStatus::Eof:
      source.readable = false;
      note_end(source, PeerState::ShutDown);
      return;
    case IoStatus::NoMemory:
      out_of_memory_ = true;
      return;
    case IoStatus::Error:
      fail(source, received.io.error);
      return;
  }
}

void SctpAssociation::count(Side& source, const SctpReceived& received) {
  TrafficCounters& traffic = *listener().traffic;
  const bool is_client = &source == &client_;
  source.received += received.io.bytes;
  (is_client ? traffic.bytes_received : traffic.bytes_sent) += received.io.bytes;
  (is_client ? traffic.datagrams_received : traffic.datagrams_sent) +=
      received.ends_message ? 1 : 0;
}

void SctpAssociation::note_sink(const MessageMover::Moved& moved, Side& source, Side& sink) {
  note_fault(moved.fault, source, sink);
  // What is dropped keeps no association alive; it does not come here.
  if (moved.delivered > 0 || moved.source.has_data())
    quiet_since_ = loop().now();
  if (moved.delivered > 0) {
    ++source.messages;
    return;
  }
  if (!source.from.has_pending() || fault_)
    return;
  switch (moved.sink.status) {
    case IoStatus::NoMemory:
      out_of_memory_ = true;
      return;
    case IoStatus::Error:
      if (!is_refusal(moved.sink.error))
        fail(sink, moved.sink.error);
      sink.refuses = true;
      sink.readable = true;
      return;
    default:
      sink.writable = false;
      return;
  }
}

void SctpAssociation::note_notice(SctpNotice notice, Side& side) {
  switch (notice) {
    case SctpNotice::Closed:
      note_end(side, PeerState::Gone);
      return;
    case SctpNotice::Lost:
      fail(side, take_socket_error(side.fd.get()));
      return;
    case SctpNotice::Restarted:
      fail(side, ERESTART);
      return;
    case SctpNotice::SenderDry:
      side.acknowledged = true;
      return;
    case SctpNotice::None:
    case SctpNotice::Up:
    case SctpNotice::PartAborted:
    case SctpNotice::Other:
      return;
  }
}

void SctpAssociation::note_end(Side& side, PeerState how) {
  if (client_.peer == PeerState::Open && upstream_.peer == PeerState::Open)
    client_ended_first_ = &side == &client_;
  if (side.peer == PeerState::Open || !is_over(side.peer))
    side.peer = how;
}

void SctpAssociation::fail(Side& side, int error) {
  if (is_over(side.peer))
    return;
  const bool is_client = &side == &client_;
  if (error == ETIMEDOUT)
    side.failure = is_client ? Reason::ClientTimeout : Reason::UpstreamTimeout;
  else if (error == ERESTART)
    side.failure = is_client ? Reason::ClientRestarted : Reason::UpstreamRestarted;
  else
    side.failure = is_client ? Reason::ClientReset : Reason::UpstreamReset;
  note_end(side, PeerState::Failed);
}

/// Sent by the kernel behind everything that it has for the peer.
void SctpAssociation::forward_shutdown(Side& sink) {
  sink.told_end = true;
  if (::shutdown(sink.fd.get(), SHUT_WR) != 0)
    sink.readable = true;  // it is over, and reading says how
}

/// The abort itself is settle()'s, once the peer has acknowledged everything.
void SctpAssociation::forward_abort(Side& sink) {
  sink.told_end = true;
  if (!notify_when_acknowledged(sink.fd.get()))
    sink.acknowledged = true;
}

void SctpAssociation::note_fault(MessageMover::Fault fault, const Side& source, const Side& sink) {
  const std::string who = &source == &client_ ? "the client" : "the upstream";
  switch (fault) {
    case MessageMover::Fault::None:
      return;
    case MessageMover::Fault::TooLong:
      fault_ = Reason::MessageTooLong;
      fault_text_ = "a message of " + who + " is longer than max_message, " +
                    std::to_string(runtime().rule().max_message.bytes) +
                    " bytes, or the other side's send buffer";
      return;
    case MessageMover::Fault::NoSuchStream:
      fault_ = Reason::TooFewStreams;
      fault_text_ = who + " sent on stream " + std::to_string(source.from.info().stream) +
                    ", the other side has granted " + std::to_string(sink.streams.outbound) +
                    " streams";
      return;
  }
}

}  // namespace nsrelay
