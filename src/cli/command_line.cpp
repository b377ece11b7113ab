#include "nsrelay/cli/command_line.hpp"

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <map>
#include <string>

#include "check_command.hpp"
#include "client_commands.hpp"
#include "commands.hpp"
#include "exit_status.hpp"
#include "nsrelay/base/timeout.hpp"

namespace nsrelay {
namespace {

constexpr const char* kDefaultFile = "/etc/nsrelay/nsrelay.yaml";

const std::map<std::string, LogLevel> kLogLevels = {{"trace", LogLevel::Trace},
                                                    {"debug", LogLevel::Debug},
                                                    {"info", LogLevel::Info},
                                                    {"warn", LogLevel::Warn},
                                                    {"error", LogLevel::Error}};
const std::map<std::string, LogTarget> kLogTargets = {
    {"auto", LogTarget::Auto}, {"journal", LogTarget::Journal}, {"stderr", LogTarget::Stderr}};

/// The program's arguments, and what they ask for once they are parsed.
class CommandLine {
 public:
  CommandLine() : app_("Forwards ports for every network namespace of a host.", "nsrelay") {
    app_.set_version_flag("--version", "nsrelay " NSRELAY_VERSION);
    app_.require_subcommand(1);
    app_.fallthrough(false);
    add_run();
    add_check();
    add_command("demo", "Show the whole job on this machine, without a configuration",
                [] { return run_demo(); });
    add_command("doctor", "Tell what this kernel and these privileges allow",
                [] { return run_doctor(); });
    add_status();
    add_connections();
    add_reload();
    add_drain();
    add_top();
  }

  int run(int count, const char* const* arguments) {
    try {
      app_.parse(count, arguments);
    } catch (const CLI::Success& asked) {
      return app_.exit(asked, std::cout, std::cerr);  // --help, --version
    } catch (const CLI::RequiredError&) {
      return refuse(count, arguments);
    } catch (const CLI::ParseError& error) {
      std::cerr << "nsrelay: " << error.what() << " (see nsrelay --help)\n";
      return kUsage;
    }
    return command_();
  }

 private:
  /// No command, or one that does not exist.
  int refuse(int count, const char* const* arguments) const {
    if (count > 1)
      std::cerr << "nsrelay: unknown command '" << arguments[1] << "' (see nsrelay --help)\n";
    else
      std::cerr << app_.help();
    return kUsage;
  }

  CLI::App& add_command(const std::string& name, const std::string& help,
                        std::function<int()> command) {
    CLI::App* added = app_.add_subcommand(name, help);
    added->callback([this, command] { command_ = command; });
    return *added;
  }

  void add_run() {
    CLI::App& run = add_command("run", "Run in the foreground until SIGTERM or SIGINT",
                                [this] { return run_daemon(run_options_); });
    add_file_option(run);
    run.add_option_function<std::string>(
           "--log-level",
           [this](const std::string& name) { run_options_.log.level = kLogLevels.at(name); },
           "trace, debug, info, warn or error; wins over the file")
        ->check(CLI::IsMember(kLogLevels));
    run.add_option_function<std::string>(
           "--log-target",
           [this](const std::string& name) { run_options_.log.target = kLogTargets.at(name); },
           "auto, journal or stderr; wins over the file")
        ->check(CLI::IsMember(kLogTargets));
  }

  void add_check() {
    add_file_option(add_command(
        "check", "Validate a configuration without opening a socket",
        [this] { return check_configuration(run_options_.file, std::cout, std::cerr); }));
  }

  void add_status() {
    CLI::App& status =
        add_command("status", "Show totals, rules and listeners of the running nsrelay",
                    [this] { return run_status(client_options_); });
    add_control_option(status);
    add_json_option(status);
  }

  void add_connections() {
    CLI::App& connections = add_command("connections", "List what is forwarded now",
                                        [this] { return run_connections(client_options_); });
    add_control_option(connections);
    add_json_option(connections);
    connections.add_option("--rule", client_options_.rule, "Only those of this rule")
        ->option_text("NAME");
    connections.add_option("--netns", client_options_.netns, "Only those from this namespace")
        ->option_text("NAME");
  }

  void add_reload() {
    add_control_option(add_command("reload",
                                   "Reload the configuration, wait, and tell what changed",
                                   [this] { return run_reload(client_options_); }));
  }

  void add_drain() {
    CLI::App& drain = add_command(
        "drain", "Stop accepting in a namespace or for a rule, wait for what runs, then close it",
        [this] { return run_drain(client_options_); });
    add_control_option(drain);
    add_json_option(drain);
    drain.add_option("netns", client_options_.netns, "The namespace")->option_text("NETNS");
    drain.add_option("--rule", client_options_.rule, "The rule, in place of NETNS")
        ->option_text("NAME");
    drain
        .add_option_function<std::string>(
            "--timeout",
            [this](const std::string& text) { client_options_.timeout = *parse_timeout(text); },
            "How long connections may take; default: drain_timeout of the configuration")
        ->check([](const std::string& text) {
          const auto parsed = parse_timeout(text);
          return parsed ? std::string() : text + ": " + parsed.error().message();
        })
        ->option_text("TIME");
  }

  void add_top() {
    add_control_option(
        add_command("top", "A live view of status", [this] { return run_top(client_options_); }));
  }

  void add_control_option(CLI::App& command) {
    command.add_option("--control", client_options_.control, "The daemon's control socket")
        ->default_val(kDefaultControlSocket)
        ->option_text("PATH [" + std::string(kDefaultControlSocket) + "]");
  }

  void add_json_option(CLI::App& command) {
    command.add_flag("--json", client_options_.json, "One JSON document, for programs");
  }

  void add_file_option(CLI::App& command) {
    command.add_option("-c,--config", run_options_.file, "The configuration file")
        ->default_val(kDefaultFile)
        ->option_text("FILE [" + std::string(kDefaultFile) + "]");
  }

  CLI::App app_;
  RunOptions run_options_;
  ClientOptions client_options_;
  std::function<int()> command_;
};

}  // namespace

int run_command_line(int count, const char* const* arguments) {
  const int status = CommandLine().run(count, arguments);
  // stdout may be a file on a full disk or a pipe that was closed.
  std::cout.flush();
  if (std::cout || status != kSuccess)
    return status;
  std::cerr << "nsrelay: stdout: the output could not be written\n";
  return kFailure;
}

}  // namespace nsrelay
