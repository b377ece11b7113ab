#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "poller.hpp"

namespace nsrelay::bench {

/// What the command line of a client says.
struct ClientOptions {
  sockaddr_in target{};
  int connections = 1;  ///< At one time.
  double seconds = 1;   ///< How long to send.
};

/// What a client measured.
struct Report {
  std::uint64_t units = 0;               ///< Bytes, requests or connections, as the workload says.
  std::uint64_t errors = 0;              ///< Connections that ended before their time.
  double seconds = 0;                    ///< From the start to the last unit.
  std::vector<std::uint32_t> latencies;  ///< Of each unit, in nanoseconds; empty for bulk.
};

/// One kind of load. prepare() brings it up to the point where only the load itself is missing, so
/// that whoever measures can read the counters between the two.
class Workload {
 public:
  virtual ~Workload() = default;

  /// Opens what is to be open at the start. Ends the program where that fails.
  virtual void prepare() = 0;

  /// Loads for as long as the options say.
  virtual Report run() = 0;
};

/// Bytes one way: `download` towards the client, else towards the backend. Units: bytes that
/// arrived.
std::unique_ptr<Workload> make_bulk(const ClientOptions& options, bool download);

/// Each connection sends a request of 64 bytes, waits for the answer, and sends the next.
std::unique_ptr<Workload> make_ping(const ClientOptions& options);

/// Connect, send 64 bytes, receive them back, close; so many at one time.
std::unique_ptr<Workload> make_connect(const ClientOptions& options);

/// Connections that have moved one byte each way and then stay idle until run().
std::unique_ptr<Workload> make_idle(const ClientOptions& options);

/// Datagrams of `size` bytes over so many flows, each sent back by the backend.
std::unique_ptr<Workload> make_udp_echo(const ClientOptions& options, std::size_t size);

/// Bursts of datagrams of 1400 bytes (GSO) over one flow, towards the backend.
std::unique_ptr<Workload> make_udp_burst(const ClientOptions& options);

/// The workload of this name, or nothing.
std::unique_ptr<Workload> make_workload(std::string_view name, const ClientOptions& options);

}  // namespace nsrelay::bench
