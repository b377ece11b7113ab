#pragma once

#include <cstddef>
#include <mutex>
#include <vector>

#include "nsrelay/base/result.hpp"
#include "nsrelay/netns/netns.hpp"

namespace nsrelay {

/// The calling thread is in another network namespace while this lives, and goes home when it is
/// destroyed. Home is where the process was when it entered one for the first time. Only one
/// scope exists at a time (a mutex); it covers socket(2) and interface look-ups, nothing else.
///
/// If going home fails the process aborts: every other choice would serve the wrong namespace.
class NetnsScope {
 public:
  /// Enters `netns`. Fails with the error of setns(2), e.g. EPERM without CAP_SYS_ADMIN; the
  /// thread has then not moved.
  static Result<NetnsScope> enter(const Netns& netns);

  NetnsScope(NetnsScope&& other) noexcept
      : lock_(std::move(other.lock_)), away_(std::exchange(other.away_, false)) {}
  NetnsScope& operator=(NetnsScope&&) = delete;
  NetnsScope(const NetnsScope&) = delete;
  NetnsScope& operator=(const NetnsScope&) = delete;
  ~NetnsScope();

 private:
  explicit NetnsScope(std::unique_lock<std::mutex> lock) : lock_(std::move(lock)) {}

  std::unique_lock<std::mutex> lock_;
  bool away_ = false;
};

/// The namespace of the process, in which it started. Aborts where /proc/self/ns/net cannot be
/// opened: nothing can be done without it.
const Netns& home_netns();

/// A socket made inside `netns` (socket(2) with SOCK_NONBLOCK and SOCK_CLOEXEC added); it stays
/// there for its life, wherever it is used. For the home namespace nothing is entered.
Result<UniqueFd> make_socket_in(const Netns& netns, int family, int type, int protocol);

/// The same for `count` of them, which may not be 0, with one journey. Fails where not even the
/// first can be made; else there may be fewer.
Result<std::vector<UniqueFd>> make_sockets_in(const Netns& netns, int family, int type,
                                              int protocol, std::size_t count);

/// The index of an interface as `netns` numbers it. ENODEV where there is none.
Result<std::uint32_t> interface_index_in(const Netns& netns, const std::string& name);

}  // namespace nsrelay
