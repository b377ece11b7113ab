#include "text_table.hpp"

#include <algorithm>
#include <ostream>

namespace nsrelay {

void TextTable::print(std::ostream& out, bool colour) const {
  std::vector<std::size_t> widths;
  for (std::size_t column = 0; column < heading_.size(); ++column) {
    std::size_t width = heading_[column].size();
    for (const auto& row : rows_)
      width = std::max(width, row[column].size());
    widths.push_back(width);
  }
  out << (colour ? "\033[1m" : "") << format_row(heading_, widths, false)
      << (colour ? "\033[0m" : "") << '\n';
  for (const auto& row : rows_)
    out << format_row(row, widths, colour) << '\n';
}

std::string TextTable::padded(const std::string& cell, std::size_t column,
                              std::size_t width) const {
  const std::string padding(width - cell.size(), ' ');
  const bool right = std::find(right_.begin(), right_.end(), column) != right_.end();
  if (right)
    return padding + cell;
  return column + 1 == heading_.size() ? cell : cell + padding;
}

std::string TextTable::format_row(const std::vector<std::string>& row,
                                  const std::vector<std::size_t>& widths, bool colour) const {
  std::string line;
  for (std::size_t column = 0; column < row.size(); ++column) {
    const auto found = colours_.find(column);
    const bool has_colour = colour && found != colours_.end();
    line += "  ";
    line += has_colour ? found->second(row[column]) : "";
    line += padded(row[column], column, widths[column]);
    line += has_colour ? "\033[0m" : "";
  }
  if (const std::size_t last = line.find_last_not_of(' '); last != std::string::npos)
    line.erase(last + 1);
  return line;
}

}  // namespace nsrelay
