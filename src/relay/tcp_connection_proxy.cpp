// The PROXY protocol of a TCP connection: the header that comes, and the one that goes.

#include <utility>

#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/relay/proxy_header_reader.hpp"
#include "nsrelay/relay/tcp_connection.hpp"

namespace nsrelay {

void TcpConnection::await_proxy_header() {
  set_state(State::AwaitingHeader);
  extras().header_reader.emplace();
  timer_.start(loop().now() + runtime().rule().upstream.connect_timeout);
}

void TcpConnection::read_proxy_header() {
  using Step = ProxyHeaderReader::Step;
  switch (extras_->header_reader->read(client_.fd.get(), client_.fin_arrived || client_.failed)) {
    case Step::Wait:
      return;
    case Step::Done:
      take_proxy_header();
      return;
    case Step::Invalid:
    case Step::Ended:
      extras_->fault = extras_->header_reader->fault();
      finish(client_.failed ? Reason::ClientReset : Reason::ProxyHeaderInvalid, true);
      return;
    case Step::Failed:
      finish(Reason::ClientReset, true);
      return;
  }
}

/// From now on the client is who the header says; where it says nobody, the peer is.
void TcpConnection::take_proxy_header() {
  timer_.stop();
  if (const auto& addresses = extras_->header_reader->header().addresses) {
    extras_->peer = std::exchange(client_address_, addresses->source);
    extras_->destination = addresses->destination;
  }
  extras_->header_reader.reset();
  const auto refused = runtime().refuses(client_address_.ip, loop().now(), extras_->source);
  if (refused)
    finish(*refused, true);
  else
    connect();
}

/// What the upstream is told first, in one segment with what the client has sent so far.
void TcpConnection::send_proxy_header() {
  const ProxyAddresses addresses{client_address_, client_destination()};
  const std::string header = pool().proxy_protocol() == ProxyProtocol::V1
                                 ? encode_proxy_v1(addresses)
                                 : encode_proxy_v2(addresses, listener().netns);
  const auto moved = client_.from.deliver_behind(header, client_.fd.get(), upstream_.fd.get(),
                                                 context().mover_resources());
  note_source(moved, client_);
  note_sink(moved, client_, upstream_);
}

/// The address that the client connected to.
IpEndpoint TcpConnection::client_destination() const {
  if (extras_ && extras_->destination)
    return *extras_->destination;
  return local_endpoint(client_.fd.get()).value_or(IpEndpoint{});
}

}  // namespace nsrelay
