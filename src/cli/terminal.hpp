#pragma once

#include <termios.h>

#include <cstddef>
#include <string_view>

#include "nsrelay/base/result.hpp"

namespace nsrelay {

struct TerminalSize {
  std::size_t rows = 24;
  std::size_t columns = 80;
};

/// The terminal as a full-screen program has it: raw, on the alternate screen, without a cursor.
/// As it was before when the object is gone, or while it is left.
class Terminal {
 public:
  /// Takes the terminal behind stdin and stdout. Fails where either is none.
  static Result<Terminal> take();

  Terminal(Terminal&& other) noexcept;
  Terminal& operator=(Terminal&& other) = delete;
  ~Terminal();

  void leave();
  void enter();

  [[nodiscard]] static TerminalSize size();

  /// Replaces the whole screen by `frame`, whose lines end in CR LF.
  static void draw(std::string_view frame);

 private:
  explicit Terminal(const termios& former) : former_(former) {}

  termios former_;
  bool is_entered_ = false;
};

}  // namespace nsrelay
