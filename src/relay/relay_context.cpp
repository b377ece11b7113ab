#include "nsrelay/relay/relay_context.hpp"

namespace nsrelay {
namespace {

constexpr auto kBurst = std::chrono::seconds(5);

}  // namespace

void RelayContext::accept_paused(const LogRecord& record) {
  if (!last_pause_ || loop_.now() - *last_pause_ > kBurst)
    log_.write(record);
  last_pause_ = loop_.now();
}

DatagramMover& RelayContext::datagrams() {
  if (!datagrams_)
    datagrams_ = std::make_unique<DatagramMover>();
  return *datagrams_;
}

}  // namespace nsrelay
