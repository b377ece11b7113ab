#include "nsrelay/upstream/connector.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "nsrelay/base/hash.hpp"
#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/upstream/connect_error.hpp"
#include "nsrelay/upstream/target.hpp"
#include "upstream_socket.hpp"

namespace nsrelay {
namespace {

/// A Unix listener whose backlog is full says EAGAIN and gives no event when it is not any more.
constexpr auto kUnixRetryInterval = std::chrono::milliseconds(5);

/// How many source addresses one connection tries at most, where they have no port left or are not
/// configured.
constexpr std::size_t kMostSourcesTried = 256;

/// The index of the address with the client's highest score (rendezvous hashing).
std::size_t address_for_client(const std::vector<IpAddress>& addresses, const IpAddress& client) {
  std::size_t best = 0;
  std::uint64_t best_score = 0;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const std::uint64_t score = mix(mix(0, addresses[i]), client);
    if (score <= best_score)
      continue;
    best = i;
    best_score = score;
  }
  return best;
}

/// Whether the connection was made, whatever became of it since: without an error (a Unix peer that
/// said something and closed shows as EPOLLHUP), or reset before its first event was seen. What the
/// upstream sent is still to be read.
bool was_established(int error) {
  return error == 0 || error == ECONNRESET || error == EPIPE;
}

}  // namespace

Connector::Connector(EventLoop& loop, DescriptorReserve& reserve, UpstreamPool& pool,
                     const ConnectRequest& request, Events events)
    : loop_(loop),
      reserve_(reserve),
      pool_(pool),
      request_(request),
      events_(events),
      watcher_(loop),
      timer_(loop.timers(), Delegate<void()>::to<&Connector::on_timer>(this)),
      outcome_(loop, Delegate<void()>::to<&Connector::on_outcome>(this)),
      waiter_(Delegate<void()>::to<&Connector::on_resolved>(this)) {}

void Connector::start() {
  advance();
}

void Connector::cancel() {
  // It may be connected by now: nobody who accepted it shall think that it ended in good order.
  if (socket_)
    reset_on_close(socket_.get());
  watcher_.stop_and_close(socket_);
  timer_.stop();
  outcome_.cancel();
  waiter_.cancel();
  lease_.release();
}

const TargetSpec& Connector::current() const {
  return lease_.target().spec;
}

std::string Connector::target() const {
  if (!lease_)
    return last_failure_.target;
  const bool is_known = address_.is_unix() || current().kind == TargetSpec::Kind::HostName;
  return is_known && !resolving_ && address_.family() != AF_UNSPEC
             ? address_.to_string()
             : describe(current(), request_.port_offset);
}

SocketEnds Connector::ends() const {
  SocketEnds ends;
  if (pool_.protocol() == Protocol::Sctp)
    ends.local = sctp_local_endpoints(socket_.get());
  else if (const auto end = local())
    ends.local = {*end};
  if (!address_.is_unix())  // the kernel does not tell before it is connected
    for (const SocketAddress& address : endpoint_)
      ends.remote.push_back(address.endpoint());
  return ends;
}

void Connector::advance() {
  while (next_address())
    if (attempt() == Step::InProgress)
      return;
  if (!resolving_)
    outcome_.schedule();
}

/// Goes to the next address of this or of a later target. False: none left, or still resolving.
bool Connector::next_address() {
  while (addresses_.empty())
    if (!next_target())
      return false;
  address_ = addresses_.back();
  addresses_.pop_back();
  deadline_ = loop_.now() + connect_timeout();
  return true;
}

/// Goes on to the next target. False: none left, or its addresses are being resolved.
bool Connector::next_target() {
  leave_target();
  auto next = take_target();
  if (!next)
    return false;
  lease_ = *std::move(next);
  address_ = SocketAddress();
  load_target();
  return !resolving_;
}

std::optional<TargetLease> Connector::take_target() {
  if (!request_.probe)
    return pool_.take_target(tried_, request_.client);
  if (!tried_.empty())
    return std::nullopt;
  return pool_.take_target_at(request_.probe->target);
}

Duration Connector::connect_timeout() const {
  return request_.probe ? request_.probe->timeout : pool_.connect_timeout();
}

/// The current target, if there is one, has failed on every address.
void Connector::leave_target() {
  if (!lease_)
    return;
  if (blames_target(last_failure_.reason))
    lease_.failed(loop_.now());
  pool_.add_tried(tried_, lease_.target());
  lease_.release();
}

