#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "nsrelay/base/result.hpp"
#include "nsrelay/event/io_watcher.hpp"
#include "nsrelay/netns/netns.hpp"

struct mnl_socket;

namespace nsrelay {

/// Says that addresses or interfaces came, changed or went in the own namespace or in one that was
/// included: what a listener may be waiting for, or be bound to. One netlink socket hears them all
/// (rtnetlink(7), NETLINK_LISTEN_ALL_NSID in netlink(7)); a namespace is heard once the own one has
/// an id for it (RTM_NEWNSID, as `ip netns set` does), which include() sees to.
class RouteMonitor {
 public:
  /// Gets the cookie of the namespace; 0 where events were lost, hence for all of them.
  using Callback = Delegate<void(std::uint64_t)>;

  /// Fails with the error of socket(2) or setsockopt(2), e.g. EPERM without CAP_NET_BROADCAST.
  static Result<std::unique_ptr<RouteMonitor>> create(EventLoop& loop, Callback changed);

  RouteMonitor(const RouteMonitor&) = delete;
  RouteMonitor& operator=(const RouteMonitor&) = delete;
  ~RouteMonitor();

  /// Hears `netns` from now on; does nothing the second time. What appeared before is not told.
  /// Fails without CAP_NET_ADMIN.
  Result<void> include(const Netns& netns);

  /// Forgets a namespace that is gone.
  void forget(std::uint64_t cookie);

 private:
  struct Close {
    void operator()(mnl_socket* socket) const;
  };
  using Socket = std::unique_ptr<mnl_socket, Close>;

  RouteMonitor(EventLoop& loop, Callback changed) : watcher_(loop), changed_(changed) {}

  static Result<Socket> open_socket(unsigned groups);
  Result<int> request_id(unsigned type, int netns_file);
  [[nodiscard]] std::optional<std::uint64_t> cookie_of(int id) const;
  void on_readable(std::uint32_t events) noexcept;

  Socket events_;
  Socket requests_;
  IoWatcher watcher_;
  Callback changed_;
  std::map<std::uint64_t, int> included_;  // the ids by cookie
  std::map<int, std::uint64_t> cookies_;   // by id
};

}  // namespace nsrelay
