#include "top_view.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <sstream>

#include "human_text.hpp"
#include "text_table.hpp"

namespace nsrelay {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kBold = "\033[1m";
constexpr std::string_view kReverse = "\033[7m";
constexpr std::string_view kPlain = "\033[0m";
constexpr std::string_view kEraseLine = "\033[K";
constexpr std::string_view kHelp =
    " q quit   arrows, space scroll   sort: n name  a active  c new/s  r received  s sent  f file";

constexpr char kControlC = '\003';
constexpr std::size_t kLastLine = static_cast<std::size_t>(-1) / 2;

std::string text_of(const Json& object, const char* key) {
  return printable(object.at(key).get_ref<const std::string&>());
}

std::string per_second(double rate) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), rate < 100 ? "%.1f" : "%.0f", rate);
  return text.data();
}

std::string bytes_per_second(double rate) {
  return human_bytes(rate) + "/s";
}

/// The first `columns` characters of UTF-8 text.
std::string cut(const std::string& line, std::size_t columns) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool begins_character = (static_cast<unsigned char>(line[i]) & 0xc0U) != 0x80;
    if (begins_character && ++seen > columns)
      return line.substr(0, i);
  }
  return line;
}

std::vector<std::string> lines_of(const TextTable& table) {
  std::stringstream text;
  table.print(text, false);
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);)
    lines.push_back(line);
  return lines;
}

}  // namespace

TopView::Row TopView::row_of(const Json& rule) {
  Row row;
  row.active = rule.at("connections_active");
  row.failed = rule.at("connections_failed");
  row.counts = {rule.at("connections_total"), rule.at("bytes_received"), rule.at("bytes_sent")};
  return row;
}

void TopView::update(const Json& status, Time now) {
  const std::string daemon = status.at("pid").dump() + status.at("started").dump();
  if (daemon != daemon_)
    former_.clear();
  const double seconds = std::chrono::duration<double>(now - time_).count();
  std::map<std::string, Counts> counts;
  const auto read = [&](const Json& object, const std::string& name) {
    Row row = row_of(object);
    row.rates = rates_of(name, row.counts, seconds);
    counts[name] = row.counts;
    return row;
  };
  Row totals = read(status.at("totals"), "");
  std::vector<Row> rows;
  for (const Json& rule : status.at("rules")) {
    rows.push_back(read(rule, text_of(rule, "name")));
    rows.back().name = text_of(rule, "name");
    rows.back().protocol = text_of(rule, "protocol");
  }
  totals_ = totals;
  rows_ = std::move(rows);
  former_ = std::move(counts);
  status_ = status;
  daemon_ = daemon;
  time_ = now;
  error_.clear();
}

/// Nothing before there are two answers of one daemon.
TopView::Rates TopView::rates_of(const std::string& name, const Counts& counts,
                                 double seconds) const {
  const auto found = former_.find(name);
  if (found == former_.end() || seconds <= 0)
    return {};
  const auto rate = [&](std::uint64_t before, std::uint64_t after) {
    return after > before ? static_cast<double>(after - before) / seconds : 0;
  };
  return {rate(found->second.total, counts.total), rate(found->second.received, counts.received),
          rate(found->second.sent, counts.sent)};
}

bool TopView::on_key(Key key) {
  switch (key) {
    case 'q':
    case kControlC:
      return false;
    case 'f':
      sort_ = Sort::File;
      break;
    case 'n':
      sort_ = Sort::Name;
      break;
    case 'a':
      sort_ = Sort::Active;
      break;
    case 'c':
      sort_ = Sort::New;
      break;
    case 'r':
      sort_ = Sort::Received;
      break;
    case 's':
      sort_ = Sort::Sent;
      break;
    case key::kUp:
    case 'k':
      first_ -= first_ > 0 ? 1 : 0;
      break;
    case key::kDown:
    case 'j':
      ++first_;
      break;
    case key::kPageUp:
      first_ -= std::min(first_, page_);
      break;
    case key::kPageDown:
    case ' ':
      first_ += page_;
      break;
    case key::kHome:
      first_ = 0;
      break;
    case key::kEnd:
      first_ = kLastLine;
      break;
    default:
      break;
  }
  return true;
}

