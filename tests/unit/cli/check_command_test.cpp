#include "check_command.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace nsrelay {
namespace {

class CheckConfiguration : public testing::Test {
 protected:
  CheckConfiguration()
      : file_(testing::TempDir() + "nsrelay-check-" + std::to_string(::getpid()) + ".yaml") {}
  ~CheckConfiguration() override { ::unlink(file_.c_str()); }

  void check(std::string_view text) {
    std::ofstream(file_) << text;
    status_ = check_configuration(file_, out_, err_);
  }

  std::string file_;
  std::ostringstream out_;
  std::ostringstream err_;
  int status_ = -1;
};

TEST_F(CheckConfiguration, PrintsHowManyRulesThereAre) {
  check("rules:\n- {name: web, listen: '*:80', upstream: 10.0.0.5:80}\n");
  EXPECT_EQ(status_, 0);
  EXPECT_EQ(out_.str(), file_ + ": ok: 1 rules\n");
  EXPECT_EQ(err_.str(), "");
}

TEST_F(CheckConfiguration, PrintsALinePerFaultAndReturnsTwo) {
  check("rules:\n- {name: web, listen: '*:0', upstream: 10.0.0.5:80}\nlog: {level: loud}\n");
  EXPECT_EQ(status_, 2);
  EXPECT_EQ(out_.str(), "");
  EXPECT_EQ(err_.str(),
            file_ + ":2:23: error: listen: '*:0': port 0 is out of range; allowed: 1 to 65535\n" +
                file_ +
                ":3:14: error: log.level: 'loud' is not allowed; allowed: trace, debug, info, "
                "warn, error\n");
}

TEST_F(CheckConfiguration, OfAnAbsentFileSaysSo) {
  EXPECT_EQ(check_configuration("/nonexistent.yaml", out_, err_), 2);
  EXPECT_EQ(err_.str(), "/nonexistent.yaml: error: No such file or directory\n");
}

}  // namespace
}  // namespace nsrelay
