#include "nsrelay/telemetry/log_record.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nsrelay {
namespace {

bool is_plain(char character) {
  const auto byte = static_cast<unsigned char>(character);
  return byte > ' ' && byte != 0x7f && character != '"' && character != '=' && character != '\\';
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
  ((line += ' ') += key) += '=';
  if (std::all_of(value.begin(), value.end(), is_plain))
    line += value;
  else
    append_quoted(line, value);
}

template <class Number>
void append_number(std::string& line, std::string_view key, const std::optional<Number>& number) {
  if (number)
    append(line, key, fmt::format_int(*number).c_str());
}

}  // namespace

std::string format_as_text(const LogRecord& record) {
  std::string line(record.event.message);
  append(line, "event", record.event.name);
  append(line, "rule", record.rule);
  append(line, "netns", record.netns);
  append(line, "protocol", record.protocol);
  append(line, "client", record.client);
  append(line, "listener", record.listener);
  append(line, "upstream", record.upstream);
  append_number(line, "received", record.received);
  append_number(line, "sent", record.sent);
  if (record.duration)
    append(line, "duration", fmt::format_int(record.duration->count()).c_str());
  append(line, "reason", record.reason);
  for (const LogField& field : record.more)
    append(line, field.key, field.value);
  return line;
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
