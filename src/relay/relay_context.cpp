#include "nsrelay/relay/relay_context.hpp"

namespace nsrelay {
namespace {

constexpr auto kBurst = std::chrono::seconds(5);
constexpr auto kSctpInterval = std::chrono::seconds(30);

}  // namespace

void RelayContext::accept_paused(const LogRecord& record) {
  if (!last_pause_ || loop_.now() - *last_pause_ > kBurst)
    log_.write(record);
  last_pause_ = loop_.now();
}

const Error* RelayContext::why_no_sctp() const {
  return why_no_sctp_ && loop_.now() < ask_for_sctp_at_ ? &*why_no_sctp_ : nullptr;
}

void RelayContext::note_no_sctp(const Error& error) {
  why_no_sctp_ = error;
  ask_for_sctp_at_ = loop_.now() + kSctpInterval;
}

DatagramMover& RelayContext::datagrams() {
  if (!datagrams_)
    datagrams_ = std::make_unique<DatagramMover>();
  return *datagrams_;
}

}  // namespace nsrelay
