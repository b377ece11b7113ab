#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "nsrelay/config/option_table.hpp"
#include "option_document.hpp"

namespace nsrelay {
namespace {

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

/// Make the tables anew with: NSRELAY_UPDATE_DOCS=1 config_test --gtest_filter='ConfigurationDoc.*'
TEST(ConfigurationDoc, HasTheTablesOfTheOptionTable) {
  expect_up_to_date({"configuration.md", "<!-- ", " -->", table});
}

TEST(ConfigurationDoc, EveryScopeHasATable) {
  for (const Option& option : option_table()) {
    const bool is_documented =
        std::any_of(std::begin(kOptionSections), std::end(kOptionSections),
                    [&](const OptionSection& one) { return one.scope == option.scope; });
    EXPECT_TRUE(is_documented) << option_path(option);
  }
}

}  // namespace
}  // namespace nsrelay
