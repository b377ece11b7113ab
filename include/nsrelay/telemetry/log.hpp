#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "nsrelay/base/result.hpp"
#include "nsrelay/config/config.hpp"
#include "nsrelay/telemetry/log_record.hpp"

namespace nsrelay {

class JournalSink;
class StderrSink;

/// The daemon's log, on stderr or in the journal. Records are gathered and written by flush(),
/// which the reactor calls before it sleeps: one write(2) for everything that one iteration had to
/// say. Writing never blocks: what a stalled reader does not take is held up to a bound, then
/// dropped, counted, and reported when the reader goes on.
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

  /// Where records go from now on; at first to stderr. Auto: to the journal where stderr is its
  /// stream, as systemd sets it up, else to stderr. Fails where nobody listens at
  /// `journal_socket`: records go to stderr then.
  Result<void> set_target(LogTarget target,
                          const std::string& journal_socket = "/run/systemd/journal/socket");

  void write(const LogRecord& record) noexcept;
  void flush() noexcept;

  /// Whether a reader has not taken everything yet: flush() is to be called again soon.
  [[nodiscard]] bool is_behind() const;

  /// Records that were dropped since the start.
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  LogLevel level_;
  int fd_;
  std::unique_ptr<StderrSink> stderr_;
  std::unique_ptr<JournalSink> journal_;  ///< absent: to stderr
  std::uint64_t dropped_by_former_ = 0;
};

}  // namespace nsrelay
