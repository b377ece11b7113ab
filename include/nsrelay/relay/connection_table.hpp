#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "nsrelay/base/delegate.hpp"
#include "nsrelay/relay/forwarded.hpp"

namespace nsrelay {

/// Owns everything that is forwarded at present. Each knows its place, so that adding and taking
/// out cost the same among ten and among ten thousand.
class ConnectionTable {
 public:
  ConnectionTable() = default;
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;

  void add(std::unique_ptr<Forwarded> forwarded);
  std::unique_ptr<Forwarded> take(Forwarded& forwarded);

  /// Calls `visit` for everything; it may end the one that it is given, no other.
  void for_each(const std::function<void(Forwarded&)>& visit);

  /// The same in slices: calls `visit` for the `most` before `place`, from the end, and returns the
  /// place for the next call; 0: everything was visited. Begins with size(). What is added
  /// meanwhile is not visited.
  std::size_t visit_before(std::size_t place, std::size_t most,
                           const std::function<void(Forwarded&)>& visit);

  [[nodiscard]] std::size_t size() const { return forwarded_.size(); }

  /// `callback` is called with everything that is taken out.
  void set_on_taken(Delegate<void(const Forwarded&)> callback) { on_taken_ = callback; }

  /// `callback` is called whenever the last one was taken out.
  void set_on_empty(Delegate<void()> callback) { on_empty_ = callback; }

 private:
  std::vector<std::unique_ptr<Forwarded>> forwarded_;
  Delegate<void(const Forwarded&)> on_taken_;
  Delegate<void()> on_empty_;
};

}  // namespace nsrelay
