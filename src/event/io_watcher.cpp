#include "nsrelay/event/io_watcher.hpp"

#include <cstdlib>

namespace nsrelay {
namespace {

epoll_event make_event(std::uint32_t events, std::uint32_t slot, std::uint32_t generation) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = std::uint64_t{generation} << 32U | slot;
  return event;
}

}  // namespace

IoWatcher& IoWatcher::operator=(IoWatcher&& other) noexcept {
  if (this != &other) {
    stop();
    loop_ = other.loop_;
    fd_ = std::exchange(other.fd_, -1);
    slot_ = other.slot_;
  }
  return *this;
}

Result<void> IoWatcher::start(int fd, std::uint32_t events, IoCallback callback) {
  if (is_watching())
    std::abort();
  const std::uint32_t slot = loop_->take_slot(callback);
  epoll_event event = make_event(events, slot, loop_->slots_[slot].generation);
  if (::epoll_ctl(loop_->epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    auto error = Error::from_errno("epoll_ctl");
    loop_->free_slot(slot);
    return error;
  }
  slot_ = slot;
  fd_ = fd;
  return {};
}

Result<void> IoWatcher::set_events(std::uint32_t events) {
  epoll_event event = make_event(events, slot_, loop_->slots_[slot_].generation);
  if (::epoll_ctl(loop_->epoll_.get(), EPOLL_CTL_MOD, fd_, &event) != 0)
    return Error::from_errno("epoll_ctl");
  return {};
}

void IoWatcher::redirect(IoCallback callback) {
  loop_->slots_[slot_].callback = callback;
}

void IoWatcher::stop() {
  if (!is_watching())
    return;
  // Can only fail for a descriptor that is closed already: a broken invariant.
  if (::epoll_ctl(loop_->epoll_.get(), EPOLL_CTL_DEL, fd_, nullptr) != 0)
    std::abort();
  fd_ = -1;
  loop_->free_slot(slot_);
}

void IoWatcher::stop_and_close(UniqueFd& fd) {
  if (is_watching()) {
    fd_ = -1;
    loop_->free_slot(slot_);
  }
  fd.close();
}

}  // namespace nsrelay
