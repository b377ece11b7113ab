#include "nsrelay/relay/udp_downstream.hpp"

#include <sys/socket.h>

#include <array>

#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/net/udp_options.hpp"
#include "nsrelay/relay/forwarding_log.hpp"
#include "nsrelay/relay/udp_session.hpp"

namespace nsrelay {
namespace {

constexpr std::size_t kBudget = std::size_t{1024} * 1024;
constexpr int kBatches = 4;

// Bursts of 64 KiB are taken a few at a time: what is received is sent before it leaves the cache.
constexpr std::size_t kCacheBytes = std::size_t{256} * 1024;
constexpr std::size_t kMostBursts = 4;

std::optional<DropReason> drop_reason_of(std::optional<Reason> refused) {
  if (!refused)
    return std::nullopt;
  switch (*refused) {
    case Reason::PerSourceConnections:
      return DropReason::PerSourceConnections;
    case Reason::PerSourceRate:
      return DropReason::PerSourceRate;
    default:
      return DropReason::Denied;
  }
}

}  // namespace

Result<std::shared_ptr<UdpDownstream>> UdpDownstream::create(RelayContext& context,
                                                             RuleRuntime& runtime,
                                                             std::shared_ptr<UpstreamPool> pool,
                                                             const Listener& listener,
                                                             UniqueFd socket) {
  std::shared_ptr<UdpDownstream> made(
      new UdpDownstream(context, runtime, std::move(pool), listener, std::move(socket)));
  auto watching = made->watcher_.start(made->socket_.get(), EPOLLIN,
                                       IoCallback::to<&UdpDownstream::on_readable>(made.get()));
  if (!watching)
    return std::move(watching).error();
  return made;
}

UdpDownstream::UdpDownstream(RelayContext& context, RuleRuntime& runtime,
                             std::shared_ptr<UpstreamPool> pool, const Listener& listener,
                             UniqueFd socket)
    : context_(context),
      runtime_(&runtime),
      pool_(std::move(pool)),
      listener_(&listener),
      info_(listener.shared_info()),
      socket_(std::move(socket)),
      watcher_(context.loop()) {}

UdpDownstream::~UdpDownstream() {
  if (listener_ == nullptr)
    context_.draining_ports().remove(*info_, *this);
}

void UdpDownstream::on_readable(std::uint32_t /*events*/) noexcept {
  DatagramReceiver& receiver = context_.datagrams().receiver;
  std::size_t bytes = 0;
  for (int i = 0; i < kBatches && bytes < kBudget; ++i) {
    const std::size_t most = most_;
    const IoResult got = receiver.receive(socket_.get(), most);
    if (got.status == IoStatus::Error)
      continue;  // of some datagram that was sent before; nothing was lost by it
    if (got.status != IoStatus::Ok)
      return;
    bytes += got.bytes;
    most_ = got.bytes > kCacheBytes ? kMostBursts : DatagramReceiver::kMost;
    const std::size_t sessions = sessions_.size();
    dispatch(receiver.received());
    // New sessions first get their upstream: until then they have to keep what comes.
    if (receiver.received().size() < most || sessions_.size() > sessions)
      return;
  }
}

void UdpDownstream::dispatch(std::span<const ReceivedDatagrams> received) {
  std::array<UdpSession*, DatagramReceiver::kMost> sessions;
  for (std::size_t i = 0; i < received.size(); ++i) {
    const bool same = i > 0 && sessions[i - 1] != nullptr && !received[i].truncated &&
                      received[i].path == received[i - 1].path;
    sessions[i] = same ? sessions[i - 1] : session_of(received[i]);
    drop(DropReason::ReceiveOverflow, overflow_meter_.since_last(received[i].overflows));
  }
  for (std::size_t i = 0; i < received.size(); ++i)
    if (sessions[i] != nullptr)
      deliver(*sessions[i], received.subspan(i), &sessions[i]);
}

/// The session that is to forward it, which may be a new one; null: it is dropped.
UdpSession* UdpDownstream::session_of(const ReceivedDatagrams& one) {
  if (one.truncated) {
    drop(DropReason::Truncated, 1);
    return nullptr;
  }
  UdpSession* known = sessions_.find(one.path);
  return known != nullptr ? known : start_session(one.path, one.run.count());
}

/// Whether a datagram that came by `path` came from ourselves, in a circle.
bool UdpDownstream::breaks_loop(const DatagramPath& path) {
  return context_.loop_guard().is_due() &&
         context_.loop_guard().breaks_loop({listener_->info(), *runtime_, path.peer, {local(path)}},
                                           context_.loop().now());
}

IpEndpoint UdpDownstream::local(const DatagramPath& path) const {
  IpEndpoint bound = local_endpoint(socket_.get()).value_or(IpEndpoint{});
  if (!path.local.is_any())
    bound.ip = path.local;
  return bound;
}

UdpSession* UdpDownstream::start_session(const DatagramPath& path, std::uint64_t datagrams) {
  std::optional<DropReason> refused;
  if (listener_ == nullptr)
    refused = DropReason::Draining;
  else if (!admits(runtime_->rule(), path.peer.ip))
    refused = DropReason::Denied;
  else if (!runtime_->has_room())
    refused = DropReason::MaxSessions;
  else if (!context_.reserve().hold())
    refused = DropReason::OutOfDescriptors;
  if (!refused && breaks_loop(path))
    refused = DropReason::ForwardingLoop;
  if (refused == DropReason::MaxSessions || refused == DropReason::OutOfDescriptors)
    context_.loop_guard().look_at_limit(context_.loop().now());
  SourceLease source;
  if (!refused)
    refused = drop_reason_of(runtime_->refuses(path.peer.ip, context_.loop().now(), source));
  if (refused) {
    drop(*refused, datagrams);
    return nullptr;
  }
  auto session = std::make_unique<UdpSession>(context_, *runtime_, pool_, shared_from_this(),
                                              listener_->shared_info(), path);
  UdpSession& started = *session;
  started.hold(std::move(source));
  sessions_.add(path, started);
  context_.connections().add(std::move(session));
  started.start();
  return &started;
}

/// Forwards all that belongs to `session`: what `sessions` says of the datagram at the same place.
/// Takes it out there.
void UdpDownstream::deliver(UdpSession& session, std::span<const ReceivedDatagrams> received,
                            UdpSession** sessions) {
  DatagramSender& batch = context_.datagrams().sender;
  batch.clear();
  for (std::size_t i = 0; i < received.size(); ++i) {
    if (sessions[i] != &session)
      continue;
    batch.add(received[i].run, nullptr);
    sessions[i] = nullptr;
  }
  const DatagramPath path = session.path();
  if (session.forward(batch))
    return;
  // It ended by what an earlier datagram had met with: these go to another one.
  UdpSession* fresh = start_session(path, 0);
  batch.for_each_rest([&](const DatagramRun& run) {
    if (fresh != nullptr)
      fresh->keep(run);
    else
      drop(DropReason::NoUpstream, run.count());
  });
}

void UdpDownstream::forget(const UdpSession& session) {
  sessions_.remove(session.path());
}

void UdpDownstream::adopt(RuleRuntime& runtime, std::shared_ptr<UpstreamPool> pool) {
  // What the kernel does not take leaves the socket as it was.
  SocketAddress address;
  ::getsockname(socket_.get(), address.data(), address.size_to_fill());
  (void)apply_udp_options(socket_.get(), address.family(), udp_options_of(runtime.rule()));
  runtime_ = &runtime;
  pool_ = std::move(pool);
}

void UdpDownstream::drain() {
  info_ = listener_->shared_info();
  listener_ = nullptr;
  runtime_ = nullptr;  // which may end before the sessions that began under a former one
  context_.draining_ports().add(*info_, *this);
  sessions_.for_each([](UdpSession& session) { session.drain(); });
}

void UdpDownstream::resume(const Listener& listener, RuleRuntime& runtime,
                           std::shared_ptr<UpstreamPool> pool) {
  listener_ = &listener;
  adopt(runtime, std::move(pool));
  sessions_.for_each([](UdpSession& session) { session.resume(); });
}

void UdpDownstream::drop(DropReason reason, std::uint64_t datagrams) {
  if (listener_ != nullptr)
    count_drop(context_, *runtime_, listener_->info(), reason, datagrams);
  else if (UdpSession* session = sessions_.any(); session != nullptr)
    count_drop(context_, session->runtime(), *info_, reason, datagrams);
  else
    info_->traffic->datagrams_dropped[reason] += datagrams;
}

}  // namespace nsrelay
