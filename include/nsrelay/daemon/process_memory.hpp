#pragma once

namespace nsrelay {

/// Has large blocks go back to the system when they are freed, from now on. By itself malloc(3)
/// keeps more the larger they were (mallopt(3), "Dynamic mmap threshold"), so that a snapshot of
/// many connections would stay for good.
void keep_no_large_blocks() noexcept;

/// Gives back what only starting needed: free memory of the heap, and the pages of code and
/// constants that ran once (the linker's, the parser's, those of libraries that are hardly used).
/// What is needed again is mapped again from the page cache when it is touched, madvise(2)
/// (MADV_DONTNEED).
void give_back_startup_memory() noexcept;

}  // namespace nsrelay
