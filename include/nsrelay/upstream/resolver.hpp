#pragma once

#include <ares.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "nsrelay/base/ip_address.hpp"
#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/event/io_watcher.hpp"
#include "nsrelay/event/timer_queue.hpp"
#include "nsrelay/netns/netns_registry.hpp"

namespace nsrelay {

class NameWatch;
class ResolverWaiter;

/// Turns host names into addresses without blocking the loop (c-ares: /etc/hosts and DNS, as
/// nsswitch and resolv.conf say). Asks from inside one network namespace, and the servers that
/// /etc/netns/NAME/resolv.conf names, where there is one (ip-netns(8)), else /etc/resolv.conf; the
/// file is read again when it has changed.
///
/// Answers are kept for their TTL (1 s to 24 h). When a refresh fails the last good answer goes on
/// being used, without waiting, until a question is answered again: only the first to ask wait for
/// a resolver that is dead. That a name does not exist (NXDOMAIN) is an answer, too.
class Resolver {
 public:
  /// How long to wait for a new answer where there is an old one.
  static constexpr Duration kPatienceWithOldAnswer{500};

  /// Borrows `loop`. Costs nothing until the first ask().
  Resolver(EventLoop& loop, NetnsRef from);

  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  /// Must not be destroyed while somebody waits.
  ~Resolver();

  /// The addresses of `host` if they are known now and not older than their TTL, or if there is no
  /// use in waiting for newer ones; else nullptr. Borrowed until the next event of the loop.
  const std::vector<IpAddress>* known(std::string_view host);

  /// Asks for `host`, and calls `waiter` once when the answer or a failure has come: known answers
  /// are then in addresses_of(). One query runs per name, whoever waits.
  /// Where the library cannot be set up (out of memory or descriptors) the answer is a failure.
  void ask(std::string_view host, ResolverWaiter& waiter);

  /// Keeps `host` up to date, asking whenever its TTL is over, and calls `watch` each time that its
  /// addresses have changed, until the watch is gone.
  void keep_watching(std::string_view host, NameWatch& watch);

  /// Lets go of its namespace if that is gone: questions under way fail, and the next one is asked
  /// from inside whatever the name means then.
  void leave_gone_netns();

  /// The last good answer, whatever its age; empty when there was none.
  const std::vector<IpAddress>& addresses_of(std::string_view host);

 private:
  friend class NameWatch;
  struct Name;
  struct Socket;

  /// What a configuration file is known by, so that a change is seen.
  struct FileStamp {
    std::string path;
    std::int64_t changed_at = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;

    friend bool operator==(const FileStamp&, const FileStamp&) = default;
  };

  [[nodiscard]] FileStamp find_configuration() const;
  void ask(Name& wanted);
  bool open_channel();
  void close_channel();
  static void on_answer(void* name, int status, int timeouts, ares_addrinfo* answer);
  static void on_socket_state(void* resolver, ares_socket_t fd, int readable, int writable);
  static ares_socket_t open_socket(int family, int type, int protocol, void* resolver);
  void on_timer() noexcept;
  void restart_timer();
  Name& name(std::string_view host);

  EventLoop& loop_;
  NetnsRef from_;
  Timer timer_;
  DeferredCall answered_;
  ares_channel channel_ = nullptr;
  FileStamp configuration_;  ///< that the channel was opened with
  std::size_t questions_ = 0;
  std::uint64_t cookie_ = 0;  ///< of the namespace that the channel's sockets are in
  std::map<std::string, std::unique_ptr<Name>, std::less<>> names_;
  std::map<ares_socket_t, std::unique_ptr<Socket>> sockets_;

  void on_answered() noexcept;
};

/// Somebody who waits for a name. Leaves the queue when destroyed.
class ResolverWaiter {
 public:
  explicit ResolverWaiter(Delegate<void()> callback) : callback_(callback) {}
  ResolverWaiter(const ResolverWaiter&) = delete;
  ResolverWaiter& operator=(const ResolverWaiter&) = delete;
  ~ResolverWaiter() { cancel(); }

  /// Does not want to be called any more. Does nothing when it does not wait.
  void cancel();

 private:
  friend class Resolver;

  Delegate<void()> callback_;
  std::vector<ResolverWaiter*>* queue_ = nullptr;
};

/// Somebody who wants to hear when the addresses of a name change. Ends when destroyed.
class NameWatch {
 public:
  explicit NameWatch(Delegate<void()> callback) : callback_(callback) {}
  NameWatch(const NameWatch&) = delete;
  NameWatch& operator=(const NameWatch&) = delete;
  ~NameWatch() { stop(); }

  /// Does not want to be called any more.
  void stop();

 private:
  friend class Resolver;

  Delegate<void()> callback_;
  std::vector<NameWatch*>* watches_ = nullptr;
  std::size_t place_ = 0;
};

}  // namespace nsrelay
