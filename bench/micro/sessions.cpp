// What finding a UDP session costs by how many there are.

#include <benchmark/benchmark.h>

#include "nsrelay/relay/udp_session_table.hpp"

namespace nsrelay {
namespace {

DatagramPath path_of(std::int64_t number) {
  IpAddress peer =
      *IpAddress::parse("10." + std::to_string(number / 65536 % 256) + "." +
                        std::to_string(number / 256 % 256) + "." + std::to_string(number % 256));
  return {.peer = {peer, static_cast<std::uint16_t>(1024 + number % 60000)},
          .local = *IpAddress::parse("192.0.2.1")};
}

/// Sessions that nobody looks into.
UdpSession& session(std::int64_t number) {
  return *reinterpret_cast<UdpSession*>(static_cast<std::uintptr_t>(number + 1) * 64);
}

void find(benchmark::State& state) {
  const std::int64_t count = state.range(0);
  UdpSessionTable table;
  std::vector<DatagramPath> paths;
  for (std::int64_t i = 0; i < count; ++i) {
    paths.push_back(path_of(i));
    table.add(paths.back(), session(i));
  }
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table.find(paths[i % paths.size()]));
    i += 7919;
  }
}
BENCHMARK(find)->Arg(10)->Arg(1000)->Arg(50000);

void add_and_remove(benchmark::State& state) {
  const std::int64_t count = state.range(0);
  UdpSessionTable table;
  for (std::int64_t i = 0; i < count; ++i)
    table.add(path_of(i), session(i));
  const DatagramPath path = path_of(count);
  for (auto _ : state) {
    table.add(path, session(count));
    table.remove(path);
  }
}
BENCHMARK(add_and_remove)->Arg(10)->Arg(50000);

}  // namespace
}  // namespace nsrelay
