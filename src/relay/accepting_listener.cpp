#include "nsrelay/relay/accepting_listener.hpp"

#include <sys/socket.h>

#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/relay/forwarding_log.hpp"

namespace nsrelay {
namespace {

constexpr int kAcceptBudget = 64;
constexpr Duration kPause{100};

bool is_reset(int fd) {
  char byte;
  return ::recv(fd, &byte, sizeof byte, MSG_PEEK) < 0 && errno != EAGAIN;
}

}  // namespace

AcceptingListener::AcceptingListener(RelayContext& context, RuleRuntime& runtime,
                                     std::shared_ptr<UpstreamPool> pool,
                                     std::shared_ptr<const ListenerInfo> info, UniqueFd socket)
    : Listener(std::move(info)),
      context_(context),
      route_(std::make_shared<const RelayRoute>(
          RelayRoute{context, runtime, std::move(pool), shared_info()})),
      socket_(std::move(socket)),
      watcher_(context.loop()),
      resume_timer_(context.loop().timers(),
                    Delegate<void()>::to<&AcceptingListener::on_resume>(this)) {}

AcceptingListener::~AcceptingListener() {
  // SCTP would say SHUTDOWN to who waits in the backlog, as if it had been served.
  if (runtime().rule().protocol == Protocol::Sctp)
    reset_on_close(socket_.get());
  runtime().no_longer(this);
}

/// Another one where the namespace is called by another name since.
const std::shared_ptr<const RelayRoute>& AcceptingListener::route() {
  if (route_->listener != shared_info())
    route_ = std::make_shared<const RelayRoute>(
        RelayRoute{context_, runtime(), route_->pool, shared_info()});
  return route_;
}

Result<void> AcceptingListener::start() {
  return watcher_.start(socket_.get(), EPOLLIN,
                        IoCallback::to<&AcceptingListener::on_readable>(this));
}

void AcceptingListener::on_readable(std::uint32_t /*events*/) noexcept {
  waited_ = context_.loop_trace().is_wary() && !waited_;
  if (waited_)
    return;
  for (int i = 0; i < kAcceptBudget; ++i)
    if (accept_one() == AcceptStep::Done)
      return;
}

void AcceptingListener::serve_backlog() {
  for (int i = 0; i < runtime().rule().backlog; ++i)
    if (accept_one() == AcceptStep::Done)
      return;
}

bool AcceptingListener::adopt(RuleRuntime& runtime, std::shared_ptr<UpstreamPool> pool) {
  if (!retune(socket_.get(), this->runtime().rule(), runtime.rule()))
    return false;
  this->runtime().no_longer(this);
  route_ = std::make_shared<const RelayRoute>(
      RelayRoute{context_, runtime, std::move(pool), shared_info()});
  // Whether there is room is for the new version to say.
  if (!resume_timer_.is_running())
    set_accepting(true);
  return true;
}

AcceptingListener::AcceptStep AcceptingListener::accept_one() {
  if (!runtime().has_room()) {
    runtime().when_room(Delegate<void()>::to<&AcceptingListener::on_room>(this), this);
    if (accepting_)
      ++info().traffic->accept_paused[PauseReason::MaxConnections];
    set_accepting(false);
    context_.loop_guard().look_at_limit(context_.loop().now());
    return AcceptStep::Done;
  }
  if (!context_.reserve().hold()) {
    pause(PauseReason::OutOfDescriptors, EMFILE);
    return AcceptStep::Done;
  }
  SocketAddress peer;
  UniqueFd socket = UniqueFd::adopt(
      ::accept4(socket_.get(), peer.data(), peer.size_to_fill(), SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket)
    return on_accept_error(errno);
  AcceptedClient client{std::move(socket), peer.endpoint()};
  if (turns_away(client))
    return AcceptStep::Accepted;
  std::optional<Reason> refused;
  // Behind another proxy it is the header that says who the client is.
  if (!runtime().rule().accept_proxy)
    refused = runtime().refuses(client.address.ip, context_.loop().now(), client.source);
  if (refused)
    refuse(std::move(client), *refused);
  else
    context_.loop_trace().note(serve(std::move(client)));
  return AcceptStep::Accepted;
}

/// Whether the client came from ourselves in a circle, or is gone by now. It is reset then.
bool AcceptingListener::turns_away(AcceptedClient& client) {
  context_.loop_trace().count_client();
  if (closes_loop(client)) {
    ++info().traffic->connections_failed[Reason::ForwardingLoop];
  } else if (context_.loop_trace().is_wary() && is_reset(client.socket.get())) {
    runtime().connection_began(*info().traffic);
    write_record(client, Reason::ClientReset);
    runtime().connection_ended(*info().traffic, Reason::ClientReset);
  } else {
    return false;
  }
  reset_on_close(client.socket.get());
  client.socket.close();
  return true;
}

bool AcceptingListener::closes_loop(const AcceptedClient& client) {
  LoopGuard& guard = context_.loop_guard();
  LoopTrace& trace = context_.loop_trace();
  const bool may_know = trace.may_know(runtime().rule().protocol, client.address);
  if (!may_know && !guard.is_due())
    return false;
  const Newcomer newcomer{info(), runtime(), client.address,
                          socket_ends(client.socket.get()).local};
  const TimePoint now = context_.loop().now();
  if (guard.is_due() && guard.breaks_loop(newcomer, now))
    return true;
  const auto from_rule = may_know ? trace.follow(newcomer, now) : std::nullopt;
  if (from_rule)
    log_forwarding_loop(context_.log(), runtime(), info(), client.address, *from_rule);
  return from_rule.has_value();
}

AcceptingListener::AcceptStep AcceptingListener::on_accept_error(int error) {
  switch (error) {
    case EAGAIN:
      return AcceptStep::Done;
    case EMFILE:
    case ENFILE:
      pause(PauseReason::OutOfDescriptors, error);
      return AcceptStep::Done;
    case ENOBUFS:
    case ENOMEM:
      pause(PauseReason::OutOfMemory, error);
      return AcceptStep::Done;
    // The client is gone again, a firewall said no, or a network error was waiting on the new
    // socket (accept(2), "Error handling"): it says nothing about the next client.
    case ECONNABORTED:
    case EINTR:
    case EPERM:
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ETIMEDOUT:
      return AcceptStep::Retry;
    default:
      pause(PauseReason::AcceptFailed, error);
      return AcceptStep::Done;
  }
}

void AcceptingListener::refuse(AcceptedClient client, Reason reason) {
  reset_on_close(client.socket.get());
  client.socket.close();
  ++info().traffic->connections_failed[reason];
  write_record(client, reason);
}

void AcceptingListener::write_record(const AcceptedClient& client, Reason reason) {
  if (!context_.logs_connections())
    return;
  const std::string peer = client.address.to_string();
  context_.log().write(
      {.event = is_failure(reason) ? log_event::kConnectionFailed : log_event::kConnectionClosed,
       .rule = runtime().rule().name,
       .netns = info().netns,
       .protocol = to_string(runtime().rule().protocol),
       .client = peer,
       .listener = info().address,
       .reason = to_string(reason)});
}

void AcceptingListener::pause(PauseReason reason, int error) {
  set_accepting(false);
  ++info().traffic->accept_paused[reason];
  resume_timer_.start(context_.loop().now() + kPause);
  context_.accept_paused({.level = LogLevel::Warn,
                          .event = log_event::kAcceptPaused,
                          .rule = runtime().rule().name,
                          .netns = info().netns,
                          .protocol = to_string(runtime().rule().protocol),
                          .listener = info().address,
                          .reason = to_string(reason),
                          .more = {{"error", errno_text(error)},
                                   {"next", "clients wait in the backlog; it resumes by itself"}}});
  context_.loop_guard().look_at_limit(context_.loop().now());
}

void AcceptingListener::on_resume() noexcept {
  set_accepting(true);
}

void AcceptingListener::on_room() noexcept {
  set_accepting(true);
}

void AcceptingListener::set_accepting(bool accepting) {
  if (accepting == accepting_)
    return;
  accepting_ = accepting;
  // Only fails for a descriptor that is not registered.
  if (!watcher_.set_events(accepting ? std::uint32_t{EPOLLIN} : 0U))
    std::abort();
}

}  // namespace nsrelay
