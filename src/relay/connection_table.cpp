#include "nsrelay/relay/connection_table.hpp"

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
  // From the back: the one that take() moves into a place has been visited already.
  for (std::size_t place = forwarded_.size(); place-- > 0;)
    visit(*forwarded_[place]);
}

}  // namespace nsrelay
