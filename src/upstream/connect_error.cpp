#include "nsrelay/upstream/connect_error.hpp"

#include <cerrno>

namespace nsrelay {

Reason reason_of_connect_error(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ENOENT:  // a Unix path at which nobody listens
      return Reason::ConnectRefused;
    case ETIMEDOUT:
      return Reason::ConnectTimeout;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case ENONET:
    case EACCES:  // an ICMPv6 message of a firewall
      return Reason::ConnectUnreachable;
    case EADDRNOTAVAIL:
    case EADDRINUSE:
    case EAGAIN:  // of a UDP socket, which takes its port first
      return Reason::NoSourcePort;
    case EMFILE:
    case ENFILE:
      return Reason::OutOfDescriptors;
    case ENOBUFS:
    case ENOMEM:
      return Reason::OutOfMemory;
    default:
      return Reason::ConnectFailed;
  }
}

bool blames_target(Reason reason) {
  switch (reason) {
    case Reason::ConnectRefused:
    case Reason::ConnectTimeout:
    case Reason::ConnectUnreachable:
    case Reason::ConnectFailed:
    case Reason::NameNotFound:
      return true;
    default:
      return false;
  }
}

}  // namespace nsrelay
