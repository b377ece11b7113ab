#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <sstream>

#include "commands.hpp"
#include "demo_http.hpp"
#include "demo_sctp.hpp"
#include "demo_stage.hpp"
#include "demo_udp.hpp"
#include "exit_status.hpp"
#include "text_table.hpp"

namespace nsrelay {
namespace {

struct Style {
  const char* strong = "";
  const char* dim = "";
  const char* plain = "";
};

Style style_for_stdout() {
  if (::isatty(STDOUT_FILENO) == 1)
    return {"\033[1m", "\033[2m", "\033[0m"};
  return {};
}

std::string format_time(std::chrono::microseconds time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f ms", static_cast<double>(time.count()) / 1000);
  return text;
}

void print_indented(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    std::cout << "  " << line << '\n';
}

std::string describe(const DemoAnswer& answer) {
  return answer.snippet.empty() ? answer.status : answer.snippet;
}

/// One request through nsrelay from one namespace.
Result<void> play(const Interruptible& signals, const DemoStage& stage,
                  const DemoStage::Place& place, const std::string& path, TextTable& table) {
  auto answer = fetch(signals, *place.netns, stage.listener(), path);
  if (!answer)
    return std::move(answer).error().with_context("GET " + path + " in " + place.name);
  table.add({place.name, stage.listener().to_string(), stage.upstream(), "GET " + path,
             describe(*answer), std::to_string(answer->body_bytes), format_time(answer->time)});
  return {};
}

/// A round of datagrams through nsrelay from one namespace.
Result<void> play_udp(const Interruptible& signals, const DemoStage& stage,
                      const DemoStage::Place& place, TextTable& table) {
  auto answer = exchange_datagrams(signals, *place.netns, stage.listener());
  if (!answer)
    return std::move(answer).error().with_context("UDP in " + place.name);
  table.add({place.name, stage.listener().to_string(), stage.echo_upstream(),
             std::to_string(answer->datagrams) + " UDP datagrams", "each came back whole",
             std::to_string(answer->bytes), format_time(answer->time)});
  return {};
}

/// A round of messages through nsrelay from one namespace.
Result<void> play_sctp(const Interruptible& signals, const DemoStage& stage,
                       const DemoStage::Place& place, TextTable& table) {
  auto answer = exchange_messages(signals, *place.netns, stage.listener());
  if (!answer)
    return std::move(answer).error().with_context("SCTP in " + place.name);
  table.add({place.name, stage.listener().to_string(), stage.echo_upstream(),
             std::to_string(answer->messages) + " SCTP messages", "each came back whole",
             std::to_string(answer->bytes), format_time(answer->time)});
  return {};
}

Result<void> perform(const Interruptible& signals) {
  auto made = DemoStage::set_up(signals);
  if (!made)
    return std::move(made).error();
  DemoStage& stage = **made;
  const Style style = style_for_stdout();
  std::cout << style.strong << "nsrelay " NSRELAY_VERSION << style.plain
            << ": one process with one thread serves the same port in three network namespaces.\n";
  if (stage.usual_port_was_taken())
    std::cout << "(Port 8000 is in use on this machine: another one is taken.)\n";
  std::cout << "\nConfiguration\n" << style.dim;
  print_indented(stage.configuration());
  std::cout << style.plain << "\nForwarded\n";
  TextTable table({"namespace", "listener", "upstream", "request", "answer", "bytes", "time"});
  table.align_right(5);
  table.align_right(6);
  for (const DemoStage::Place& place : stage.places()) {
    for (const char* path : {"/hello", "/bulk"})
      if (auto played = play(signals, stage, place, path, table); !played)
        return played;
    if (auto played = play_udp(signals, stage, place, table); !played)
      return played;
    if (!stage.has_sctp())
      continue;
    if (auto played = play_sctp(signals, stage, place, table); !played)
      return played;
  }
  table.print(std::cout, *style.strong != '\0');
  if (!stage.has_sctp())
    std::cout << "(No SCTP: " << stage.why_no_sctp() << ")\n";
  std::cout << "\nLog\n" << style.dim;
  for (const std::string& line : stage.stop_and_read_log())
    if (line.find("event=connection_closed") != std::string::npos)
      std::cout << "  " << line << '\n';
  std::cout << style.plain << "\nThe namespaces, the upstream and nsrelay are removed again.\n";
  return {};
}

}  // namespace

int run_demo() {
  const Interruptible signals;
  const auto performed = perform(signals);
  std::cout.flush();
  if (performed)
    return kSuccess;
  if (performed.error().number() == EINTR)
    std::cerr << "nsrelay demo: interrupted; everything it made is removed\n";
  else
    std::cerr << "nsrelay demo: " << performed.error().message() << '\n';
  return kFailure;
}

}  // namespace nsrelay
