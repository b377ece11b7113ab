#pragma once

#include <memory>

#include "nsrelay/config/config.hpp"
#include "nsrelay/telemetry/log_record.hpp"

namespace spdlog {
class logger;
}

namespace nsrelay {

class StderrSink;

/// The daemon's log. Records are gathered and written by flush(), which the reactor calls before
/// it sleeps: one write(2) for everything that one iteration had to say. Writing never blocks:
/// what a stalled reader does not take is held up to a bound, then dropped, counted, and
/// reported when the reader goes on.
class Log {
 public:
  /// Writes to the file descriptor `fd` (borrowed; normally 2) what is at least as grave as
  /// `level`.
  explicit Log(LogLevel level, int fd = 2);
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log();

  [[nodiscard]] bool takes(LogLevel level) const { return level >= level_; }
  void set_level(LogLevel level) { level_ = level; }
  void write(const LogRecord& record) noexcept;
  void flush() noexcept;

  /// Records that were dropped since the start.
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  LogLevel level_;
  std::shared_ptr<StderrSink> sink_;
  std::unique_ptr<spdlog::logger> logger_;
};

}  // namespace nsrelay
