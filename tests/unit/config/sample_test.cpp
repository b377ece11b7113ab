#include <filesystem>

#include "config_test_support.hpp"

namespace nsrelay {
namespace {

std::vector<std::string> faults_in(const std::filesystem::path& file) {
  std::vector<std::string> lines;
  const ConfigOutcome outcome = load_config(file);
  if (const auto* faults = std::get_if<std::vector<ConfigFault>>(&outcome))
    for (const ConfigFault& fault : *faults)
      lines.push_back(format_fault(file, fault));
  return lines;
}

TEST(Sample, ThatIsInstalledIsValid) {
  EXPECT_THAT(faults_in(NSRELAY_SOURCE_DIR "/config/nsrelay.yaml"), testing::IsEmpty());
}

TEST(Sample, EveryExampleIsValid) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(NSRELAY_SOURCE_DIR "/config/examples")) {
    EXPECT_THAT(faults_in(entry.path()), testing::IsEmpty());
    ++files;
  }
  EXPECT_GE(files, 2);
}

}  // namespace
}  // namespace nsrelay
