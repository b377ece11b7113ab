#include "nsrelay/relay/udp_session.hpp"

#include <algorithm>
#include <cerrno>

#include "nsrelay/relay/forwarding_log.hpp"
#include "nsrelay/relay/udp_downstream.hpp"
#include "nsrelay/upstream/connect_error.hpp"

namespace nsrelay {
namespace {

// One session moves at most so much before the others have their turn.
constexpr std::size_t kBudget = std::size_t{1024} * 1024;
constexpr int kBatches = 4;

// A question and its answer are over after that.
constexpr Duration kIdleInDrain{1000};

/// Whether an error of send(2) tells of the target, by an ICMP message or the lack of a route,
/// rather than of what was to be sent.
bool is_target_error(int error) {
  const Reason reason = reason_of_connect_error(error);
  return reason == Reason::ConnectRefused || reason == Reason::ConnectUnreachable ||
         error == ENOPROTOOPT;
}

DropReason drop_reason_of(int error) {
  switch (error) {
    case EAGAIN:
      return DropReason::SendBufferFull;
    case EMSGSIZE:
      return DropReason::TooLong;
    case ENOBUFS:
    case ENOMEM:
      return DropReason::OutOfMemory;
    default:
      return DropReason::SendFailed;
  }
}

}  // namespace

UdpSession::UdpSession(RelayContext& context, RuleRuntime& runtime,
                       std::shared_ptr<UpstreamPool> pool,
                       std::shared_ptr<UdpDownstream> downstream,
                       std::shared_ptr<const ListenerInfo> listener, const DatagramPath& path)
    : context_(context),
      runtime_(runtime),
      pool_(std::move(pool)),
      downstream_(std::move(downstream)),
      listener_(std::move(listener)),
      path_(path),
      watcher_(context.loop()),
      timer_(context.loop().timers(), Delegate<void()>::to<&UdpSession::on_timer>(this)),
      began_(context.loop().now()),
      last_datagram_(began_) {
  runtime_.connection_began(*listener_->traffic);
}

UdpSession::~UdpSession() = default;

// ---------------------------------------------------------------------------- the upstream

void UdpSession::start() {
  queue_ = std::make_unique<DatagramQueue>(context_.datagrams().queue_budget);
  connector_ = std::make_unique<Connector>(
      context_.loop(), context_.reserve(), *pool_,
      ConnectRequest{listener_->port_offset, path_.peer.ip},
      Connector::Events{
          Delegate<void()>::to<&UdpSession::on_connector_finished>(this),
          Delegate<void(const FailedAttempt&)>::to<&UdpSession::on_attempt_failed>(this)});
  connector_->start();
}

void UdpSession::on_attempt_failed(const FailedAttempt& attempt) noexcept {
  upstream_name_ = attempt.target;
  log_upstream_failed(context_.log(), runtime_, *listener_, attempt);
}

void UdpSession::on_connector_finished() noexcept {
  if (connector_->failed())
    finish(connector_->last_failure().reason);
  else
    begin_relaying();
}

void UdpSession::begin_relaying() {
  set_state(State::Relaying);
  listener_->traffic->connect_time.add(context_.loop().now() - began_);
  upstream_name_ = connector_->target();
  upstream_cookie_ = connector_->netns_cookie();
  upstream_ = connector_->take_socket();
  watcher_ = connector_->take_watcher();
  lease_ = connector_->take_lease();
  watcher_.redirect(IoCallback::to<&UdpSession::on_upstream_event>(this));
  upstream_is_v6_ = connector_->is_v6();
  upstream_address_ = connector_->address().endpoint().ip;
  watch_name();
  context_.loop().destroy_later(std::move(connector_));
  restart_timer();
  const std::unique_ptr<DatagramQueue> queue = std::move(queue_);
  DatagramSender& batch = context_.datagrams().sender;
  batch.clear();
  queue->add_to(batch);
  (void)send_to_upstream(batch);  // nothing was sent before
}

/// A session has no end of its own: without this it would go to a former address of the target for
/// as long as the client talks.
void UdpSession::watch_name() {
  const TargetSpec& target = lease_.target().spec;
  if (target.kind != TargetSpec::Kind::HostName)
    return;
  name_watch_ =
      std::make_unique<NameWatch>(Delegate<void()>::to<&UdpSession::on_addresses_changed>(this));
  pool_->resolver().keep_watching(target.host, *name_watch_);
}

void UdpSession::on_addresses_changed() noexcept {
  const auto& addresses = pool_->resolver().addresses_of(lease_.target().spec.host);
  if (std::find(addresses.begin(), addresses.end(), upstream_address_) == addresses.end())
    finish(Reason::UpstreamMoved);
}

// ---------------------------------------------------------------------------- moving datagrams

bool UdpSession::forward(DatagramSender& batch) {
  last_datagram_ = context_.loop().now();
  if (state_ == State::Connecting) {
    batch.for_each_rest([this](const DatagramRun& run) { keep(run); });
    return true;
  }
  if (state_ == State::Closed) {  // by the LoopGuard, after it was found for this batch
    batch.for_each_rest(
        [this](const DatagramRun& run) { drop(DropReason::ForwardingLoop, run.count()); });
    return true;
  }
  const int error = send_to_upstream(batch);
  if (error != 0)
    fail(error);
  return error == 0;
}

void UdpSession::keep(const DatagramRun& run) {
  if (!queue_->push(run))
    drop(DropReason::ConnectQueueFull, run.count());
}

/// Returns the error of the target, if a datagram that was sent before has brought one, else 0.
int UdpSession::send_to_upstream(DatagramSender& batch) {
  const bool may_be_stale = received_.datagrams > 0;
  int error = 0;
  while ((error = batch.send(upstream_.get(), upstream_is_v6_, segmentation_)) != 0) {
    if (may_be_stale && is_target_error(error))
      break;
    drop_failed(batch, error);
  }
  received_ += batch.sent();
  listener_->traffic->bytes_received += batch.sent().bytes;
  listener_->traffic->datagrams_received += batch.sent().datagrams;
  context_.note_moved(batch.sent().bytes);
  return error;
}

void UdpSession::drop_failed(DatagramSender& batch, int error) {
  drop(drop_reason_of(error), error == EAGAIN ? batch.skip_rest() : batch.skip_failed());
}

void UdpSession::drop(DropReason reason, std::uint64_t datagrams) {
  count_drop(context_, runtime_, *listener_, reason, datagrams);
}

void UdpSession::on_upstream_event(std::uint32_t /*events*/) noexcept {
  DatagramReceiver& receiver = context_.datagrams().receiver;
  std::size_t bytes = 0;
  for (int i = 0; i < kBatches && bytes < kBudget; ++i) {
    const IoResult got = receiver.receive(upstream_.get());
    if (got.status == IoStatus::Error) {
      fail(got.error);
      return;
    }
    if (got.status != IoStatus::Ok)
      return;
    bytes += got.bytes;
    send_replies();
    if (receiver.received().size() < DatagramReceiver::kMost)
      return;
  }
}

void UdpSession::send_replies() {
  DatagramSender& batch = context_.datagrams().sender;
  batch.clear();
  for (const ReceivedDatagrams& one : context_.datagrams().receiver.received()) {
    drop(DropReason::ReceiveOverflow, overflow_meter_.since_last(one.overflows));
    if (one.truncated)
      drop(DropReason::Truncated, 1);
    else
      batch.add(one.run, &path_);
  }
  last_datagram_ = context_.loop().now();
  if (sent_.datagrams == 0)
    lease_.succeeded();
  while (const int error = downstream_->send(batch))
    drop_failed(batch, error);
  sent_ += batch.sent();
  listener_->traffic->bytes_sent += batch.sent().bytes;
  listener_->traffic->datagrams_sent += batch.sent().datagrams;
  context_.note_moved(batch.sent().bytes);
}

// ---------------------------------------------------------------------------- ending

Duration UdpSession::idle_limit() const {
  const Duration timeout = runtime_.rule().session_timeout;
  return draining_ ? std::min(timeout, kIdleInDrain) : timeout;
}

void UdpSession::drain() {
  draining_ = true;
  if (state_ == State::Relaying)
    restart_timer();
}

/// The timer is not moved by every datagram: when it fires it looks when the last one was.
void UdpSession::restart_timer() {
  timer_.start(last_datagram_ + idle_limit());
}

void UdpSession::on_timer() noexcept {
  if (context_.loop().now() - last_datagram_ < idle_limit())
    restart_timer();
  else
    finish(draining_ ? Reason::Drained : Reason::SessionTimeout);
}

/// The target, or a router on the way, has said that it cannot be reached.
void UdpSession::fail(int error) {
  const Reason reason =
      error == ENOPROTOOPT ? Reason::ConnectRefused : reason_of_connect_error(error);
  on_attempt_failed({upstream_name_, reason, "ICMP: " + errno_text(error)});
  lease_.failed(context_.loop().now());
  finish(reason);
}

ForwardedStatus UdpSession::status() const {
  return {listener_,           path_.peer, state_ == State::Connecting ? "" : upstream_name_,
          pool_->netns().name, began_,     received_.bytes,
          sent_.bytes};
}

SocketEnds UdpSession::client_ends() const {
  return {{downstream_->local(path_)}, {path_.peer}};
}

void UdpSession::end(Reason reason) {
  if (state_ != State::Closed)
    finish(reason);
}

void UdpSession::finish(Reason reason) {
  set_state(State::Closed);
  watcher_.stop_and_close(upstream_);
  timer_.stop();
  if (connector_)
    connector_->cancel();
  lease_.release();
  source_.release();
  name_watch_.reset();
  if (queue_)
    drop(DropReason::NoUpstream, queue_->count());
  write_record(reason);
  runtime_.connection_ended(*listener_->traffic, reason);
  downstream_->forget(*this);
  context_.loop().destroy_later(context_.connections().take(*this));
}

void UdpSession::write_record(Reason reason) const {
  if (!logs_end(context_, reason))
    return;
  log_end(context_, runtime_,
          {.listener = *listener_,
           .client = path_.peer,
           .upstream = upstream_name_,
           .received = received_.bytes,
           .sent = sent_.bytes,
           .began = began_,
           .reason = reason},
          {{"datagrams_received", std::to_string(received_.datagrams)},
           {"datagrams_sent", std::to_string(sent_.datagrams)}});
}

}  // namespace nsrelay
