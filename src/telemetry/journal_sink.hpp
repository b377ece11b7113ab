#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "nsrelay/base/result.hpp"
#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/telemetry/log_record.hpp"

namespace nsrelay {

/// Gives records to journald as structured fields, without ever blocking.
///
/// The protocol is journald's native one (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram per
/// record, or a sealed memfd where it is too long for one. It is spoken here because libsystemd's
/// sd_journal_sendv(3) sends on a blocking socket of its own: with a journald that is stopped and
/// its queue full it never returns, and forwarding would end.
///
/// The socket is not connected, so that a journald that was started anew is found by its path. What
/// its queue does not take is held up to a bound, then dropped, counted, and reported when it goes
/// on.
class JournalSink {
 public:
  /// `path` is that of journald's socket. Fails where nobody listens there.
  static Result<std::unique_ptr<JournalSink>> create(const std::string& path);

  JournalSink(const JournalSink&) = delete;
  JournalSink& operator=(const JournalSink&) = delete;

  /// Takes a copy of what `record` says, to be sent by flush().
  void write(const LogRecord& record);

  /// Sends what was taken, as far as journald takes it.
  void flush();

  /// Whether something waits for journald.
  [[nodiscard]] bool is_behind() const { return !held_.empty(); }

  /// Records that were dropped since this sink was made.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_total_; }

 private:
  enum class Sent : std::uint8_t { Yes, Later, Never };

  JournalSink(std::string path, UniqueFd socket)
      : path_(std::move(path)), socket_(std::move(socket)) {}

  void hold(std::string datagram);
  [[nodiscard]] Sent send(const std::string& datagram) const;
  [[nodiscard]] Sent send_as_file(const std::string& datagram) const;
  [[nodiscard]] int send_message(const void* data, std::size_t size, int file) const;
  void count_dropped();

  std::string path_;
  UniqueFd socket_;
  std::deque<std::string> held_;
  std::size_t held_bytes_ = 0;
  std::uint64_t dropped_ = 0;  ///< and not reported yet
  std::uint64_t dropped_total_ = 0;
};

/// `record` as a datagram of the native protocol.
std::string format_for_journal(const LogRecord& record);

/// Whether stderr is journald's stream, which systemd tells by $JOURNAL_STREAM (systemd.exec(5)).
/// `stream` is its value or null; `fd` is normally 2.
bool is_journal_stream(const char* stream, int fd);

}  // namespace nsrelay
