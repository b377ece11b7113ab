#include "self_test.hpp"

#include <gtest/gtest.h>

#include <set>

#include "support/failing_system_call.hpp"

namespace nsrelay {
namespace {

Finding find(const std::string& subject) {
  for (const Finding& finding : examine_system())
    if (finding.subject == subject)
      return finding;
  ADD_FAILURE() << "nothing about " << subject;
  return {};
}

TEST(ExamineSystem, SaysSomethingAboutEachSubjectOnce) {
  std::set<std::string> subjects;
  for (const Finding& finding : examine_system()) {
    EXPECT_TRUE(subjects.insert(finding.subject).second) << finding.subject;
    EXPECT_FALSE(finding.text.empty()) << finding.subject;
  }
  EXPECT_GE(subjects.size(), 13U);
}

TEST(ExamineSystem, SaysWhatIsDoneWhereSpliceDoesNotWork) {
  test::with_failing_system_call({SYS_splice, ENOSYS}, [] {
    const Finding finding = find("splice");
    EXPECT_EQ(finding.grade, Finding::Grade::Fallback);
    EXPECT_EQ(finding.text, "does not work here: everything is copied");
  });
}

TEST(ExamineSystem, SaysWhatIsDoneWhereThereIsNoPipe) {
  test::with_failing_system_call({SYS_pipe2, EMFILE}, [] {
    const Finding finding = find("splice");
    EXPECT_EQ(finding.grade, Finding::Grade::Fallback);
    EXPECT_EQ(finding.text, "no pipe of 64 KiB can be had: everything is copied");
  });
}

TEST(ExamineSystem, SaysThatNamespacesCannotBeEnteredWithoutThePrivilege) {
  test::with_failing_system_call({SYS_capget, EPERM}, [] {
    EXPECT_EQ(find("enter namespaces").grade, Finding::Grade::Fallback);
    EXPECT_EQ(find("ports below 1024").grade, Finding::Grade::Fallback);
  });
}

TEST(ExamineSystem, IsBrokenWhereSetnsFailsInSpiteOfThePrivilege) {
  test::with_failing_system_call({SYS_setns, ENOSYS}, [] {
    const Finding finding = find("enter namespaces");
    if (finding.grade == Finding::Grade::Fallback)
      GTEST_SKIP() << "NOT TESTED: needs CAP_SYS_ADMIN";
    EXPECT_EQ(finding.grade, Finding::Grade::Broken);
    EXPECT_EQ(finding.text, "setns: Function not implemented");
  });
}

}  // namespace
}  // namespace nsrelay
