#include "nsrelay/relay/connection_table.hpp"

#include <utility>

#include "nsrelay/relay/tcp_connection.hpp"

namespace nsrelay {

ConnectionTable::ConnectionTable() = default;
ConnectionTable::~ConnectionTable() = default;

TcpConnection& ConnectionTable::add(std::unique_ptr<TcpConnection> connection) {
  connection->set_place(connections_.size());
  connections_.push_back(std::move(connection));
  return *connections_.back();
}

std::unique_ptr<TcpConnection> ConnectionTable::take(TcpConnection& connection) {
  const std::size_t place = connection.place();
  std::swap(connections_[place], connections_.back());
  connections_[place]->set_place(place);
  std::unique_ptr<TcpConnection> taken = std::move(connections_.back());
  connections_.pop_back();
  if (connections_.empty() && on_empty_)
    on_empty_();
  return taken;
}

void ConnectionTable::for_each(const std::function<void(TcpConnection&)>& visit) {
  // From the back: the one that take() moves into a place has been visited already.
  for (std::size_t place = connections_.size(); place-- > 0;)
    visit(*connections_[place]);
}

}  // namespace nsrelay
