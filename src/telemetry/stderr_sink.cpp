#include "stderr_sink.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <iterator>

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

void StderrSink::write(const LogRecord& record) {
  if (gathered_.size() >= kMostGathered) {
    ++dropped_;
    ++dropped_total_;
    return;
  }
  append(record);
}

void StderrSink::append(const LogRecord& record) {
  append_time();
  gathered_ += ' ';
  gathered_ += to_string(record.level);
  gathered_ += ' ';
  append_as_text(gathered_, record);
  gathered_ += '\n';
}

/// As RFC 3339 has it, with microseconds.
void StderrSink::append_time() {
  const auto now = std::chrono::system_clock::now();
  const auto second = std::chrono::floor<std::chrono::seconds>(now);
  if (second != second_ || second_text_.empty()) {
    second_ = second;
    second_text_ = fmt::format("{:%Y-%m-%dT%H:%M:%S}",
                               fmt::gmtime(std::chrono::system_clock::to_time_t(second)));
  }
  const auto rest = std::chrono::floor<std::chrono::microseconds>(now - second);
  gathered_ += second_text_;
  fmt::format_to(std::back_inserter(gathered_), ".{:06}Z", rest.count());
}

void StderrSink::flush() {
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
  const std::string records = std::to_string(dropped_);
  dropped_ = 0;
  append(
      {.level = LogLevel::Warn, .event = log_event::kLogDropped, .more = {{"records", records}}});
}

}  // namespace nsrelay
