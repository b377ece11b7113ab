#pragma once

namespace nsrelay {

/// Gives back what only starting needed: free memory of the heap, and the pages of code and
/// constants that ran once (the linker's, the parser's, those of libraries that are hardly used).
/// What is needed again is mapped again from the page cache when it is touched, madvise(2)
/// (MADV_DONTNEED).
void give_back_startup_memory() noexcept;

}  // namespace nsrelay
