#include "nsrelay/daemon/drainer.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace nsrelay {
namespace {

constexpr std::size_t kConnectionsPerSlice = 1024;

template <class Visit>
void for_each_side(const Forwarded& one, Visit visit) {
  for (const std::uint64_t cookie : {one.listener().cookie, one.upstream_cookie()})
    if (cookie != 0)
      visit(cookie);
}

/// Takes out what is due.
template <class Key>
std::set<Key> take_due(std::map<Key, TimePoint>& draining, TimePoint now) {
  std::set<Key> due;
  for (const auto& [what, deadline] : draining)
    if (deadline <= now)
      due.insert(what);
  std::erase_if(draining, [&](const auto& one) { return due.contains(one.first); });
  return due;
}

}  // namespace

Drainer::Drainer(RelayContext& context, Duration patience)
    : loop_(context.loop()),
      context_(context),
      patience_(patience),
      next_slice_(loop_, Delegate<void()>::to<&Drainer::walk_on>(this)),
      timer_(loop_.timers(), Delegate<void()>::to<&Drainer::on_deadline>(this)) {}

void Drainer::end_orphans(const std::set<std::uint64_t>& gone) {
  if (gone.empty())
    return;
  gone_.insert(gone.begin(), gone.end());
  context_.lingering().reset_in(gone_);
  if (next_slice_.is_scheduled())
    again_ = true;
  else
    begin_walk();
}

void Drainer::begin_walk() {
  again_ = false;
  still_used_.clear();
  place_ = context_.connections().size();
  walk_on();
}

/// From the end of the table: there a connection that ends meanwhile leaves its place to one that
/// was looked at already. What begins meanwhile cannot be in a namespace that is gone.
void Drainer::walk_on() noexcept {
  place_ = context_.connections().visit_before(place_, kConnectionsPerSlice,
                                               [this](Forwarded& one) { look_at(one); });
  if (place_ == 0)
    look_at_lingering();
  start_timer();
  if (place_ > 0) {
    next_slice_.schedule();
  } else if (again_) {
    begin_walk();
  } else {
    gone_ = std::exchange(still_used_, {});
    context_.lingering().reset_in(gone_);
  }
}

void Drainer::look_at(Forwarded& one) {
  const OnNetnsDelete policy = one.runtime().rule().on_netns_delete;
  bool is_over = false;
  for_each_side(one, [&](std::uint64_t cookie) {
    if (!gone_.contains(cookie))
      return;
    is_over |= policy == OnNetnsDelete::Close;
    note_use(cookie, policy);
  });
  if (is_over)
    one.end(Reason::NetnsDeleted);
}

/// What ended by itself, before the deletion or before the walk came to it, drains like the rest:
/// its last bytes hold the namespace too.
void Drainer::look_at_lingering() {
  context_.lingering().for_each([this](std::uint64_t cookie, OnNetnsDelete policy) {
    if (gone_.contains(cookie))
      note_use(cookie, policy);
  });
}

/// Something goes on in a namespace that is gone.
void Drainer::note_use(std::uint64_t cookie, OnNetnsDelete policy) {
  if (policy != OnNetnsDelete::Close)
    still_used_.insert(cookie);
  if (policy == OnNetnsDelete::Drain)
    namespaces_.try_emplace(cookie, loop_.now() + patience_);
}

void Drainer::drain(const RuleRuntime& runtime) {
  rules_.try_emplace(&runtime, loop_.now() + patience_);
  start_timer();
}

void Drainer::on_deadline() noexcept {
  const auto namespaces = take_due(namespaces_, loop_.now());
  const auto rules = take_due(rules_, loop_.now());
  context_.connections().for_each([&](Forwarded& one) {
    bool is_over = rules.contains(&one.runtime());
    if (one.runtime().rule().on_netns_delete == OnNetnsDelete::Drain)
      for_each_side(one, [&](std::uint64_t cookie) { is_over |= namespaces.contains(cookie); });
    if (is_over)
      one.end(Reason::Drained);
  });
  context_.lingering().reset_drained_in(namespaces);
  start_timer();
}

void Drainer::start_timer() {
  std::optional<TimePoint> first;
  const auto consider = [&](const auto& draining) {
    for (const auto& [what, deadline] : draining)
      first = first ? std::min(*first, deadline) : deadline;
  };
  consider(namespaces_);
  consider(rules_);
  if (first)
    timer_.start(*first);
}

}  // namespace nsrelay
