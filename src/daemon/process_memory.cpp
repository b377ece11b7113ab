#include "nsrelay/daemon/process_memory.hpp"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace nsrelay {
namespace {

constexpr int kLargeBlock = 128 * 1024;  // malloc's own idea, before it adapts

/// For dl_iterate_phdr(3): unmaps what the program never writes to. Segments that it may write to,
/// relocated constants among them, are left alone: their content is nowhere else.
int give_back_segments(dl_phdr_info* object, std::size_t /*size*/, void* /*data*/) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0)
      continue;
    const std::uintptr_t begin = (object->dlpi_addr + segment.p_vaddr) / page * page;
    const std::uintptr_t end = object->dlpi_addr + segment.p_vaddr + segment.p_memsz;
    ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

void keep_no_large_blocks() noexcept {
  ::mallopt(M_MMAP_THRESHOLD, kLargeBlock);
}

void give_back_startup_memory() noexcept {
  ::malloc_trim(0);
  ::dl_iterate_phdr(&give_back_segments, nullptr);
}

}  // namespace nsrelay
