#pragma once

#include <cstdint>
#include <memory>
#include <set>

#include "nsrelay/base/result.hpp"
#include "nsrelay/event/io_watcher.hpp"
#include "nsrelay/netns/netns.hpp"

struct mnl_socket;

namespace nsrelay {

/// Says that an address or an interface appeared in the own namespace or in one that was included:
/// what a listener may be waiting for. One netlink socket hears them all (rtnetlink(7),
/// NETLINK_LISTEN_ALL_NSID in netlink(7)); a namespace is heard once the own one has an id for it
/// (RTM_NEWNSID, as `ip netns set` does), which include() sees to.
class RouteMonitor {
 public:
  /// Fails with the error of socket(2) or setsockopt(2), e.g. EPERM without CAP_NET_BROADCAST.
  static Result<std::unique_ptr<RouteMonitor>> create(EventLoop& loop, Delegate<void()> appeared);

  RouteMonitor(const RouteMonitor&) = delete;
  RouteMonitor& operator=(const RouteMonitor&) = delete;
  ~RouteMonitor();

  /// Hears `netns` from now on; does nothing the second time. What appeared before is not told.
  /// Fails without CAP_NET_ADMIN.
  Result<void> include(const Netns& netns);

  /// Forgets namespaces that are not in `cookies`: they are gone.
  void keep_only(const std::set<std::uint64_t>& cookies);

 private:
  struct Close {
    void operator()(mnl_socket* socket) const;
  };
  using Socket = std::unique_ptr<mnl_socket, Close>;

  RouteMonitor(EventLoop& loop, Delegate<void()> appeared) : watcher_(loop), appeared_(appeared) {}

  static Result<Socket> open_socket(unsigned groups);
  void on_readable(std::uint32_t events) noexcept;

  Socket events_;
  Socket requests_;
  IoWatcher watcher_;
  Delegate<void()> appeared_;
  std::set<std::uint64_t> included_;
};

}  // namespace nsrelay
