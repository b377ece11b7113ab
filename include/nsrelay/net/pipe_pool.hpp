#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "nsrelay/base/unique_fd.hpp"

namespace nsrelay {

class PipePool;

/// A kernel pipe that carries bytes from one socket to another, and how many it holds now.
class Pipe {
 public:
  /// Belongs to `home`.
  Pipe(PipePool& home, UniqueFd read_end, UniqueFd write_end, std::size_t capacity)
      : home_(home),
        read_end_(std::move(read_end)),
        write_end_(std::move(write_end)),
        capacity_(capacity) {}

  [[nodiscard]] PipePool& home() const { return home_; }
  [[nodiscard]] int read_end() const { return read_end_.get(); }
  [[nodiscard]] int write_end() const { return write_end_.get(); }
  /// Bytes that fit, as the kernel reported it.
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  /// Bytes inside.
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  void add(std::size_t bytes) { size_ += bytes; }
  void remove(std::size_t bytes) { size_ -= bytes; }

 private:
  PipePool& home_;
  UniqueFd read_end_;
  UniqueFd write_end_;
  std::size_t capacity_;
  std::size_t size_ = 0;
};

/// Lends pipes to connections for the time that bytes are in flight.
///
/// A pipe comes back empty and is lent again, or comes back with bytes in it (its connection ended)
/// and is closed: a byte of one connection never reaches another. The number of pipes is capped,
/// because each costs two descriptors.
class PipePool {
 public:
  struct Limits {
    std::size_t most = 512;             ///< pipes in existence, lent and idle
    std::size_t most_idle = 16;         ///< idle ones that are kept
    std::size_t capacity = 512 * 1024;  ///< bytes asked for (F_SETPIPE_SZ)
  };

  explicit PipePool(const Limits& limits) : limits_(limits) {}
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;

  struct Return {
    void operator()(Pipe* pipe) const noexcept { pipe->home().take_back(pipe); }
  };
  /// A pipe on loan; goes back when destroyed. The pool must outlive it.
  using Loan = std::unique_ptr<Pipe, Return>;

  /// An empty pipe, or nothing when the cap is reached, descriptors are out, or the kernel grants
  /// less than 64 KiB (past pipe-user-pages-soft it does so silently, pipe(7)). The caller then
  /// copies instead.
  Loan borrow() noexcept;

  [[nodiscard]] std::size_t in_existence() const { return in_existence_; }
  [[nodiscard]] std::size_t idle() const { return idle_.size(); }

 private:
  std::unique_ptr<Pipe> make_pipe() noexcept;
  void take_back(Pipe* pipe) noexcept;

  Limits limits_;
  std::vector<std::unique_ptr<Pipe>> idle_;
  std::size_t in_existence_ = 0;
};

}  // namespace nsrelay