/// Loads the addresses of the current target, or asks for them.
void Connector::load_target() {
  const TargetSpec& target = current();
  if (target.kind == TargetSpec::Kind::UnixPath) {
    auto address = SocketAddress::unix_path(target.path);
    if (address)
      addresses_ = {*address};
    else
      fail(Reason::ConnectFailed, address.error().message());
  } else if (target.kind == TargetSpec::Kind::Address) {
    load_addresses({target.addresses.front().address});
  } else if (const auto* known = pool_.resolver().known(target.host)) {
    load_addresses(*known);
    if (known->empty())
      fail(Reason::NameNotFound, "no address for " + target.host);
  } else {
    const bool has_old_answer = !pool_.resolver().addresses_of(target.host).empty();
    const Duration patience = has_old_answer
                                  ? std::min(connect_timeout(), Resolver::kPatienceWithOldAnswer)
                                  : connect_timeout();
    resolving_ = true;
    timer_.start(loop_.now() + patience);
    pool_.resolver().ask(target.host, waiter_);
  }
}

/// All that the rule has a source for, beginning with the one whose turn it is, or that the
/// client's hash says.
void Connector::load_addresses(const std::vector<IpAddress>& addresses) {
  const std::size_t first = pool_.balance() == Balance::SourceHash
                                ? address_for_client(addresses, request_.client)
                                : lease_.take_address_turn();
  const std::uint16_t port = port_of(current(), request_.port_offset);
  for (std::size_t i = addresses.size(); i-- > 0;) {  // the last one is tried first
    const IpAddress& address = addresses[(first + i) % addresses.size()];
    if (has_source_for(address))
      addresses_.emplace_back(IpEndpoint{address, port});
  }
  if (addresses_.empty() && !addresses.empty())
    fail(Reason::SourceAbsent, "no address of `source` is of the target's family");
}

bool Connector::has_source_for(const IpAddress& address) const {
  return pool_.sources().empty() || pool_.sources().size(address.is_v6()) > 0;
}

void Connector::on_resolved() noexcept {
  resolving_ = false;
  timer_.stop();
  const auto& addresses = pool_.resolver().addresses_of(current().host);
  load_addresses(addresses);
  if (addresses.empty())
    fail(Reason::NameNotFound, "no address for " + current().host);
  advance();
}

Connector::Step Connector::attempt() {
  if (!pool_.netns().netns)
    return fail(Reason::UpstreamNetnsAbsent, pool_.netns().why_absent);
  const Netns& netns = *pool_.netns().netns;
  if (const auto fd = netns.fd(); !fd) {
    const Reason reason = reason_of_connect_error(fd.error().number());
    return fail(reason == Reason::OutOfDescriptors ? reason : Reason::UpstreamNetnsAbsent,
                fd.error().message());
  }
  if (auto found = find_endpoint(netns); !found)
    return fail(found.error());
  if (address_.is_unix() || pool_.sources().empty())
    return connect_once(netns, std::nullopt);
  return attempt_from_sources(netns);
}

/// What to connect to: the address whose turn it is, or all of a multihomed SCTP endpoint, with the
/// interfaces of their zones as `netns` numbers them.
Result<void> Connector::find_endpoint(const Netns& netns) {
  endpoint_ = {address_};
  if (current().kind != TargetSpec::Kind::Address)
    return {};
  endpoint_.clear();
  for (const ZonedAddress& one : current().addresses) {
    auto address = socket_address_in(netns, one, address_.endpoint().port);
    if (!address)
      return std::move(address).error();
    endpoint_.push_back(*address);
  }
  return {};
}

Connector::Step Connector::attempt_from_sources(const Netns& netns) {
  const bool v6 = address_.family() == AF_INET6;
  SourcePool& sources = pool_.sources();
  const IpEndpoint target = address_.endpoint();
  const std::size_t most = std::min(kMostSourcesTried, sources.size(v6));
  std::optional<IpAddress> source = sources.next_usable(target, loop_.now(), false);
  // Where nothing else is left, those that were absent may be there by now.
  const bool with_absent = !source;
  if (with_absent)
    source = sources.next_usable(target, loop_.now(), true);
  if (!source)
    return fail(Reason::NoSourcePort, "every port of every source address is in use");
  for (std::size_t tried = 0; source && tried < most; ++tried) {
    const SourceAndTarget pair{*source, target};
    if (connect_once(netns, source) == Step::InProgress) {
      lease_.hold_source(sources.take(pair));
      return Step::InProgress;
    }
    if (last_failure_.reason == Reason::NoSourcePort)
      sources.note_full(pair, loop_.now());
    else if (last_failure_.reason == Reason::SourceAbsent)
      sources.note_absent(*source, loop_.now());
    else
      break;
    source = sources.next_usable(target, loop_.now(), with_absent);
  }
  return Step::Failed;
}

