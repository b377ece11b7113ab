#pragma once

#include <iosfwd>
#include <string>
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

  void print(std::ostream& out, bool colour) const;

 private:
  void print_row(std::ostream& out, const std::vector<std::string>& row,
                 const std::vector<std::size_t>& widths) const;

  std::vector<std::string> heading_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> right_;
};

}  // namespace nsrelay
