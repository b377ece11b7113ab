#pragma once

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nsrelay {

/// Columns of text, aligned. The heading is emphasised when `colour` is set (a terminal), else
/// everything is plain text.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> heading) : heading_(std::move(heading)) {}

  /// One cell per column of the heading.
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  /// Columns whose cells are numbers are aligned to the right.
  void align_right(std::size_t column) { right_.push_back(column); }

  /// The cells of `column` are printed with the escape sequence that `colour` gives for them, where
  /// there are colours.
  void colour_cells(std::size_t column,
                    std::function<std::string_view(const std::string& cell)> colour) {
    colours_[column] = std::move(colour);
  }

  void print(std::ostream& out, bool colour) const;

 private:
  std::string padded(const std::string& cell, std::size_t column, std::size_t width) const;
  std::string format_row(const std::vector<std::string>& row,
                         const std::vector<std::size_t>& widths, bool colour) const;

  std::vector<std::string> heading_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> right_;
  std::map<std::size_t, std::function<std::string_view(const std::string&)>> colours_;
};

}  // namespace nsrelay
