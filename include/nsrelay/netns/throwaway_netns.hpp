#pragma once

#include <memory>
#include <string>

#include "nsrelay/base/result.hpp"
#include "nsrelay/netns/netns.hpp"

namespace nsrelay {

/// A named network namespace for a demonstration or a test: made like `ip netns add` does, with its
/// loopback interface up, and removed when destroyed.
class ThrowawayNetns {
 public:
  /// Makes /run/netns/`name`. Fails where the name exists or without CAP_SYS_ADMIN.
  static Result<std::unique_ptr<ThrowawayNetns>> create(const std::string& name);

  ThrowawayNetns(const ThrowawayNetns&) = delete;
  ThrowawayNetns& operator=(const ThrowawayNetns&) = delete;
  ~ThrowawayNetns();

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const Netns& netns() const { return *netns_; }

  /// Lets go of the namespace as `ip netns del` does: the name goes at once, the namespace with
  /// its last user.
  void remove();

 private:
  explicit ThrowawayNetns(std::string name) : name_(std::move(name)) {}

  std::string name_;
  std::unique_ptr<Netns> netns_;
};

}  // namespace nsrelay
