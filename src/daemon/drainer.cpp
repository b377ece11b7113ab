#include "nsrelay/daemon/drainer.hpp"

#include <algorithm>

namespace nsrelay {
namespace {

template <class Visit>
void for_each_side(const Forwarded& one, Visit visit) {
  for (const std::uint64_t cookie : {one.listener().cookie, one.upstream_cookie()})
    if (cookie != 0)
      visit(cookie);
}

}  // namespace

Drainer::Drainer(RelayContext& context, Duration patience)
    : loop_(context.loop()),
      context_(context),
      patience_(patience),
      timer_(loop_.timers(), Delegate<void()>::to<&Drainer::on_deadline>(this)) {}

void Drainer::end_orphans(const std::set<std::uint64_t>& present) {
  context_.connections().for_each([&](Forwarded& one) {
    const OnNetnsDelete policy = one.runtime().rule().on_netns_delete;
    bool is_over = false;
    for_each_side(one, [&](std::uint64_t cookie) {
      if (present.contains(cookie))
        return;
      is_over |= policy == OnNetnsDelete::Close;
      if (policy == OnNetnsDelete::Drain)
        draining_.try_emplace(cookie, loop_.now() + patience_);
    });
    if (is_over)
      one.end(Reason::NetnsDeleted);
  });
  context_.lingering().reset_orphans(present);
  start_timer();
}

void Drainer::on_deadline() noexcept {
  std::set<std::uint64_t> due;
  for (const auto& [cookie, deadline] : draining_)
    if (deadline <= loop_.now())
      due.insert(cookie);
  context_.connections().for_each([&](Forwarded& one) {
    bool is_over = false;
    for_each_side(one, [&](std::uint64_t cookie) { is_over |= due.contains(cookie); });
    if (is_over && one.runtime().rule().on_netns_delete == OnNetnsDelete::Drain)
      one.end(Reason::Drained);
  });
  std::erase_if(draining_, [&](const auto& one) { return due.contains(one.first); });
  start_timer();
}

void Drainer::start_timer() {
  const auto first = std::min_element(draining_.begin(), draining_.end(),
                                      [](auto& a, auto& b) { return a.second < b.second; });
  if (first != draining_.end())
    timer_.start(first->second);
}

}  // namespace nsrelay
