#include "nsrelay/relay/draining_ports.hpp"

#include <algorithm>

#include "nsrelay/relay/udp_downstream.hpp"

namespace nsrelay {

void DrainingPorts::add(const ListenerInfo& listener, UdpDownstream& downstream) {
  ports_.emplace(Place(listener.cookie, listener.address), &downstream);
}

void DrainingPorts::remove(const ListenerInfo& listener, const UdpDownstream& downstream) {
  const auto [begin, end] = ports_.equal_range({listener.cookie, listener.address});
  const auto found =
      std::find_if(begin, end, [&](const auto& one) { return one.second == &downstream; });
  if (found != end)
    ports_.erase(found);
}

std::shared_ptr<UdpDownstream> DrainingPorts::take(
    const ListenerInfo& listener, const std::function<bool(int socket)>& is_right) {
  const auto [begin, end] = ports_.equal_range({listener.cookie, listener.address});
  const auto found =
      std::find_if(begin, end, [&](const auto& one) { return is_right(one.second->descriptor()); });
  if (found == end)
    return nullptr;
  UdpDownstream& downstream = *found->second;
  ports_.erase(found);
  return downstream.shared_from_this();
}

}  // namespace nsrelay
