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
  out << (colour ? "\033[1m" : "");
  print_row(out, heading_, widths);
  out << (colour ? "\033[0m" : "");
  for (const auto& row : rows_)
    print_row(out, row, widths);
}

void TextTable::print_row(std::ostream& out, const std::vector<std::string>& row,
                          const std::vector<std::size_t>& widths) const {
  std::string line;
  for (std::size_t column = 0; column < row.size(); ++column) {
    const std::string padding(widths[column] - row[column].size(), ' ');
    const bool right = std::find(right_.begin(), right_.end(), column) != right_.end();
    line += "  " + (right ? padding + row[column] : row[column] + padding);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out << line << '\n';
}

}  // namespace nsrelay
