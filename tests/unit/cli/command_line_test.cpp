#include "nsrelay/cli/command_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

namespace nsrelay {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class CommandLine : public testing::Test {
 protected:
  void run(const std::vector<const char*>& words) {
    std::vector<const char*> arguments = {"nsrelay"};
    std::copy(words.begin(), words.end(), std::back_inserter(arguments));
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    status_ = run_command_line(static_cast<int>(arguments.size()), arguments.data());
    std::fflush(stdout);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
  }

  int status_ = -1;
  std::string out_;
  std::string err_;
};

TEST_F(CommandLine, WithoutACommandIsUsageOnStderr) {
  run({});
  EXPECT_EQ(status_, 2);
  EXPECT_THAT(out_, IsEmpty());
  EXPECT_THAT(err_, HasSubstr("Usage: nsrelay"));
  for (const char* command :
       {"run", "check", "demo", "doctor", "status", "connections", "reload", "drain", "top"})
    EXPECT_THAT(err_, HasSubstr(command));
}

TEST_F(CommandLine, AnUnknownCommandIsOneLineOnStderr) {
  run({"forward"});
  EXPECT_EQ(status_, 2);
  EXPECT_THAT(out_, IsEmpty());
  EXPECT_THAT(err_, StartsWith("nsrelay: "));
  EXPECT_THAT(err_, HasSubstr("forward"));
  EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 1);
}

TEST_F(CommandLine, WhatACommandDoesNotKnowIsUsage) {
  for (const std::vector<const char*>& arguments :
       {std::vector<const char*>{"run", "--nosuch"}, std::vector<const char*>{"check", "-c"},
        std::vector<const char*>{"doctor", "extra"}, std::vector<const char*>{"--nosuch"}}) {
    run(arguments);
    EXPECT_EQ(status_, 2) << arguments.back();
    EXPECT_THAT(err_, StartsWith("nsrelay: ")) << arguments.back();
    EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 1) << err_;
  }
}

TEST_F(CommandLine, ALogLevelOrTargetThatIsNoneIsUsage) {
  run({"run", "--log-level", "loud"});
  EXPECT_EQ(status_, 2);
  EXPECT_THAT(err_, HasSubstr("--log-level"));
  run({"run", "--log-target", "printer"});
  EXPECT_EQ(status_, 2);
  EXPECT_THAT(err_, HasSubstr("--log-target"));
}

TEST_F(CommandLine, PrintsItsVersion) {
  run({"--version"});
  EXPECT_EQ(status_, 0);
  EXPECT_EQ(out_, "nsrelay " NSRELAY_VERSION "\n");
  EXPECT_THAT(err_, IsEmpty());
}

TEST_F(CommandLine, HelpsWithEveryCommand) {
  run({"--help"});
  EXPECT_EQ(status_, 0);
  EXPECT_THAT(out_, HasSubstr("doctor"));
  EXPECT_THAT(err_, IsEmpty());
  for (const char* command :
       {"run", "check", "demo", "doctor", "status", "connections", "reload", "drain", "top"}) {
    run({command, "--help"});
    EXPECT_EQ(status_, 0) << command;
    EXPECT_THAT(out_, HasSubstr(std::string("Usage: nsrelay ") + command));
    EXPECT_THAT(err_, IsEmpty()) << command;
  }
}

TEST_F(CommandLine, HelpOfRunNamesTheDefaultFile) {
  run({"run", "--help"});
  EXPECT_THAT(out_, HasSubstr("/etc/nsrelay/nsrelay.yaml"));
}

TEST_F(CommandLine, RunsTheCommandThatItNames) {
  const std::string file =
      testing::TempDir() + "nsrelay-line-" + std::to_string(::getpid()) + ".yaml";
  std::ofstream(file) << "rules:\n- {name: web, listen: '*:80', upstream: 10.0.0.5:80}\n";
  run({"check", "-c", file.c_str()});
  ::unlink(file.c_str());
  EXPECT_EQ(status_, 0);
  EXPECT_EQ(out_, file + ": ok: 1 rules\n");
}

TEST_F(CommandLine, RunWithAFileThatCannotBeReadIsStatusTwo) {
  run({"run", "--config", "/nonexistent.yaml", "--log-level", "error"});
  EXPECT_EQ(status_, 2);
  EXPECT_THAT(out_, IsEmpty());
  EXPECT_EQ(err_, "/nonexistent.yaml: error: No such file or directory\n");
}

TEST_F(CommandLine, DoctorPrintsALinePerSubject) {
  run({"doctor"});
  for (const char* subject :
       {"kernel", "network namespace", "enter namespaces", "named namespaces", "namespace identity",
        "namespace events", "new namespaces", "address events", "UDP GRO, GSO", "UDP buffers",
        "ports below 1024", "IPv6", "MPTCP", "SCTP", "splice", "congestion control", "open files",
        "backlog", "source ports"})
    EXPECT_THAT(out_, testing::ContainsRegex(std::string("(ok  |less|FAIL)  ") + subject + " "));
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 19);
  EXPECT_EQ(out_.find('\033'), std::string::npos);  // no colour: this is no terminal
  EXPECT_EQ(status_, out_.find("FAIL") == std::string::npos ? 0 : 1);
  EXPECT_THAT(err_, IsEmpty());
}

}  // namespace
}  // namespace nsrelay
