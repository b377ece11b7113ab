#include "terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

namespace nsrelay {
namespace {

// xterm's control sequences, which every terminal emulator and multiplexer knows.
constexpr std::string_view kEnter = "\033[?1049h\033[?25l";
constexpr std::string_view kLeave = "\033[?25h\033[?1049l";
constexpr std::string_view kHome = "\033[H";
constexpr std::string_view kEraseRest = "\033[J";

void write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, text.data(), text.size());
    if (count < 0 && errno != EINTR)
      return;  // the terminal is gone, which reading tells
    text.remove_prefix(count < 0 ? 0 : static_cast<std::size_t>(count));
  }
}

}  // namespace

Result<Terminal> Terminal::take() {
  termios former{};
  if (::isatty(STDOUT_FILENO) != 1 || ::tcgetattr(STDIN_FILENO, &former) != 0)
    return Error("top needs a terminal; nsrelay status does not");
  Terminal terminal(former);
  terminal.enter();
  return terminal;
}

Terminal::Terminal(Terminal&& other) noexcept
    : former_(other.former_), is_entered_(std::exchange(other.is_entered_, false)) {}

Terminal::~Terminal() {
  leave();
}

void Terminal::enter() {
  if (std::exchange(is_entered_, true))
    return;
  termios raw = former_;
  ::cfmakeraw(&raw);
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
  write_all(kEnter);
}

void Terminal::leave() {
  if (!std::exchange(is_entered_, false))
    return;
  write_all(kLeave);
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &former_);
}

TerminalSize Terminal::size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
    return {};
  return {size.ws_row, size.ws_col};
}

void Terminal::draw(std::string_view frame) {
  write_all(std::string(kHome).append(frame).append(kEraseRest));
}

}  // namespace nsrelay
