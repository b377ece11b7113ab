#include "nsrelay/relay/connection_table.hpp"

#include <algorithm>
#include <utility>

namespace nsrelay {

void ConnectionTable::add(std::unique_ptr<Forwarded> forwarded) {
  forwarded->place_ = static_cast<std::uint32_t>(forwarded_.size());
  forwarded_.push_back(std::move(forwarded));
}

std::unique_ptr<Forwarded> ConnectionTable::take(Forwarded& forwarded) {
  const std::uint32_t place = forwarded.place_;
  std::swap(forwarded_[place], forwarded_.back());
  forwarded_[place]->place_ = place;
  std::unique_ptr<Forwarded> taken = std::move(forwarded_.back());
  forwarded_.pop_back();
  if (on_taken_)
    on_taken_(*taken);
  if (forwarded_.empty() && on_empty_)
    on_empty_();
  return taken;
}

void ConnectionTable::for_each(const std::function<void(Forwarded&)>& visit) {
  visit_before(forwarded_.size(), forwarded_.size(), visit);
}

std::size_t ConnectionTable::visit_before(std::size_t place, std::size_t most,
                                          const std::function<void(Forwarded&)>& visit) {
  // From the back: the one that take() moves into a place has been visited already.
  place = std::min(place, forwarded_.size());
  for (; place > 0 && most > 0; --most)
    visit(*forwarded_[--place]);
  return place;
}

}  // namespace nsrelay
