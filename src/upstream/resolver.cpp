#include "nsrelay/upstream/resolver.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

/// Where `ip netns` keeps its names: those have files of their own in /etc/netns.
constexpr const char* kNamedNetns = "/run/netns/";

bool initialise_library() {
  static const bool done = ::ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
  return done;
}

}  // namespace

struct Resolver::Name {
  Name(Resolver& owner, std::string_view name)
      : resolver(owner),
        host(name),
        refresh(owner.loop_.timers(), Delegate<void()>::to<&Name::on_refresh>(this)) {}

  void take(int status, const ares_addrinfo* answer);
  void on_refresh() noexcept;
  void restart_refresh();
  void tell_waiters();
  void tell_watches();

  Resolver& resolver;
  const std::string host;
  std::vector<IpAddress> addresses;
  TimePoint fresh_until{};
  TimePoint asked_at{};
  bool asking = false;
  bool answered = false;
  bool changed = false;  ///< what the watches have not been told yet
  bool failing = false;  ///< the last question had no answer
  std::vector<ResolverWaiter*> waiters;
  std::vector<NameWatch*> watches;
  Timer refresh;
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

/// The file of the namespace that the names are asked from, or the system's.
Resolver::FileStamp Resolver::find_configuration() const {
  const bool is_named = from_->source == kNamedNetns + from_->name;
  struct stat info {};
  std::string path = "/etc/netns/" + from_->name + "/resolv.conf";
  if (!is_named || ::stat(path.c_str(), &info) != 0) {
    path = "/etc/resolv.conf";
    info = {};
    ::stat(path.c_str(), &info);
  }
  const std::int64_t changed_at = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
  return {std::move(path), changed_at, info.st_ino, info.st_size};
}

/// resolv.conf is read here. The channel lives until that file changes, or the namespace does.
bool Resolver::open_channel() {
  FileStamp configuration = find_configuration();
  if (channel_ != nullptr && questions_ == 0 && configuration != configuration_)
    close_channel();
  if (channel_ != nullptr)
    return true;
  configuration_ = std::move(configuration);
  ares_options options{};
  options.resolvconf_path = configuration_.path.data();
  options.sock_state_cb = &Resolver::on_socket_state;
  options.sock_state_cb_data = this;
  // Where a server answers for one family only (many drop questions for AAAA) the name is known
  // when the library gives up: after 3 s, which is less than connect_timeout is by itself.
  options.timeout = 1000;
  options.tries = 2;
  cookie_ = from_->netns ? from_->netns->cookie() : 0;
  constexpr int kMask =
      ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_RESOLVCONF;
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
  close_channel();
}

void Resolver::close_channel() {
  timer_.stop();
  if (channel_ != nullptr)
    ::ares_destroy(std::exchange(channel_, nullptr));
}

const std::vector<IpAddress>* Resolver::known(std::string_view host) {
  Name& found = name(host);
  if (loop_.now() < found.fresh_until)
    return &found.addresses;
  const bool is_slow = found.asking && loop_.now() - found.asked_at >= kPatienceWithOldAnswer;
  if (found.addresses.empty() || !(found.failing || is_slow))
    return nullptr;
  ask(found);
  return &found.addresses;
}

const std::vector<IpAddress>& Resolver::addresses_of(std::string_view host) {
  return name(host).addresses;
}

void Resolver::ask(std::string_view host, ResolverWaiter& waiter) {
  Name& wanted = name(host);
  wanted.waiters.push_back(&waiter);
  waiter.queue_ = &wanted.waiters;
  ask(wanted);
}

void Resolver::keep_watching(std::string_view host, NameWatch& watch) {
  Name& wanted = name(host);
  watch.stop();
  watch.watches_ = &wanted.watches;
  watch.place_ = wanted.watches.size();
  wanted.watches.push_back(&watch);
  if (!wanted.refresh.is_running() && !wanted.asking)
    wanted.restart_refresh();
}

/// One question runs for a name at a time.
void Resolver::ask(Name& wanted) {
  if (wanted.asking)
    return;
  wanted.asking = true;
  wanted.asked_at = loop_.now();
  const bool is_open = open_channel();
  ++questions_;
  if (!is_open) {
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
  ::ares_cancel(channel_);  // answers every question: cancelled
  close_channel();
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
  --wanted.resolver.questions_;
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
  failing = !good && status != ARES_ENOTFOUND;
  if (!failing && addresses != found) {
    addresses = std::move(found);
    changed = true;
  }
  fresh_until = resolver.loop_.now() + (good ? std::max(lifetime, kShortestLifetime)
                                             : std::chrono::seconds(kFailureLifetime));
}

void Resolver::on_answered() noexcept {
  for (auto& [host, name] : names_) {
    if (!name->answered)
      continue;
    name->answered = false;
    name->asking = false;
    name->tell_waiters();
    if (std::exchange(name->changed, false))
      name->tell_watches();
    name->restart_refresh();
  }
}

void Resolver::Name::tell_waiters() {
  while (!waiters.empty()) {
    ResolverWaiter& waiter = *waiters.back();
    waiter.cancel();
    waiter.callback_();
  }
}

/// From the back: one that stops meanwhile is replaced by one that was told.
void Resolver::Name::tell_watches() {
  for (std::size_t i = watches.size(); i-- > 0;)
    watches[i]->callback_();
}

void Resolver::Name::restart_refresh() {
  if (!watches.empty())
    refresh.start(std::max(fresh_until, resolver.loop_.now() + kShortestLifetime));
}

void Resolver::Name::on_refresh() noexcept {
  if (!watches.empty())
    resolver.ask(*this);
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
    found = names_.emplace(host, std::make_unique<Name>(*this, host)).first;
  return *found->second;
}

void ResolverWaiter::cancel() {
  if (queue_ == nullptr)
    return;
  queue_->erase(std::find(queue_->begin(), queue_->end(), this));
  queue_ = nullptr;
}

void NameWatch::stop() {
  if (watches_ == nullptr)
    return;
  watches_->back()->place_ = place_;
  (*watches_)[place_] = watches_->back();
  watches_->pop_back();
  watches_ = nullptr;
}

}  // namespace nsrelay
