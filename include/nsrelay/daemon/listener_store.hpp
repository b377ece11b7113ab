#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/daemon/listener_plan.hpp"

namespace nsrelay {

/// The service manager's file descriptor store (FileDescriptorStoreMax= in systemd.service(5)): it
/// holds a duplicate of every open listening socket, so that clients who come between the end of
/// one daemon and the start of the next wait in its backlog instead of being refused.
///
/// A socket is in the store from when its listener opens until that closes for good; without that
/// the store would hold a deleted namespace alive.
class ListenerStore {
 public:
  /// A descriptor that the service manager handed to us, and the name under which it has it.
  struct Inherited {
    UniqueFd fd;
    std::string name;
  };

  /// No store, nothing inherited.
  ListenerStore() = default;
  /// `keeps`: whether the service manager takes descriptors.
  ListenerStore(bool keeps, std::vector<Inherited> inherited);
  ListenerStore(const ListenerStore&) = delete;
  ListenerStore& operator=(const ListenerStore&) = delete;
  ~ListenerStore();

  /// From the environment, which is cleared of it: $LISTEN_FDS (sd_listen_fds(3)), and $FDSTORE,
  /// how many descriptors the store takes (systemd 254; the unit file sets it for older ones).
  static std::unique_ptr<ListenerStore> from_environment();

  /// Whether the sockets of open listeners outlive this process.
  [[nodiscard]] bool keeps() const { return keeps_; }

  /// An inherited socket that `is_it` takes for the one that `key` describes; empty if there is
  /// none. `is_it` is also told whether the socket came under the name of this listener.
  UniqueFd take(const ListenerKey& key, const std::function<bool(int fd, bool is_named)>& is_it);

  /// Stores the socket of a listener that has opened; does nothing where it is in the store.
  void keep(const ListenerKey& key, int fd);

  /// The listener has closed for good, or is about to open another socket.
  void forget(const ListenerKey& key);

  /// Closes what nobody has taken, here and in the store. Returns the names.
  std::vector<std::string> close_rest();

 private:
  const bool keeps_ = false;
  std::multimap<std::uint64_t, Inherited> inherited_;  ///< by the cookie of their namespace
  std::set<std::string> kept_;
};

/// How the store knows the socket of a listener, e.g. `tcp@123@0.0.0.0_8000`: printable ASCII
/// without
/// `:`, at most 255 bytes (FDNAME= in sd_notify(3)); the same in every run.
std::string store_name(const ListenerKey& key);

}  // namespace nsrelay
