#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/telemetry/log_record.hpp"

namespace nsrelay {

/// Gathers records as lines, each behind the time (UTC) and its level, and writes them without ever
/// blocking.
///
/// The descriptor is shared with whoever started us, so it must not be made non-blocking: a pipe
/// or terminal is opened a second time through /proc, a socket is sent to with MSG_DONTWAIT, and a
/// file is written as it is.
class StderrSink {
 public:
  /// Borrows `fd`.
  explicit StderrSink(int fd);

  void write(const LogRecord& record);

  /// Writes what has been gathered, as much as is taken.
  void flush();

  /// Whether the reader has not taken everything yet.
  [[nodiscard]] bool is_behind() const { return !gathered_.empty(); }

  /// Records that were dropped since the start.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_total_; }

 private:
  enum class Kind : std::uint8_t { File, Stream, Socket };

  void append(const LogRecord& record);
  void append_time();
  [[nodiscard]] ssize_t write_some() const;
  void report_dropped();

  int fd_;
  Kind kind_ = Kind::File;
  UniqueFd reopened_;
  std::string gathered_;
  std::chrono::sys_seconds second_{};  ///< the one that second_text_ is the text of
  std::string second_text_;
  std::uint64_t dropped_ = 0;  ///< and not reported yet
  std::uint64_t dropped_total_ = 0;
};

}  // namespace nsrelay
