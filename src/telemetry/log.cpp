#include "nsrelay/telemetry/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>

#include "stderr_sink.hpp"

namespace nsrelay {
namespace {

// The level's name is part of the text, because spdlog's own names differ from ours ("warning").
constexpr const char* kPattern = "%Y-%m-%dT%H:%M:%S.%fZ %v";

}  // namespace

Log::Log(LogLevel level, int fd)
    : level_(level),
      sink_(std::make_shared<StderrSink>(fd)),
      logger_(std::make_unique<spdlog::logger>("nsrelay", sink_)) {
  sink_->set_formatter(
      std::make_unique<spdlog::pattern_formatter>(kPattern, spdlog::pattern_time_type::utc));
  logger_->set_level(spdlog::level::trace);  // the threshold is ours: see takes()
}

Log::~Log() {
  flush();
}

void Log::write(const LogRecord& record) noexcept {
  if (!takes(record.level))
    return;
  const std::string text = std::string(to_string(record.level)) + ' ' + format_as_text(record);
  logger_->log(spdlog::level::info, spdlog::string_view_t(text));
}

std::uint64_t Log::dropped() const {
  return sink_->dropped();
}

void Log::flush() noexcept {
  logger_->flush();
}

}  // namespace nsrelay
