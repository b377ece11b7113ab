#include "nsrelay/cli/command_line.hpp"

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <map>
#include <string>

#include "check_command.hpp"
#include "commands.hpp"
#include "exit_status.hpp"

namespace nsrelay {
namespace {

constexpr const char* kDefaultFile = "/etc/nsrelay/nsrelay.yaml";

const std::map<std::string, LogLevel> kLogLevels = {{"trace", LogLevel::Trace},
                                                    {"debug", LogLevel::Debug},
                                                    {"info", LogLevel::Info},
                                                    {"warn", LogLevel::Warn},
                                                    {"error", LogLevel::Error}};
const std::map<std::string, LogTarget> kLogTargets = {{"auto", LogTarget::Auto},
                                                      {"stderr", LogTarget::Stderr}};

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
  }

  int run(int count, const char* const* arguments) {
    try {
      app_.parse(count, arguments);
    } catch (const CLI::Success& asked) {
      return app_.exit(asked, std::cout, std::cerr);  // --help, --version
    } catch (const CLI::RequiredError&) {
      const auto unknown = app_.remaining();
      if (unknown.empty())
        std::cerr << app_.help();
      else
        std::cerr << "nsrelay: unknown command " << unknown.front() << " (see nsrelay --help)\n";
      return kUsage;
    } catch (const CLI::ParseError& error) {
      std::cerr << "nsrelay: " << error.what() << " (see nsrelay --help)\n";
      return kUsage;
    }
    return command_();
  }

 private:
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
           [this](const std::string& name) { run_options_.log_level = kLogLevels.at(name); },
           "trace, debug, info, warn or error; wins over the file")
        ->check(CLI::IsMember(kLogLevels));
    run.add_option_function<std::string>(
           "--log-target",
           [this](const std::string& name) { run_options_.log_target = kLogTargets.at(name); },
           "auto or stderr; wins over the file")
        ->check(CLI::IsMember(kLogTargets));
  }

  void add_check() {
    add_file_option(add_command(
        "check", "Validate a configuration without opening a socket",
        [this] { return check_configuration(run_options_.file, std::cout, std::cerr); }));
  }

  void add_file_option(CLI::App& command) {
    command.add_option("-c,--config", run_options_.file, "The configuration file")
        ->default_val(kDefaultFile)
        ->option_text("FILE [" + std::string(kDefaultFile) + "]");
  }

  CLI::App app_;
  RunOptions run_options_;
  std::function<int()> command_;
};

}  // namespace

int run_command_line(int count, const char* const* arguments) {
  return CommandLine().run(count, arguments);
}

}  // namespace nsrelay
