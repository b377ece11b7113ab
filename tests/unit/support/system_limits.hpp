#pragma once

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <vector>

#include "nsrelay/base/unique_fd.hpp"

namespace nsrelay::test {

/// While it lives, the process can open `spare` more descriptors and then fails with EMFILE.
class FewDescriptors {
 public:
  explicit FewDescriptors(int spare = 0) {
    ::getrlimit(RLIMIT_NOFILE, &former_);
    std::vector<UniqueFd> probes;  // the lowest free numbers are what will be given out
    for (int i = 0; i <= spare; ++i)
      probes.push_back(UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC)));
    rlimit limit = former_;
    for (const UniqueFd& probe : probes)
      limit.rlim_cur = static_cast<rlim_t>(probe.get());
    probes.clear();
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &former_); }

 private:
  rlimit former_{};
};

}  // namespace nsrelay::test
