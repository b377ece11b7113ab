#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/telemetry/log.hpp"

namespace nsrelay::test {

/// A log that is kept in memory and can be read back.
class LogFile {
 public:
  explicit LogFile(LogLevel level = LogLevel::Trace) : log_(level, file_.get()) {}

  Log& log() { return log_; }

  /// Everything that was logged.
  std::string text() {
    log_.flush();
    std::string text(1 << 20, '\0');
    const ssize_t count = ::pread(file_.get(), text.data(), text.size(), 0);
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
  }

  bool contains(std::string_view words) { return text().find(words) != std::string::npos; }

  /// How often `words` stand in it.
  int count(std::string_view words) {
    const std::string all = text();
    int found = 0;
    for (std::size_t at = all.find(words); at != std::string::npos; at = all.find(words, at + 1))
      ++found;
    return found;
  }

 private:
  UniqueFd file_ = UniqueFd::adopt(::memfd_create("log", MFD_CLOEXEC));
  Log log_;
};

}  // namespace nsrelay::test
