#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "nsrelay/relay/listener.hpp"

namespace nsrelay {

class UdpDownstream;

/// UDP ports whose listener is gone, while sessions still answer through their socket.
///
/// The kernel deals the clients of a port out among all sockets that are bound to it, by what it
/// computes of their addresses. A second socket would get only a part of the new clients, and a
/// part of the datagrams of sessions that go on: who opens a listener for such a port takes over
/// the socket that is there.
class DrainingPorts {
 public:
  DrainingPorts() = default;
  DrainingPorts(const DrainingPorts&) = delete;
  DrainingPorts& operator=(const DrainingPorts&) = delete;

  /// Borrows `downstream` until remove(); `listener` is the one that is gone.
  void add(const ListenerInfo& listener, UdpDownstream& downstream);
  void remove(const ListenerInfo& listener, const UdpDownstream& downstream);

  /// Takes out what drains where `listener` is to be, if its socket `is_right`; null: nothing does.
  std::shared_ptr<UdpDownstream> take(const ListenerInfo& listener,
                                      const std::function<bool(int socket)>& is_right);

 private:
  using Place = std::pair<std::uint64_t, std::string>;  // the namespace's cookie, the address

  /// Several where interfaces were made again: a socket is bound to the index of one.
  std::multimap<Place, UdpDownstream*> ports_;
};

}  // namespace nsrelay
