#pragma once

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <thread>

namespace nsrelay::test {

/// A system call that is to fail, where `second_argument` is given only with that one: the request
/// of an ioctl(2).
struct FailingCall {
  long number;
  int error;
  std::optional<unsigned> second_argument = std::nullopt;
};

/// From now on `call` fails in this thread (seccomp(2)), for ever. It is how a test meets what the
/// kernel only says under rare circumstances.
inline void fail_system_call(const FailingCall& call) {
  const auto number = static_cast<__u32>(call.number);
  const __u32 second = call.second_argument.value_or(0);
  const __u8 past_compare = call.second_argument ? 0 : 1;  // jumps over what is not asked for
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4),
      BPF_JUMP(BPF_JMP | BPF_JA, past_compare * 2U, 0, 0),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, second, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<__u32>(call.error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{sizeof filter / sizeof filter[0], filter};
  EXPECT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  EXPECT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/// Runs `body` in a thread of its own in which `call` fails.
inline void with_failing_system_call(const FailingCall& call, const std::function<void()>& body) {
  std::thread([&] {
    fail_system_call(call);
    body();
  }).join();
}

}  // namespace nsrelay::test
