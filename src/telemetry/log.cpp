#include "nsrelay/telemetry/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>

#include <cstdlib>

#include "journal_sink.hpp"
#include "stderr_sink.hpp"

namespace nsrelay {
namespace {

// The level's name is part of the text, because spdlog's own names differ from ours ("warning").
constexpr const char* kPattern = "%Y-%m-%dT%H:%M:%S.%fZ %v";

}  // namespace

Log::Log(LogLevel level, int fd)
    : level_(level),
      fd_(fd),
      sink_(std::make_shared<StderrSink>(fd)),
      logger_(std::make_unique<spdlog::logger>("nsrelay", sink_)) {
  sink_->set_formatter(
      std::make_unique<spdlog::pattern_formatter>(kPattern, spdlog::pattern_time_type::utc));
  logger_->set_level(spdlog::level::trace);  // the threshold is ours: see takes()
}

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
  if (journal_) {
    journal_->write(record);
    return;
  }
  const std::string text = std::string(to_string(record.level)) + ' ' + format_as_text(record);
  logger_->log(spdlog::level::info, spdlog::string_view_t(text));
}

std::uint64_t Log::dropped() const {
  return sink_->dropped() + dropped_by_former_ + (journal_ ? journal_->dropped() : 0);
}

bool Log::is_behind() const {
  return sink_->is_behind() || (journal_ && journal_->is_behind());
}

void Log::flush() noexcept {
  logger_->flush();
  if (journal_)
    journal_->flush();
}

}  // namespace nsrelay
