#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "nsrelay/config/option_table.hpp"

namespace nsrelay {

/// A mapping of the file, and how the documents call it.
struct OptionSection {
  std::string_view name;
  OptionScope scope;
};

inline constexpr OptionSection kOptionSections[] = {{"top", OptionScope::Top},
                                                    {"log", OptionScope::Log},
                                                    {"control", OptionScope::Control},
                                                    {"metrics", OptionScope::Metrics},
                                                    {"rule", OptionScope::Rule},
                                                    {"upstream", OptionScope::Upstream},
                                                    {"health", OptionScope::Health},
                                                    {"target", OptionScope::Target},
                                                    {"per_source", OptionScope::PerSource}};

/// A document of docs/ with a part for each section that is made from the option table. A part
/// stands between a line with `options of SECTION` and one with `end`, both comments.
struct OptionDocument {
  std::string_view file;
  std::string_view comment_begin;
  std::string_view comment_end;
  std::string (*part)(OptionScope scope);
};

/// `text` with its parts made anew, or what is wrong with it.
inline std::string with_new_parts(const OptionDocument& document, std::string text) {
  const auto comment = [&](std::string_view words) {
    return std::string(document.comment_begin).append(words).append(document.comment_end);
  };
  for (const auto& [name, scope] : kOptionSections) {
    const std::string begin = comment("options of " + std::string(name)) + '\n';
    const std::size_t from = text.find(begin);
    const std::size_t to = text.find(comment("end"), from);
    if (from == std::string::npos || to == std::string::npos)
      return "no marker " + begin;
    text.replace(from + begin.size(), to - from - begin.size(), document.part(scope));
  }
  return text;
}

/// Compares a document with the option table; with NSRELAY_UPDATE_DOCS in the environment it is
/// written anew.
inline void expect_up_to_date(const OptionDocument& document) {
  const std::string path = NSRELAY_SOURCE_DIR "/docs/" + std::string(document.file);
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  const std::string expected = with_new_parts(document, text.str());
  if (std::getenv("NSRELAY_UPDATE_DOCS") != nullptr && !expected.starts_with("no marker"))
    std::ofstream(path) << expected;
  else
    EXPECT_EQ(text.str(), expected);
}

}  // namespace nsrelay
