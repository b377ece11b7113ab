#include "config_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace nsrelay {
namespace {

std::string temporary(const std::string& name) {
  return testing::TempDir() + "nsrelay-" + std::to_string(::getpid()) + "-" + name;
}

std::string error_of(const std::string& file) {
  const auto content = read_config_file(file);
  return content ? "" : content.error().message();
}

TEST(ReadConfigFile, ReturnsEveryByte) {
  const std::string file = temporary("whole");
  std::ofstream(file) << std::string(200'000, 'x') << '\n';
  const auto content = read_config_file(file);
  ::unlink(file.c_str());
  ASSERT_TRUE(content) << content.error().message();
  EXPECT_EQ(content->size(), 200'001U);
}

TEST(ReadConfigFile, SaysWhyInTheWordsOfTheSystem) {
  EXPECT_EQ(error_of("/nonexistent/nsrelay.yaml"), "No such file or directory");
  EXPECT_EQ(error_of("/"), "Is a directory");
  EXPECT_EQ(error_of(std::string("a\0b", 3)), "the file name contains a NUL byte");
  EXPECT_EQ(error_of(std::string(5000, 'x')), "File name too long");
}

TEST(ReadConfigFile, NeitherAPipeNorADeviceIsWaitedFor) {
  const std::string fifo = temporary("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(error_of(fifo), "not a regular file");
  ::unlink(fifo.c_str());
  EXPECT_EQ(error_of("/dev/zero"), "not a regular file");
}

TEST(ReadConfigFile, WithoutPermissionIsAnError) {
  if (::geteuid() == 0)
    GTEST_SKIP() << "root may read everything";
  const std::string file = temporary("secret");
  std::ofstream(file) << "x";
  ::chmod(file.c_str(), 0);
  EXPECT_EQ(error_of(file), "Permission denied");
  ::unlink(file.c_str());
}

TEST(ReadConfigFile, MoreThanSixteenMebibytesAreRefused) {
  const std::string file = temporary("huge");
  std::ofstream(file).close();
  ASSERT_EQ(::truncate(file.c_str(), kLargestConfigFile + 1), 0);
  EXPECT_EQ(error_of(file), "the file is larger than 16 MiB");
  ::unlink(file.c_str());
}

}  // namespace
}  // namespace nsrelay
