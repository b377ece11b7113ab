#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "key_reader.hpp"
#include "terminal.hpp"

namespace nsrelay {

/// What `nsrelay top` shows: answers to `/status` that follow each other, and the frame that a
/// terminal of some size has of them. Knows no clock and no terminal.
class TopView {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// An answer to `/status` that came at `now`. Throws nlohmann::json::exception where it is not
  /// one.
  void update(const nlohmann::json& status, Time now);

  /// The daemon did not answer; what is shown stays, with `text` above it.
  void set_error(std::string text) { error_ = std::move(text); }

  /// False: the user wants to leave.
  bool on_key(Key key);

  /// Lines that end in CR LF but for the last, none wider than the terminal.
  std::string render(const TerminalSize& size);

 private:
  enum class Sort : std::uint8_t { File, Name, Active, New, Received, Sent };

  struct Counts {
    std::uint64_t total = 0;
    std::uint64_t received = 0;
    std::uint64_t sent = 0;
  };
  /// Per second.
  struct Rates {
    double connections = 0;
    double received = 0;
    double sent = 0;
  };
  struct Row {
    std::string name;
    std::string protocol;
    std::uint64_t active = 0;
    std::uint64_t failed = 0;
    Counts counts;
    Rates rates;
  };

  static Row row_of(const nlohmann::json& rule);
  [[nodiscard]] Rates rates_of(const std::string& name, const Counts& counts, double seconds) const;
  void sort_rows(std::vector<Row>& rows) const;
  [[nodiscard]] std::vector<std::string> head() const;
  [[nodiscard]] std::vector<std::string> body() const;

  nlohmann::json status_;
  Row totals_;
  std::vector<Row> rows_;                 ///< in the order of the file
  std::map<std::string, Counts> former_;  ///< by rule; the totals under ""
  std::string daemon_;                    ///< which one it is: pid and start
  Time time_{};
  std::string error_;
  Sort sort_ = Sort::File;
  std::size_t first_ = 0;  ///< of the body's lines that is seen
  std::size_t page_ = 1;
};

}  // namespace nsrelay
