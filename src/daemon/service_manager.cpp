#include "nsrelay/daemon/service_manager.hpp"

#include <systemd/sd-daemon.h>

#include <chrono>
#include <cstdlib>

namespace nsrelay {
namespace {

constexpr auto kStatusInterval = std::chrono::seconds(1);

/// Half of what the manager's patience is, as sd_watchdog_enabled(3) advises.
std::optional<Duration> watchdog_interval() {
  std::uint64_t patience = 0;
  if (::sd_watchdog_enabled(0, &patience) <= 0)
    return std::nullopt;
  return std::max(Duration(1),
                  std::chrono::duration_cast<Duration>(std::chrono::microseconds(patience) / 2));
}

/// CLOCK_MONOTONIC, as RELOADING=1 has to carry it (sd_notify(3)).
std::string monotonic_usec() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

}  // namespace

ServiceManager::ServiceManager(EventLoop& loop, std::function<std::string()> status)
    : loop_(loop),
      status_(std::move(status)),
      present_(std::getenv("NOTIFY_SOCKET") != nullptr),
      feed_every_(present_ ? watchdog_interval() : std::nullopt),
      status_timer_(loop.timers(), Delegate<void()>::to<&ServiceManager::on_status_timer>(this)),
      watchdog_timer_(loop.timers(),
                      Delegate<void()>::to<&ServiceManager::on_watchdog_timer>(this)) {}

void ServiceManager::ready() {
  if (!present_)
    return;
  send_status("READY=1\n");
  on_status_timer();
  on_watchdog_timer();
}

void ServiceManager::reloading() {
  if (present_)
    (void)::sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + monotonic_usec()).c_str());
}

void ServiceManager::stopping() {
  if (present_)
    send_status("STOPPING=1\n");
}

void ServiceManager::on_status_timer() noexcept {
  send_status("");
  status_timer_.start(loop_.now() + kStatusInterval);
}

void ServiceManager::on_watchdog_timer() noexcept {
  if (!feed_every_)
    return;
  (void)::sd_notify(0, "WATCHDOG=1");
  watchdog_timer_.start(loop_.now() + *feed_every_);
}

void ServiceManager::send_status(const std::string& state) {
  std::string line = status_();
  if (state.empty() && line == shown_)
    return;
  (void)::sd_notify(0, (state + "STATUS=" + line).c_str());
  shown_ = std::move(line);
}

}  // namespace nsrelay