void TopView::sort_rows(std::vector<Row>& rows) const {
  if (sort_ == Sort::File)
    return;
  if (sort_ == Sort::Name) {
    std::stable_sort(rows.begin(), rows.end(),
                     [](const Row& a, const Row& b) { return a.name < b.name; });
    return;
  }
  const auto value = [this](const Row& row) {
    if (sort_ == Sort::Active)
      return static_cast<double>(row.active);
    if (sort_ == Sort::New)
      return row.rates.connections;
    return sort_ == Sort::Received ? row.rates.received : row.rates.sent;
  };
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const Row& a, const Row& b) { return value(a) > value(b); });
}

std::vector<std::string> TopView::head() const {
  if (status_.is_null())
    return {error_, ""};
  return {"nsrelay " + text_of(status_, "version") + "  pid " + status_.at("pid").dump() + "  " +
              text_of(status_, "state") + "  started " + text_of(status_, "started") + "  " +
              text_of(status_.at("config"), "file"),
          std::to_string(totals_.active) + " active  " + per_second(totals_.rates.connections) +
              " new/s  " + std::to_string(totals_.counts.total) + " in total  " +
              std::to_string(totals_.failed) + " failed  " +
              bytes_per_second(totals_.rates.received) + " received  " +
              bytes_per_second(totals_.rates.sent) + " sent",
          error_};
}

std::vector<std::string> TopView::body() const {
  if (status_.is_null())
    return {};
  std::vector<Row> rows = rows_;
  sort_rows(rows);
  TextTable rules({"RULE", "PROTOCOL", "ACTIVE", "NEW/S", "TOTAL", "FAILED", "RECEIVED", "SENT"});
  for (std::size_t column = 2; column < 8; ++column)
    rules.align_right(column);
  for (const Row& row : rows)
    rules.add({row.name, row.protocol, std::to_string(row.active),
               per_second(row.rates.connections), std::to_string(row.counts.total),
               std::to_string(row.failed), bytes_per_second(row.rates.received),
               bytes_per_second(row.rates.sent)});
  TextTable listeners({"NAMESPACE", "LISTENER", "PROTOCOL", "RULE", "ACTIVE", "STATE"});
  listeners.align_right(4);
  for (const Json& netns : status_.at("namespaces")) {
    for (const Json& one : netns.at("listeners")) {
      const std::string reason = text_of(one, "reason");
      listeners.add({text_of(one, "netns"), text_of(one, "address"), text_of(one, "protocol"),
                     text_of(one, "rule"), one.at("connections_active").dump(),
                     text_of(one, "state") + (reason.empty() ? "" : ": " + reason)});
    }
  }
  std::vector<std::string> lines = lines_of(rules);
  lines.emplace_back();
  for (std::string& line : lines_of(listeners))
    lines.push_back(std::move(line));
  return lines;
}

std::string TopView::render(const TerminalSize& size) {
  std::string frame;
  const auto add = [&](std::string_view style, const std::string& line) {
    frame.append(style).append(cut(line, size.columns));
    frame.append(style.empty() ? "" : kPlain).append(kEraseLine).append("\r\n");
  };
  std::vector<std::string> head_lines = head();
  constexpr std::size_t kFooter = 1;
  if (head_lines.size() + kFooter >= size.rows)
    head_lines.resize(size.rows > kFooter ? size.rows - kFooter : 0);
  for (std::size_t i = 0; i < head_lines.size(); ++i)
    add(i == 0 ? kBold : std::string_view(), head_lines[i]);
  const std::vector<std::string> lines = body();
  page_ = std::max<std::size_t>(size.rows - std::min(size.rows, head_lines.size() + kFooter), 1);
  first_ = std::min(first_, lines.size() - std::min(lines.size(), page_));
  const std::size_t room = size.rows - std::min(size.rows, head_lines.size() + kFooter);
  for (std::size_t i = 0; i < room; ++i) {
    const bool is_there = first_ + i < lines.size();
    const bool is_heading = is_there && (lines[first_ + i].starts_with("  RULE ") ||
                                         lines[first_ + i].starts_with("  NAMESPACE "));
    add(is_heading ? kBold : std::string_view(), is_there ? lines[first_ + i] : "");
  }
  return frame.append(kReverse)
      .append(cut(std::string(kHelp), size.columns))
      .append(kPlain)
      .append(kEraseLine);
}

}  // namespace nsrelay