Connector::Step Connector::connect_once(const Netns& netns,
                                        const std::optional<IpAddress>& source) {
  auto made = make_upstream_socket(pool_, reserve_, netns, address_.family(), source, request_);
  if (!made) {
    // ENOENT and the like say something about the target only when connect(2) says it.
    Reason reason = reason_of_connect_error(made.error().number());
    if (reason == Reason::ConnectRefused)
      reason = Reason::ConnectFailed;
    if (source && made.error().number() == EADDRNOTAVAIL)
      reason = Reason::SourceAbsent;
    return fail(reason, made.error().message());
  }
  socket_ = *std::move(made);
  netns_cookie_ = netns.cookie();
  if (auto connecting = begin_to_connect(); !connecting) {
    socket_.close();
    const bool is_full = address_.is_unix() && connecting.error().number() == EAGAIN;
    return is_full ? wait_until_retry() : fail(connecting.error());
  }
  const bool is_udp = pool_.protocol() == Protocol::Udp;
  auto watching = watcher_.start(socket_.get(), is_udp ? kDatagramEvents : kRelayEvents,
                                 IoCallback::to<&Connector::on_event>(this));
  if (!watching) {
    socket_.close();
    return fail(watching.error());
  }
  if (is_udp) {
    connected_ = true;
    outcome_.schedule();
  } else {
    timer_.start(deadline_);
  }
  return Step::InProgress;
}

/// It goes on in the background.
Result<void> Connector::begin_to_connect() {
  if (pool_.protocol() == Protocol::Sctp)
    return connect_sctp(socket_.get(), endpoint_);
  const SocketAddress& address = endpoint_.front();
  if (::connect(socket_.get(), address.data(), address.size()) != 0 && errno != EINPROGRESS)
    return Error::from_errno("connect");
  return {};
}

Connector::Step Connector::wait_until_retry() {
  if (loop_.now() >= deadline_)
    return fail(Reason::ConnectTimeout, "connect: the backlog stayed full for connect_timeout");
  timer_.start(std::min(deadline_, loop_.now() + kUnixRetryInterval));
  return Step::InProgress;
}

Connector::Step Connector::fail(Reason reason, std::string text) {
  if (reason == Reason::NoSourcePort)
    pool_.sources().count_exhausted();
  last_failure_ = {target(), reason, std::move(text)};
  events_.attempt_failed(last_failure_);
  return Step::Failed;
}

Connector::Step Connector::fail(const Error& error) {
  return fail(reason_of_connect_error(error.number()), error.message());
}

void Connector::on_event(std::uint32_t events) noexcept {
  if (connected_)
    return;  // a datagram; who takes the socket over is told again
  const bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
  const int error = broken ? take_socket_error(socket_.get()) : 0;
  if (!was_established(error)) {
    watcher_.stop_and_close(socket_);
    timer_.stop();
    fail(Error::from_errno("connect", error));
    advance();
    return;
  }
  // An SCTP socket may be readable, with a notice, before it says how connecting ended.
  const std::uint32_t says_connected = pool_.protocol() == Protocol::Sctp
                                           ? EPOLLOUT | EPOLLRDHUP | EPOLLERR
                                           : EPOLLIN | EPOLLOUT | EPOLLRDHUP;
  if ((events & says_connected) == 0)
    return;
  seen_events_ = events;
  connected_ = true;
  timer_.stop();
  lease_.succeeded();
  events_.finished();
}

void Connector::on_timer() noexcept {
  if (resolving_) {
    waiter_.cancel();
    resolving_ = false;
    const auto& addresses = pool_.resolver().addresses_of(current().host);
    load_addresses(addresses);  // the last good ones, if any
    if (addresses.empty())
      fail(Reason::ConnectTimeout, "the name " + current().host + " was not resolved in time");
  } else if (!socket_) {  // a Unix listener whose backlog was full
    if (attempt() == Step::InProgress)
      return;
  } else {
    watcher_.stop_and_close(socket_);
    fail(Reason::ConnectTimeout, "connect: no answer within connect_timeout");
  }
  advance();
}

}  // namespace nsrelay
