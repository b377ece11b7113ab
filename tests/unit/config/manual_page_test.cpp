#include <gtest/gtest.h>

#include <cctype>
#include <sstream>
#include <string>

#include "nsrelay/config/option_table.hpp"
#include "option_document.hpp"

namespace nsrelay {
namespace {

/// Text of the option table for mdoc(7): `code` is set bold, and nothing is taken for a request.
std::string to_mdoc(std::string_view text) {
  std::string out;
  bool is_code = false;
  for (const char one : text) {
    if (one == '`') {
      is_code = !is_code;
      out += is_code ? "\\fB" : "\\fR";
    } else if (one == '\\') {
      out += "\\e";
    } else if (one == '"') {
      out += "\\(dq";
    } else {
      out += one;
    }
  }
  return out;
}

/// Each sentence on lines of its own (mandoc wants that), of at most 80 bytes.
std::string lines_of(std::string_view text) {
  constexpr std::size_t kWidth = 80;
  std::istringstream words{to_mdoc(text)};
  std::string out;
  std::string line;
  const auto end_line = [&] {
    const bool is_request = line.starts_with('.') || line.starts_with('\'');
    out.append(is_request ? "\\&" : "").append(line).append("\n");
    line.clear();
  };
  for (std::string word; words >> word;) {
    if (!line.empty() && (line.ends_with('.') || line.size() + 1 + word.size() > kWidth))
      end_line();
    line.append(line.empty() ? "" : " ").append(word);
  }
  end_line();
  return out;
}

/// The help of an option as sentences. What begins with a name keeps it as it is: "tcp: ...".
std::string sentences(std::string_view help) {
  std::string out(help);
  const std::string_view first = help.substr(0, help.find(' '));
  if (!first.ends_with(':'))
    out.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(out.front())));
  return lines_of(out + '.');
}

/// `name: value` below the help.
std::string fact(std::string_view name, const std::string& value) {
  return ".br\n" + lines_of(std::string(name) + ": " + value);
}

std::string item(const Option& option) {
  std::string out = ".It Ic ";
  out.append(option.key).append("\n").append(sentences(option.help));
  if (!option.in_defaults)
    out += "Not in\n.Ic defaults .\n";
  if (!option.reloadable)
    out += "A change needs a restart.\n";
  out += fact("Value", describe_values(option.values));
  if (!option.standard.empty())
    out += fact("Default",
                std::string(option.is_required() ? "none, it is required" : option.standard));
  if (option.protocols != kAnyProtocol)
    out += fact("Protocols", describe_protocols(option.protocols));
  return out;
}

std::string list(OptionScope scope) {
  std::string out = ".Bl -tag -width Ds\n";
  for (const Option& option : option_table())
    if (option.scope == scope)
      out += item(option);
  return out + ".El\n";
}

/// Make the lists anew with: NSRELAY_UPDATE_DOCS=1 config_test --gtest_filter='ConfigurationDoc.*'
TEST(ConfigurationDoc, ManualPageHasTheOptionsOfTheOptionTable) {
  expect_up_to_date({"man/nsrelay.yaml.5", ".\\\" ", "", list});
}

TEST(ManualPage, TakesNoTextForMarkup) {
  EXPECT_EQ(sentences("`auto`: \"\" or a\\b"), "\\fBauto\\fR: \\(dq\\(dq or a\\eb.\n");
  EXPECT_EQ(lines_of("'x'"), "\\&'x'\n");
  EXPECT_EQ(lines_of(".x"), "\\&.x\n");
}

TEST(ManualPage, BreaksLinesBetweenSentencesAndAtTheirWidth) {
  EXPECT_EQ(sentences("tcp: one. Two"), "tcp: one.\nTwo.\n");
  const std::string word(50, 'a');
  EXPECT_EQ(lines_of(word + ' ' + word), word + '\n' + word + '\n');
}

}  // namespace
}  // namespace nsrelay
