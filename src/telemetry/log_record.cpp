#include "nsrelay/telemetry/log_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace nsrelay {
namespace {

/// Whether a byte stands for itself in a value without quotes. A table, because every byte of every
/// record is looked up.
constexpr auto kIsPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t byte = ' ' + 1; byte < plain.size(); ++byte)
    plain[byte] = byte != 0x7f && byte != '"' && byte != '=' && byte != '\\';
  return plain;
}();

bool is_plain(char character) {
  return kIsPlain[static_cast<unsigned char>(character)];
}

void append_quoted(std::string& line, std::string_view value) {
  line += '"';
  for (char character : value) {
    if (character == '"' || character == '\\')
      (line += '\\') += character;
    else if (character == '\n')
      line += "\\n";
    else if (static_cast<unsigned char>(character) < ' ' || character == 0x7f)
      fmt::format_to(std::back_inserter(line), "\\x{:02x}", static_cast<unsigned char>(character));
    else
      line += character;
  }
  line += '"';
}

void append(std::string& line, std::string_view key, std::string_view value) {
  if (value.empty())
    return;
  line += ' ';
  line += key;
  line += '=';
  if (std::all_of(value.begin(), value.end(), is_plain))
    line += value;
  else
    append_quoted(line, value);
}

template <class Number>
void append_number(std::string& line, std::string_view key, Number number) {
  const fmt::format_int digits(number);
  append(line, key, {digits.data(), digits.size()});
}

}  // namespace

std::string format_as_text(const LogRecord& record) {
  std::string line;
  append_as_text(line, record);
  return line;
}

void append_as_text(std::string& line, const LogRecord& record) {
  line += record.event.message;
  append(line, "event", record.event.name);
  append(line, "rule", record.rule);
  append(line, "netns", record.netns);
  append(line, "protocol", record.protocol);
  append(line, "client", record.client);
  append(line, "listener", record.listener);
  append(line, "upstream", record.upstream);
  if (record.received)
    append_number(line, "received", *record.received);
  if (record.sent)
    append_number(line, "sent", *record.sent);
  if (record.duration)
    append_number(line, "duration", record.duration->count());
  append(line, "reason", record.reason);
  for (const LogField& field : record.more)
    append(line, field.key, field.value);
}

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::Trace:
      return "trace";
    case LogLevel::Debug:
      return "debug";
    case LogLevel::Info:
      return "info";
    case LogLevel::Warn:
      return "warn";
    case LogLevel::Error:
      return "error";
  }
  return "";
}

}  // namespace nsrelay
