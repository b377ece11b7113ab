#pragma once

#include <functional>
#include <optional>
#include <string>

#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/event/timer_queue.hpp"

namespace nsrelay {

/// The service manager that started us, where one did ($NOTIFY_SOCKET, sd_notify(3)). It is told
/// which state we are in, shown a line with counts, and its watchdog is fed from the loop: a loop
/// that hangs, hence forwards nothing, is killed and started again. Does nothing otherwise.
class ServiceManager {
 public:
  /// Borrows `loop`. `status` gives the line for STATUS=; asked once a second, sent when it
  /// changed.
  ServiceManager(EventLoop& loop, std::function<std::string()> status);
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  /// What can be open is open. Starts feeding the watchdog ($WATCHDOG_USEC, half of it).
  void ready();

  /// The configuration is being read again; ends with ready().
  void reloading();

  /// The drain has begun.
  void stopping();

 private:
  void on_status_timer() noexcept;
  void on_watchdog_timer() noexcept;
  void send_status(const std::string& state);

  EventLoop& loop_;
  const std::function<std::string()> status_;
  const bool present_;
  std::optional<Duration> feed_every_;
  std::string shown_;
  Timer status_timer_;
  Timer watchdog_timer_;
};

}  // namespace nsrelay
