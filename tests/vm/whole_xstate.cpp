// Preloaded into linux.uml: lets it run on processors with AMX.
//
// User Mode Linux keeps the floating-point registers of its processes in 2696 bytes, as much as
// AVX-512 needs. PTRACE_SETREGSET takes NT_X86_XSTATE only whole (xstateregs_set() of the host's
// kernel), which is 11008 bytes on a processor with AMX: there it fails with EFAULT, and the guest
// panics before its first process runs. So the whole area is read here, and what the guest gives is
// laid over its beginning. The tiles behind it are no register that the guest knows of.

#include <dlfcn.h>
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace {

using Ptrace = long (*)(int request, pid_t pid, void* address, void* data);

constexpr std::size_t kMostBytes = 64 * 1024;
/// XSTATE_BV: a bit for each part that is in use (Intel SDM volume 1, 13.4.2).
constexpr std::size_t kPartsInUse = 512;
constexpr std::uint64_t kTiles = 3ULL << 17;

long set_whole_xstate(Ptrace real, pid_t pid, void* type, const iovec& beginning) {
  alignas(64) static std::array<std::byte, kMostBytes> whole;
  iovec area = {whole.data(), whole.size()};
  if (real(PTRACE_GETREGSET, pid, type, &area) < 0)
    return -1;
  std::memcpy(whole.data(), beginning.iov_base, std::min(beginning.iov_len, area.iov_len));
  std::uint64_t in_use = 0;
  std::memcpy(&in_use, &whole[kPartsInUse], sizeof in_use);
  in_use &= ~kTiles;
  std::memcpy(&whole[kPartsInUse], &in_use, sizeof in_use);
  return real(PTRACE_SETREGSET, pid, type, &area);
}

}  // namespace

extern "C" long ptrace(__ptrace_request request, ...) noexcept {
  va_list arguments;
  va_start(arguments, request);
  const pid_t pid = va_arg(arguments, pid_t);
  void* const address = va_arg(arguments, void*);
  void* const data = va_arg(arguments, void*);
  va_end(arguments);

  static const auto real = reinterpret_cast<Ptrace>(dlsym(RTLD_NEXT, "ptrace"));
  if (request == PTRACE_SETREGSET && address == reinterpret_cast<void*>(NT_X86_XSTATE))
    return set_whole_xstate(real, pid, address, *static_cast<const iovec*>(data));
  return real(request, pid, address, data);
}
