#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "nsrelay/config/option_table.hpp"

namespace nsrelay {
namespace {

const std::string kDocument = NSRELAY_SOURCE_DIR "/docs/configuration.md";

struct Section {
  std::string_view name;
  OptionScope scope;
};

constexpr Section kSections[] = {{"top", OptionScope::Top},
                                 {"log", OptionScope::Log},
                                 {"control", OptionScope::Control},
                                 {"metrics", OptionScope::Metrics},
                                 {"rule", OptionScope::Rule},
                                 {"upstream", OptionScope::Upstream},
                                 {"health", OptionScope::Health},
                                 {"target", OptionScope::Target},
                                 {"per_source", OptionScope::PerSource}};

std::string code(std::string_view text) {
  return text.empty() ? "" : std::string("`").append(text).append("`");
}

/// Values that are words of the file are set as code, prose is not.
std::string show_standard(const Option& option) {
  const bool is_prose =
      option.standard == "required" || option.standard == "kernel's" ||
      option.standard == "everybody" || option.standard == "nobody" ||
      (option.standard == "none" && option.values.choices.empty() && option.values.absent.empty());
  return is_prose ? std::string(option.standard) : code(option.standard);
}

std::string row(const Option& option) {
  std::string out = "| ";
  out.append(code(option.key)).append(" | ").append(describe_values(option.values));
  out.append(" | ").append(show_standard(option));
  out.append(" | ").append(option.protocols == kAnyProtocol ? "all"
                                                            : describe_protocols(option.protocols));
  out.append(" | ").append(option.help);
  if (!option.reloadable)
    out.append("; a change needs a restart");
  return out.append(" |\n");
}

std::string table(OptionScope scope) {
  std::string out = "| key | value | default | for | meaning |\n| --- | --- | --- | --- | --- |\n";
  for (const Option& option : option_table())
    if (option.scope == scope)
      out += row(option);
  return out;
}

std::string read_document() {
  std::ifstream stream(kDocument);
  std::ostringstream content;
  content << stream.rdbuf();
  return content.str();
}

/// The document with the tables between its markers made anew.
std::string with_tables(std::string text) {
  for (const auto& [name, scope] : kSections) {
    const std::string begin = std::string("<!-- options of ").append(name).append(" -->\n");
    const std::size_t from = text.find(begin);
    const std::size_t to = text.find("<!-- end -->", from);
    if (from == std::string::npos || to == std::string::npos)
      return std::string("no marker ").append(begin);
    text.replace(from + begin.size(), to - from - begin.size(), table(scope));
  }
  return text;
}

/// Make the tables anew with: NSRELAY_UPDATE_DOCS=1 config_test --gtest_filter='ConfigurationDoc.*'
TEST(ConfigurationDoc, HasTheTablesOfTheOptionTable) {
  const std::string text = read_document();
  const std::string expected = with_tables(text);
  if (std::getenv("NSRELAY_UPDATE_DOCS") != nullptr && expected.starts_with('#'))
    std::ofstream(kDocument) << expected;
  else
    EXPECT_EQ(text, expected);
}

TEST(ConfigurationDoc, EveryScopeHasATable) {
  for (const Option& option : option_table()) {
    const bool is_documented =
        std::any_of(std::begin(kSections), std::end(kSections),
                    [&](const Section& one) { return one.scope == option.scope; });
    EXPECT_TRUE(is_documented) << option_path(option);
  }
}

}  // namespace
}  // namespace nsrelay
