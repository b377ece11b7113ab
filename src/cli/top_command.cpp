#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <iostream>
#include <optional>

#include "client_commands.hpp"
#include "control_client.hpp"
#include "exit_status.hpp"
#include "human_text.hpp"
#include "key_reader.hpp"
#include "nsrelay/base/unique_fd.hpp"
#include "terminal.hpp"
#include "top_view.hpp"

namespace nsrelay {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kInterval = std::chrono::seconds(1);
constexpr Duration kPatience{3'000};
constexpr char kControlZ = '\032';

/// Signals as something to read, so that each finds the terminal in a state that can be restored.
class SignalReader {
 public:
  SignalReader() {
    sigemptyset(&mask_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH})
      sigaddset(&mask_, signal);
    ::sigprocmask(SIG_BLOCK, &mask_, &former_);
    fd_ = UniqueFd::adopt(::signalfd(-1, &mask_, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  SignalReader(const SignalReader&) = delete;
  SignalReader& operator=(const SignalReader&) = delete;
  ~SignalReader() { ::sigprocmask(SIG_SETMASK, &former_, nullptr); }

  [[nodiscard]] int fd() const { return fd_.get(); }

  /// The next one that has come; 0: none.
  [[nodiscard]] int next() const {
    signalfd_siginfo info{};
    const bool got = ::read(fd_.get(), &info, sizeof info) == sizeof info;
    return got ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  sigset_t mask_{};
  sigset_t former_{};
  UniqueFd fd_;
};

class Top {
 public:
  explicit Top(const std::string& socket) : socket_(socket) {}

  /// Asks once, before there is a screen.
  Result<void> begin() {
    next_ = Clock::now() + kInterval;
    return refresh();
  }

  /// Until the user leaves. Returns the signal that ended it, or 0.
  int run(Terminal& terminal, const SignalReader& signals) {
    while (!is_over_) {
      Terminal::draw(view_.render(Terminal::size()));
      wait(signals);
      while (const int signal = signals.next())
        on_signal(signal, terminal);
      read_keys(terminal);
      if (Clock::now() >= next_)
        refresh_or_tell();
    }
    return signal_;
  }

 private:
  Result<void> refresh() {
    const auto answer = ask_daemon({socket_, "GET", "/status", kPatience});
    if (!answer)
      return answer.error();
    if (!answer->is_ok())
      return Error(answer->error());
    try {
      view_.update(answer->content, Clock::now());
    } catch (const nlohmann::json::exception& error) {
      return Error(std::string("an answer that this version does not know: ") + error.what());
    }
    return {};
  }

  /// A daemon that is restarted is found again.
  void refresh_or_tell() {
    next_ = Clock::now() + kInterval;
    if (const auto refreshed = refresh(); !refreshed)
      view_.set_error("no answer: " + printable(refreshed.error().message()));
  }

  void wait(const SignalReader& signals) {
    const auto left = std::chrono::ceil<Duration>(next_ - Clock::now());
    std::array<pollfd, 2> waiting{{{STDIN_FILENO, POLLIN, 0}, {signals.fd(), POLLIN, 0}}};
    ::poll(waiting.data(), waiting.size(),
           static_cast<int>(std::max<Duration::rep>(left.count(), 0)));
    stdin_events_ = waiting[0].revents;
  }

  void on_signal(int signal, Terminal& terminal) {
    if (signal == SIGWINCH)
      return;  // the next frame has the new size
    if (signal == SIGTSTP) {
      suspend(terminal);
      return;
    }
    signal_ = signal;
    is_over_ = true;
  }

  static void suspend(Terminal& terminal) {
    terminal.leave();
    ::raise(SIGSTOP);
    terminal.enter();
  }

  void read_keys(Terminal& terminal) {
    if (stdin_events_ == 0)
      return;
    std::array<char, 256> bytes;
    const ssize_t count = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (count <= 0) {
      is_over_ = true;  // the terminal is gone
      return;
    }
    for (const Key key : keys_.read({bytes.data(), static_cast<std::size_t>(count)})) {
      if (key == kControlZ)
        suspend(terminal);
      is_over_ |= !view_.on_key(key);
    }
  }

  std::string socket_;
  TopView view_;
  KeyReader keys_;
  Clock::time_point next_;
  short stdin_events_ = 0;
  int signal_ = 0;
  bool is_over_ = false;
};

int fail(const std::string& message) {
  std::cerr << "nsrelay: " << message << '\n';
  return kFailure;
}

/// The terminal and the signals are as they were when this returns.
Result<int> run_on_terminal(Top& top) {
  const SignalReader signals;
  auto terminal = Terminal::take();
  if (!terminal)
    return std::move(terminal).error();
  return top.run(*terminal, signals);
}

}  // namespace

int run_top(const ClientOptions& options) {
  Top top(options.control);
  if (const auto begun = top.begin(); !begun)
    return fail(printable(begun.error().message()));
  const auto signal = run_on_terminal(top);
  if (!signal)
    return fail(signal.error().message());
  if (*signal != 0 && *signal != SIGINT)
    ::raise(*signal);  // who waits for us is to know why
  return kSuccess;
}

}  // namespace nsrelay
