#include "unsupported.hpp"

namespace nsrelay {
namespace {

/// What a build lacks: values of an option. Delete the line of what becomes supported.
struct Lack {
  OptionScope scope;
  std::string_view key;
  bool (*concerns)(std::string_view text);
  /// How the value is called, before the value itself.
  std::string_view name;
};

bool is_anything(std::string_view /*text*/) {
  return true;
}

using Scope = OptionScope;
using Text = std::string_view;

// clang-format off
constexpr Lack kLacking[] = {
    {Scope::Log, "target", [](Text text) { return text == "journal"; }, "log.target"},
};
// clang-format on

/// A word as it is, anything else in quotes.
std::string show(std::string_view text) {
  const bool is_word = !text.empty() && text.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyz"
                                            "0123456789_") == Text::npos;
  return is_word ? std::string(text) : in_quotes(text);
}

void check_text(const Option& option, const YamlNode& text, FaultList& faults) {
  for (const Lack& lack : kLacking)
    if (lack.scope == option.scope && lack.key == option.key && lack.concerns(text.text))
      faults.add(text.position,
                 std::string(lack.name) + " " + show(text.text) + ": not supported by this build");
}

}  // namespace

void check_support(const Option& option, const YamlNode& value, FaultList& faults) {
  if (value.kind == YamlNode::Kind::Scalar)
    check_text(option, value, faults);
  for (const YamlNode* item : value.items)
    check_support(option, *item, faults);
}

}  // namespace nsrelay
