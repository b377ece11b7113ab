#include "nsrelay/net/pipe_pool.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace nsrelay {
namespace {

// Smaller pipes cost more CPU than copying.
constexpr int kSmallestUseful = 64 * 1024;

}  // namespace

PipePool::Loan PipePool::borrow() noexcept {
  if (!idle_.empty()) {
    Loan loan(idle_.back().release());
    idle_.pop_back();
    return loan;
  }
  std::unique_ptr<Pipe> pipe = in_existence_ < limits_.most ? make_pipe() : nullptr;
  if (pipe)
    ++in_existence_;
  return Loan(pipe.release());
}

std::unique_ptr<Pipe> PipePool::make_pipe() noexcept {
  int ends[2];
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
    return nullptr;
  UniqueFd read_end = UniqueFd::adopt(ends[0]);
  UniqueFd write_end = UniqueFd::adopt(ends[1]);
  // EPERM past pipe-max-size or pipe-user-pages-soft leaves the size as it was: read it back.
  ::fcntl(write_end.get(), F_SETPIPE_SZ, static_cast<int>(limits_.capacity));
  const int capacity = ::fcntl(write_end.get(), F_GETPIPE_SZ);
  if (capacity < kSmallestUseful)
    return nullptr;
  return std::make_unique<Pipe>(*this, std::move(read_end), std::move(write_end),
                                static_cast<std::size_t>(capacity));
}

void PipePool::take_back(Pipe* pipe) noexcept {
  std::unique_ptr<Pipe> owned(pipe);
  if (owned->empty() && idle_.size() < limits_.most_idle)
    idle_.push_back(std::move(owned));
  else
    --in_existence_;
}

}  // namespace nsrelay
