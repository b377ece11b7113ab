#include "client_commands.hpp"

#include <unistd.h>

#include <iostream>
#include <string_view>

#include "control_client.hpp"
#include "exit_status.hpp"
#include "human_text.hpp"
#include "nsrelay/base/duration.hpp"
#include "status_view.hpp"

namespace nsrelay {
namespace {

using Json = nlohmann::json;

constexpr Duration kPatience{10'000};
/// A reload of thousands of listeners takes its time.
constexpr Duration kReloadPatience{60'000};

int fail(const std::string& message) {
  std::cerr << "nsrelay: " << printable(message) << '\n';
  return kFailure;
}

/// Prints what `question` brings, with `print` or as it came; a document that is not as it should
/// be is the answer of some other program.
template <class Print>
int show(const ControlQuestion& question, bool as_json, Print print) {
  const auto answer = ask_daemon(question);
  if (!answer)
    return fail(answer.error().message());
  if (!answer->is_ok())
    return fail(answer->error());
  try {
    if (as_json)
      std::cout << answer->text;
    else
      print(answer->content);
  } catch (const Json::exception& error) {
    return fail(question.socket + ": an answer that this version does not know: " + error.what());
  }
  return kSuccess;
}

std::string connections_target(const ClientOptions& options) {
  std::string target = "/connections";
  if (options.rule)
    target += "?rule=" + percent_encoded(*options.rule);
  if (options.netns)
    target += (options.rule ? "&netns=" : "?netns=") + percent_encoded(*options.netns);
  return target;
}

std::string drain_target(const ClientOptions& options) {
  std::string target = options.rule ? "/drain?rule=" + percent_encoded(*options.rule)
                                    : "/drain?netns=" + percent_encoded(options.netns.value_or(""));
  if (options.timeout)
    target += "&timeout=" + format_duration(*options.timeout);
  return target;
}

}  // namespace

int run_status(const ClientOptions& options) {
  return show({options.control, "GET", "/status", kPatience}, options.json, [](const Json& status) {
    print_status(status, std::cout, wants_colour(STDOUT_FILENO));
  });
}

int run_connections(const ClientOptions& options) {
  return show({options.control, "GET", connections_target(options), kPatience}, options.json,
              [](const Json& connections) {
                print_connections(connections, std::cout, wants_colour(STDOUT_FILENO));
              });
}

int run_reload(const ClientOptions& options) {
  const auto answer = ask_daemon({options.control, "POST", "/reload", kReloadPatience});
  if (!answer)
    return fail(answer.error().message());
  if (!answer->is_ok()) {
    if (const auto faults = answer->content.find("faults"); faults != answer->content.end())
      for (const Json& fault : *faults)
        std::cerr << printable(fault.get<std::string>()) << '\n';
    return fail(answer->error());
  }
  const Json& changes = answer->content;
  std::cout << '+' << changes.value("opened", 0U) << " -" << changes.value("closed", 0U) << " ~"
            << changes.value("changed", 0U) << " listeners\n";
  return kSuccess;
}

int run_drain(const ClientOptions& options) {
  if (options.rule.has_value() == options.netns.has_value()) {
    std::cerr
        << "nsrelay: drain needs NETNS or --rule NAME, one of them (see nsrelay drain --help)\n";
    return kUsage;
  }
  // How long it takes is for the daemon to say.
  return show(
      {options.control, "POST", drain_target(options)}, options.json, [&](const Json& outcome) {
        std::cout << (options.rule ? "rule " : "namespace ")
                  << printable(options.rule.value_or(options.netns.value_or("")))
                  << " drained: " << counted(outcome.at("listeners"), "listener") << " closed, "
                  << counted(outcome.at("connections_finished"), "connection") << " finished, "
                  << outcome.at("connections_ended") << " ended by the time-out\n";
      });
}

}  // namespace nsrelay
