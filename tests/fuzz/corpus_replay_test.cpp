#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

/// What fuzzing has found once is checked in every build, also where there is no fuzzer.
TEST(CorpusReplay, EveryFileKeepsThePromisesOfTheFuzzer) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(NSRELAY_CORPUS)) {
    SCOPED_TRACE(entry.path());
    std::ifstream stream(entry.path(), std::ios::binary);
    std::ostringstream content;
    content << stream.rdbuf();
    const std::string text = content.str();
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    ++files;
  }
  EXPECT_GT(files, 0) << NSRELAY_CORPUS;
}

}  // namespace
