// The load of bench/run.
//
//   nsrelay_load serve ADDRESS:PORT
//   nsrelay_load WORKLOAD ADDRESS:PORT CONNECTIONS SECONDS
//
// A client prints `ready` when only the load is missing, waits for a line on stdin, loads, and
// prints one line of JSON.

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "service.hpp"
#include "socket.hpp"
#include "workload.hpp"

namespace nsrelay::bench {

std::unique_ptr<Workload> make_workload(std::string_view name, const ClientOptions& options) {
  if (name == "download" || name == "upload")
    return make_bulk(options, name == "download");
  if (name == "ping")
    return make_ping(options);
  if (name == "connect")
    return make_connect(options);
  if (name == "idle")
    return make_idle(options);
  if (name == "udp-echo-64")
    return make_udp_echo(options, 64);
  if (name == "udp-echo-1400")
    return make_udp_echo(options, 1400);
  if (name == "udp-burst")
    return make_udp_burst(options);
  return nullptr;
}

namespace {

/// The latency in microseconds that `share` of the units stayed under.
double percentile(std::vector<std::uint32_t>& latencies, double share) {
  if (latencies.empty())
    return 0;
  const auto rank = static_cast<std::ptrdiff_t>(share * static_cast<double>(latencies.size() - 1));
  std::nth_element(latencies.begin(), latencies.begin() + rank, latencies.end());
  return latencies[static_cast<std::size_t>(rank)] / 1e3;
}

void print(Report report) {
  std::cout << "{\"units\": " << report.units << ", \"errors\": " << report.errors
            << ", \"seconds\": " << report.seconds
            << ", \"p50_us\": " << percentile(report.latencies, 0.50)
            << ", \"p99_us\": " << percentile(report.latencies, 0.99) << "}" << std::endl;
}

int run(std::span<char*> arguments) {
  if (arguments.size() == 3 && std::string_view(arguments[1]) == "serve")
    serve(parse_address(arguments[2]));
  std::unique_ptr<Workload> workload;
  if (arguments.size() == 5)
    workload = make_workload(arguments[1], {.target = parse_address(arguments[2]),
                                            .connections = std::atoi(arguments[3]),
                                            .seconds = std::atof(arguments[4])});
  if (!workload) {
    std::cerr << "usage: nsrelay_load serve ADDRESS:PORT\n"
                 "       nsrelay_load WORKLOAD ADDRESS:PORT CONNECTIONS SECONDS\n"
                 "WORKLOAD: download, upload, ping, connect, idle, udp-echo-64, udp-echo-1400, "
                 "udp-burst\n";
    return 2;
  }
  workload->prepare();
  std::cout << "ready" << std::endl;
  std::string go;
  std::getline(std::cin, go);
  print(workload->run());
  return 0;
}

}  // namespace
}  // namespace nsrelay::bench

int main(int argc, char** argv) {
  nsrelay::bench::raise_descriptor_limit();
  return nsrelay::bench::run({argv, static_cast<std::size_t>(argc)});
}
