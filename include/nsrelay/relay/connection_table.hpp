#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "nsrelay/base/delegate.hpp"

namespace nsrelay {

class TcpConnection;

/// Owns every connection that is open. A connection knows its place, so that adding and taking out
/// cost the same among ten and among ten thousand.
class ConnectionTable {
 public:
  ConnectionTable();
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;
  ~ConnectionTable();

  TcpConnection& add(std::unique_ptr<TcpConnection> connection);
  std::unique_ptr<TcpConnection> take(TcpConnection& connection);

  /// Calls `visit` for every connection; it may end the one that it is given, no other.
  void for_each(const std::function<void(TcpConnection&)>& visit);

  [[nodiscard]] std::size_t size() const { return connections_.size(); }

  /// `callback` is called whenever the last one was taken out.
  void set_on_empty(Delegate<void()> callback) { on_empty_ = callback; }

 private:
  std::vector<std::unique_ptr<TcpConnection>> connections_;
  Delegate<void()> on_empty_;
};

}  // namespace nsrelay
