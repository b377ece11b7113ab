#include "nsrelay/telemetry/log.hpp"

#include <cstdlib>

#include "journal_sink.hpp"
#include "stderr_sink.hpp"

namespace nsrelay {
Log::Log(LogLevel level, int fd)
    : level_(level), fd_(fd), stderr_(std::make_unique<StderrSink>(fd)) {}

Log::~Log() {
  flush();
}

Result<void> Log::set_target(LogTarget target, const std::string& journal_socket) {
  const bool to_journal =
      target == LogTarget::Journal ||
      (target == LogTarget::Auto && is_journal_stream(std::getenv("JOURNAL_STREAM"), fd_));
  if (to_journal == (journal_ != nullptr))
    return {};
  flush();
  if (!to_journal) {
    dropped_by_former_ += journal_->dropped();
    journal_.reset();
    return {};
  }
  auto journal = JournalSink::create(journal_socket);
  if (!journal)
    return std::move(journal).error();
  journal_ = *std::move(journal);
  return {};
}

void Log::write(const LogRecord& record) noexcept {
  if (!takes(record.level))
    return;
  if (journal_)
    journal_->write(record);
  else
    stderr_->write(record);
}

std::uint64_t Log::dropped() const {
  return stderr_->dropped() + dropped_by_former_ + (journal_ ? journal_->dropped() : 0);
}

bool Log::is_behind() const {
  return stderr_->is_behind() || (journal_ && journal_->is_behind());
}

void Log::flush() noexcept {
  stderr_->flush();
  if (journal_)
    journal_->flush();
}

}  // namespace nsrelay
