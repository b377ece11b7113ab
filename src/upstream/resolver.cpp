#include "nsrelay/upstream/resolver.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {
namespace {

// A failed look-up is not repeated before this, however many connections want the name.
constexpr auto kFailureLifetime = std::chrono::seconds(1);
constexpr auto kShortestLifetime = std::chrono::seconds(1);
constexpr auto kLongestLifetime = std::chrono::hours(24);

bool initialise_library() {
  static const bool done = ::ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
  return done;
}

}  // namespace

struct Resolver::Name {
  Resolver& resolver;
  std::string host;
  std::vector<IpAddress> addresses = {};
  TimePoint fresh_until{};
  bool asking = false;
  bool answered = false;
  std::vector<ResolverWaiter*> waiters = {};

  void take(int status, const ares_addrinfo* answer);
};

/// One socket of c-ares: its events go back to the library.
struct Resolver::Socket {
  Socket(Resolver& owner, ares_socket_t descriptor)
      : resolver(owner), fd(descriptor), watcher(owner.loop_) {}

  void on_event(std::uint32_t events) noexcept {
    const bool readable = (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
    const bool writable = (events & EPOLLOUT) != 0;
    Resolver& owner = resolver;  // processing may destroy this object
    ::ares_process_fd(owner.channel_, readable ? fd : ARES_SOCKET_BAD,
                      writable ? fd : ARES_SOCKET_BAD);
    owner.restart_timer();
  }

  Resolver& resolver;
  ares_socket_t fd;
  IoWatcher watcher;
};

/// resolv.conf is read here, at the first name; the channel then lives as long as the resolver.
bool Resolver::open_channel() {
  if (channel_ != nullptr)
    return true;
  ares_options options{};
  options.sock_state_cb = &Resolver::on_socket_state;
  options.sock_state_cb_data = this;
  options.timeout = 1000;
  options.tries = 3;
  cookie_ = from_->netns ? from_->netns->cookie() : 0;
  constexpr int kMask = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;
  if (!initialise_library() || ::ares_init_options(&channel_, &options, kMask) != ARES_SUCCESS) {
    channel_ = nullptr;
    return false;
  }
  // The library takes all five or none.
  static const ares_socket_functions functions = {
      &Resolver::open_socket, [](ares_socket_t fd, void*) { return ::close(fd); },
      [](ares_socket_t fd, const sockaddr* to, ares_socklen_t size, void*) {
        return ::connect(fd, to, size);
      },
      [](ares_socket_t fd, void* data, std::size_t size, int flags, sockaddr* peer,
         ares_socklen_t* peer_size,
         void*) { return ::recvfrom(fd, data, size, flags, peer, peer_size); },
      [](ares_socket_t fd, const iovec* parts, int count, void*) {
        return ::writev(fd, parts, count);
      }};
  ::ares_set_socket_functions(channel_, &functions, this);
  return true;
}

Resolver::Resolver(EventLoop& loop, NetnsRef from)
    : loop_(loop),
      from_(std::move(from)),
      timer_(loop.timers(), Delegate<void()>::to<&Resolver::on_timer>(this)),
      answered_(loop, Delegate<void()>::to<&Resolver::on_answered>(this)) {}

Resolver::~Resolver() {
  if (channel_ != nullptr)
    ::ares_destroy(channel_);
}

const std::vector<IpAddress>* Resolver::known(std::string_view host) {
  const Name& found = name(host);
  return loop_.now() < found.fresh_until ? &found.addresses : nullptr;
}

const std::vector<IpAddress>& Resolver::addresses_of(std::string_view host) {
  return name(host).addresses;
}

void Resolver::ask(std::string_view host, ResolverWaiter& waiter) {
  Name& wanted = name(host);
  wanted.waiters.push_back(&waiter);
  waiter.queue_ = &wanted.waiters;
  if (wanted.asking)
    return;
  wanted.asking = true;
  if (!open_channel()) {
    on_answer(&wanted, ARES_ENOMEM, 0, nullptr);
    return;
  }
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NOSORT;  // sorting would connect sockets of its own
  ::ares_getaddrinfo(channel_, wanted.host.c_str(), nullptr, &hints, &Resolver::on_answer, &wanted);
  restart_timer();
}

void Resolver::leave_gone_netns() {
  if (channel_ == nullptr || from_->is(cookie_))
    return;
  timer_.stop();
  ::ares_cancel(channel_);  // answers every question: cancelled
  ::ares_destroy(std::exchange(channel_, nullptr));
}

void Resolver::on_answer(void* name, int status, int /*timeouts*/, ares_addrinfo* answer) {
  Name& wanted = *static_cast<Name*>(name);
  wanted.take(status, answer);
  if (answer != nullptr)
    ::ares_freeaddrinfo(answer);
  // The library may call this from inside ares_getaddrinfo (e.g. from /etc/hosts) and while it is
  // destroyed: the waiters are told at the end of the iteration.
  if (status == ARES_EDESTRUCTION)
    return;
  wanted.answered = true;
  wanted.resolver.answered_.schedule();
}

void Resolver::Name::take(int status, const ares_addrinfo* answer) {
  std::vector<IpAddress> found;
  auto lifetime = std::chrono::seconds(kLongestLifetime);
  for (const ares_addrinfo_node* node = answer != nullptr ? answer->nodes : nullptr;
       node != nullptr; node = node->ai_next) {
    if (node->ai_family == AF_INET)
      found.emplace_back(reinterpret_cast<const sockaddr_in*>(node->ai_addr)->sin_addr);
    else if (node->ai_family == AF_INET6)
      found.emplace_back(reinterpret_cast<const sockaddr_in6*>(node->ai_addr)->sin6_addr);
    lifetime = std::min(lifetime, std::chrono::seconds(node->ai_ttl));
  }
  // In one order, whichever the server gave them in: connections take them in turn.
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  const bool good = status == ARES_SUCCESS && !found.empty();
  if (good)
    addresses = std::move(found);
  fresh_until = resolver.loop_.now() + (good ? std::max(lifetime, kShortestLifetime)
                                             : std::chrono::seconds(kFailureLifetime));
}

void Resolver::on_answered() noexcept {
  for (auto& [host, name] : names_) {
    if (!name->answered)
      continue;
    name->answered = false;
    name->asking = false;
    while (!name->waiters.empty()) {
      ResolverWaiter& waiter = *name->waiters.back();
      waiter.cancel();
      waiter.callback_();
    }
  }
}

void Resolver::on_socket_state(void* resolver, ares_socket_t fd, int readable, int writable) {
  auto& self = *static_cast<Resolver*>(resolver);
  if (readable == 0 && writable == 0) {
    if (const auto found = self.sockets_.find(fd); found != self.sockets_.end()) {
      found->second->watcher.stop();
      self.loop_.destroy_later(std::move(found->second));
      self.sockets_.erase(found);
    }
    return;
  }
  const std::uint32_t events = (readable != 0 ? std::uint32_t{EPOLLIN} : 0U) |
                               (writable != 0 ? std::uint32_t{EPOLLOUT} : 0U);
  auto& socket = self.sockets_[fd];
  // What cannot be watched times out in the library, which then tries again.
  if (socket) {
    (void)socket->watcher.set_events(events);
  } else {
    socket = std::make_unique<Socket>(self, fd);
    (void)socket->watcher.start(fd, events, IoCallback::to<&Socket::on_event>(socket.get()));
  }
}

ares_socket_t Resolver::open_socket(int family, int type, int protocol, void* resolver) {
  const auto& self = *static_cast<Resolver*>(resolver);
  if (!self.from_->netns) {
    errno = ENETDOWN;
    return ARES_SOCKET_BAD;
  }
  auto socket = make_socket_in(*self.from_->netns, family, type, protocol);
  if (!socket) {
    errno = socket.error().number();
    return ARES_SOCKET_BAD;
  }
  return socket->release();
}

void Resolver::on_timer() noexcept {
  ::ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  restart_timer();
}

void Resolver::restart_timer() {
  timeval wait{};
  if (channel_ == nullptr || ::ares_timeout(channel_, nullptr, &wait) == nullptr)
    timer_.stop();
  else
    timer_.start(loop_.now() + std::chrono::seconds(wait.tv_sec) +
                 std::chrono::microseconds(wait.tv_usec));
}

Resolver::Name& Resolver::name(std::string_view host) {
  auto found = names_.find(host);
  if (found == names_.end())
    found = names_.emplace(host, std::unique_ptr<Name>(new Name{*this, std::string(host)})).first;
  return *found->second;
}

void ResolverWaiter::cancel() {
  if (queue_ == nullptr)
    return;
  queue_->erase(std::find(queue_->begin(), queue_->end(), this));
  queue_ = nullptr;
}

}  // namespace nsrelay
