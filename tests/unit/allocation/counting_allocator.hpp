#pragma once

#include <cstdint>

namespace nsrelay::test {

/// How often this program has called operator new so far. Only in a program that links
/// counting_allocator.cpp.
std::uint64_t allocations();

}  // namespace nsrelay::test
