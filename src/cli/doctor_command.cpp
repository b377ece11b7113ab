#include <unistd.h>

#include <array>
#include <cstdio>
#include <string_view>

#include "commands.hpp"
#include "exit_status.hpp"
#include "human_text.hpp"
#include "self_test.hpp"

namespace nsrelay {
namespace {

struct Style {
  std::string_view label;
  std::string_view colour;
};

Style style_of(Finding::Grade grade) {
  switch (grade) {
    case Finding::Grade::Good:
      return {"ok  ", "\033[32m"};
    case Finding::Grade::Fallback:
      return {"less", "\033[33m"};
    case Finding::Grade::Broken:
      break;
  }
  return {"FAIL", "\033[31m"};
}

void print(const Finding& finding, bool colour) {
  const Style style = style_of(finding.grade);
  std::printf("%.*s%.*s%s  %-22s %s\n", colour ? static_cast<int>(style.colour.size()) : 0,
              style.colour.data(), static_cast<int>(style.label.size()), style.label.data(),
              colour ? "\033[0m" : "", finding.subject.c_str(), finding.text.c_str());
}

}  // namespace

int run_doctor() {
  const bool colour = wants_colour(STDOUT_FILENO);
  int status = kSuccess;
  for (const Finding& finding : examine_system()) {
    print(finding, colour);
    if (finding.grade == Finding::Grade::Broken)
      status = kFailure;
  }
  return status;
}

}  // namespace nsrelay
