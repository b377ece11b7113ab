#include "nsrelay/relay/tcp_listener.hpp"

#include <sys/socket.h>

#include "nsrelay/net/socket_options.hpp"

namespace nsrelay {
namespace {

constexpr int kAcceptBudget = 64;
constexpr Duration kPause{100};

}  // namespace

Result<std::unique_ptr<TcpListener>> TcpListener::create(RelayContext& context,
                                                         RuleRuntime& runtime, UpstreamPool& pool,
                                                         std::shared_ptr<const ListenerInfo> info,
                                                         UniqueFd socket) {
  std::unique_ptr<TcpListener> listener(
      new TcpListener(context, runtime, pool, std::move(info), std::move(socket)));
  auto watching = listener->watcher_.start(
      listener->socket_.get(), EPOLLIN, IoCallback::to<&TcpListener::on_readable>(listener.get()));
  if (!watching)
    return std::move(watching).error();
  return listener;
}

TcpListener::TcpListener(RelayContext& context, RuleRuntime& runtime, UpstreamPool& pool,
                         std::shared_ptr<const ListenerInfo> info, UniqueFd socket)
    : context_(context),
      runtime_(runtime),
      pool_(&pool),
      info_(std::move(info)),
      socket_(std::move(socket)),
      watcher_(context.loop()),
      resume_timer_(context.loop().timers(), Delegate<void()>::to<&TcpListener::on_resume>(this)) {}

TcpListener::~TcpListener() {
  runtime_.no_longer(this);
}

void TcpListener::on_readable(std::uint32_t /*events*/) noexcept {
  for (int i = 0; i < kAcceptBudget; ++i)
    if (accept_one() == AcceptStep::Done)
      return;
}

void TcpListener::accept_backlog() {
  for (int i = 0; i < runtime_.rule().backlog; ++i)
    if (accept_one() == AcceptStep::Done)
      return;
}

TcpListener::AcceptStep TcpListener::accept_one() {
  if (!runtime_.has_room()) {
    runtime_.when_room(Delegate<void()>::to<&TcpListener::on_room>(this), this);
    set_accepting(false);
    return AcceptStep::Done;
  }
  if (!context_.reserve().hold()) {
    pause(Reason::OutOfDescriptors, EMFILE);
    return AcceptStep::Done;
  }
  SocketAddress peer;
  UniqueFd client = UniqueFd::adopt(
      ::accept4(socket_.get(), peer.data(), peer.size_to_fill(), SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!client)
    return on_accept_error(errno);
  if (admits(runtime_.rule(), peer.endpoint().ip))
    serve(std::move(client), peer.endpoint());
  else
    refuse(std::move(client), peer.endpoint());
  return AcceptStep::Accepted;
}

TcpListener::AcceptStep TcpListener::on_accept_error(int error) {
  switch (error) {
    case EAGAIN:
      return AcceptStep::Done;
    case EMFILE:
    case ENFILE:
      pause(Reason::OutOfDescriptors, error);
      return AcceptStep::Done;
    case ENOBUFS:
    case ENOMEM:
      pause(Reason::OutOfMemory, error);
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
      pause(Reason::AcceptFailed, error);
      return AcceptStep::Done;
  }
}

void TcpListener::serve(UniqueFd client, const IpEndpoint& address) {
  context_.connections()
      .add(std::make_unique<TcpConnection>(context_, runtime_, *pool_, info_, std::move(client),
                                           address))
      .start();
}

void TcpListener::refuse(UniqueFd client, const IpEndpoint& address) {
  reset_on_close(client.get());
  client.close();
  ++runtime_.counters().connections_failed;
  if (!runtime_.config().log.connections)
    return;
  const std::string peer = address.to_string();
  context_.log().write({.event = log_event::kConnectionFailed,
                        .rule = runtime_.rule().name,
                        .netns = info_->netns,
                        .protocol = to_string(Protocol::Tcp),
                        .client = peer,
                        .listener = info_->address,
                        .reason = to_string(Reason::Denied)});
}

void TcpListener::pause(Reason reason, int error) {
  set_accepting(false);
  resume_timer_.start(context_.loop().now() + kPause);
  context_.accept_paused({.level = LogLevel::Warn,
                          .event = log_event::kAcceptPaused,
                          .rule = runtime_.rule().name,
                          .netns = info_->netns,
                          .protocol = to_string(Protocol::Tcp),
                          .listener = info_->address,
                          .reason = to_string(reason),
                          .more = {{"error", errno_text(error)},
                                   {"next", "clients wait in the backlog; it resumes by itself"}}});
}

void TcpListener::on_resume() noexcept {
  set_accepting(true);
}

void TcpListener::on_room() noexcept {
  set_accepting(true);
}

void TcpListener::set_accepting(bool accepting) {
  if (accepting == accepting_)
    return;
  accepting_ = accepting;
  // Only fails for a descriptor that is not registered.
  if (!watcher_.set_events(accepting ? std::uint32_t{EPOLLIN} : 0U))
    std::abort();
}

}  // namespace nsrelay
