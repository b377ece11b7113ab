#include "stderr_sink.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "nsrelay/telemetry/log_record.hpp"

namespace nsrelay {
namespace {

constexpr std::size_t kMostGathered = 1024 * 1024;

}  // namespace

StderrSink::StderrSink(int fd) : fd_(fd) {
  struct stat info {};
  ::fstat(fd, &info);
  if (S_ISSOCK(info.st_mode)) {
    kind_ = Kind::Socket;
  } else if (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode)) {
    kind_ = Kind::Stream;
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    reopened_ = UniqueFd::adopt(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  }
}

void StderrSink::sink_it_(const spdlog::details::log_msg& message) {
  if (gathered_.size() >= kMostGathered) {
    ++dropped_;
    ++dropped_total_;
    return;
  }
  spdlog::memory_buf_t line;
  formatter_->format(message, line);
  gathered_.append(line.data(), line.size());
}

void StderrSink::flush_() {
  while (!gathered_.empty()) {
    const ssize_t written = write_some();
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0 && errno == EAGAIN)
      return;
    if (written < 0) {  // nobody will ever read it: EPIPE, EIO, ENOSPC
      gathered_.clear();
      return;
    }
    gathered_.erase(0, static_cast<std::size_t>(written));
    if (gathered_.empty() && dropped_ > 0)
      report_dropped();
  }
}

ssize_t StderrSink::write_some() const {
  if (kind_ == Kind::Socket)
    return ::send(fd_, gathered_.data(), gathered_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (kind_ == Kind::File || reopened_)
    return ::write(reopened_ ? reopened_.get() : fd_, gathered_.data(), gathered_.size());
  // It could not be opened again (no permission): a writable pipe takes PIPE_BUF at once, pipe(7).
  pollfd ready{fd_, POLLOUT, 0};
  if (::poll(&ready, 1, 0) != 1) {
    errno = EAGAIN;
    return -1;
  }
  return ::write(fd_, gathered_.data(), std::min<std::size_t>(gathered_.size(), PIPE_BUF));
}

void StderrSink::report_dropped() {
  const LogRecord record{.level = LogLevel::Warn,
                         .event = log_event::kLogDropped,
                         .more = {{"records", std::to_string(dropped_)}}};
  dropped_ = 0;
  const std::string text = "warn " + format_as_text(record);
  sink_it_(spdlog::details::log_msg("nsrelay", spdlog::level::warn, text));
}

}  // namespace nsrelay
