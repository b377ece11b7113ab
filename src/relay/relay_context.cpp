#include "nsrelay/relay/relay_context.hpp"

#include <cerrno>

namespace nsrelay {
namespace {

constexpr auto kBurst = std::chrono::seconds(5);
constexpr auto kSctpInterval = std::chrono::seconds(30);
constexpr std::uint64_t kEveryNetns = 0;  // no namespace has this cookie

}  // namespace

void RelayContext::accept_paused(const LogRecord& record) {
  if (!last_pause_ || loop_.now() - *last_pause_ > kBurst)
    log_.write(record);
  last_pause_ = loop_.now();
}

const Error* RelayContext::why_no_sctp(std::uint64_t netns) const {
  for (const std::uint64_t where : {kEveryNetns, netns})
    if (const auto found = no_sctp_.find(where);
        found != no_sctp_.end() && loop_.now() < found->second.until)
      return &found->second.error;
  return nullptr;
}

void RelayContext::note_no_sctp(std::uint64_t netns, const Error& error) {
  std::erase_if(no_sctp_, [this](const auto& one) { return one.second.until <= loop_.now(); });
  // The protocol is the kernel's; the digest is each namespace's, by its net.sctp.cookie_hmac_alg.
  no_sctp_.insert_or_assign(error.number() == ENOSYS ? netns : kEveryNetns,
                            NoSctp{error, loop_.now() + kSctpInterval});
}

DatagramMover& RelayContext::datagrams() {
  if (!datagrams_)
    datagrams_ = std::make_unique<DatagramMover>();
  return *datagrams_;
}

}  // namespace nsrelay
