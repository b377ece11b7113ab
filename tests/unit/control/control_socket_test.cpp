#include "nsrelay/control/control_socket.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "support/sockets.hpp"

namespace nsrelay {
namespace {

using testing::HasSubstr;

class ControlSocketTest : public testing::Test {
 protected:
  ControlSocketTest() {
    char name[] = "/tmp/nsrelay-control-XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = folder_ / "control.sock";
  }
  ~ControlSocketTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] bool exists() const { return std::filesystem::exists(path_); }

  std::filesystem::path folder_;
  std::filesystem::path path_;
};

TEST_F(ControlSocketTest, ListensAndGoesWithItsFile) {
  {
    auto socket = ControlSocket::create(path_);
    ASSERT_TRUE(socket) << socket.error().message();
    const UniqueFd listening = socket->take_socket();
    const UniqueFd client = test::connect_to(*SocketAddress::unix_path(path_.string()));
    EXPECT_TRUE(test::is_ready(listening, POLLIN));
  }
  EXPECT_FALSE(exists());
}

TEST_F(ControlSocketTest, HasItsModeWhateverTheUmask) {
  for (const mode_t mask : {0U, 077U, 0777U}) {
    const mode_t former = ::umask(mask);
    const auto socket = ControlSocket::create(path_);
    ::umask(former);
    ASSERT_TRUE(socket);
    struct stat file {};
    ASSERT_EQ(::stat(path_.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode, static_cast<mode_t>(S_IFSOCK | 0660));
  }
}

TEST_F(ControlSocketTest, MakesItsFolderButNoneAboveIt) {
  path_ = folder_ / "a" / "control.sock";
  EXPECT_TRUE(ControlSocket::create(path_));
  const auto deeper = ControlSocket::create(folder_ / "b" / "c" / "control.sock");
  ASSERT_FALSE(deeper);
  EXPECT_EQ(deeper.error().number(), ENOENT);
  EXPECT_THAT(deeper.error().message(), HasSubstr("/b/c/control.sock: bind: "));
}

TEST_F(ControlSocketTest, ASecondOneIsRefusedAndTakesNothingAway) {
  const auto first = ControlSocket::create(path_);
  const auto second = ControlSocket::create(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().number(), EADDRINUSE);
  EXPECT_THAT(second.error().message(), HasSubstr(path_.string() + ": another process serves it"));
  EXPECT_TRUE(exists());
}

TEST_F(ControlSocketTest, OneWithAFullBacklogIsServedToo) {
  const auto address = *SocketAddress::unix_path(path_.string());
  const UniqueFd listener = test::make_listener(address, 0);
  const UniqueFd filler = test::connect_to(address);
  const auto second = ControlSocket::create(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().number(), EADDRINUSE);
}

TEST_F(ControlSocketTest, ReplacesWhatADeadProcessLeft) {
  test::make_listener(*SocketAddress::unix_path(path_.string())).close();
  ASSERT_TRUE(exists());
  EXPECT_TRUE(ControlSocket::create(path_));
}

TEST_F(ControlSocketTest, LeavesOtherFilesAlone) {
  std::ofstream(path_) << "precious";
  const auto refused = ControlSocket::create(path_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().number(), EEXIST);
  EXPECT_TRUE(std::filesystem::is_regular_file(path_));
}

TEST_F(ControlSocketTest, DoesNotRemoveWhatTookItsPlace) {
  {
    const auto socket = ControlSocket::create(path_);
    ASSERT_TRUE(socket);
    std::filesystem::remove(path_);
    std::ofstream(path_) << "of somebody else";
  }
  EXPECT_TRUE(exists());
}

TEST_F(ControlSocketTest, AStrangersLockOfTheFolderDoesNotKeepItFromStarting) {
  const UniqueFd folder = UniqueFd::adopt(::open(folder_.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::flock(folder.get(), LOCK_EX), 0);
  EXPECT_TRUE(ControlSocket::create(path_));
}

TEST_F(ControlSocketTest, APathThatIsTooLongIsAnError) {
  const auto refused = ControlSocket::create("/" + std::string(107, 'x'));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("107"));
}

}  // namespace
}  // namespace nsrelay
