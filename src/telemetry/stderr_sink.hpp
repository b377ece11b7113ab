#pragma once

#include <spdlog/sinks/base_sink.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "nsrelay/base/unique_fd.hpp"

namespace nsrelay {

/// A spdlog sink that gathers lines and writes them without ever blocking.
///
/// The descriptor is shared with whoever started us, so it must not be made non-blocking: a pipe
/// or terminal is opened a second time through /proc, a socket is sent to with MSG_DONTWAIT, and a
/// file is written as it is.
class StderrSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit StderrSink(int fd);

  /// Whether the reader has not taken everything yet.
  [[nodiscard]] bool is_behind() const { return !gathered_.empty(); }

  /// Records that were dropped since the start.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_total_; }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override;

 private:
  enum class Kind : std::uint8_t { File, Stream, Socket };

  [[nodiscard]] ssize_t write_some() const;
  void report_dropped();

  int fd_;
  Kind kind_ = Kind::File;
  UniqueFd reopened_;
  std::string gathered_;
  std::uint64_t dropped_ = 0;  ///< and not reported yet
  std::uint64_t dropped_total_ = 0;
};

}  // namespace nsrelay
