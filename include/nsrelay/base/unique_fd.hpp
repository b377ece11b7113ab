#pragma once

#include <utility>

namespace nsrelay {

/// Owns one file descriptor and closes it. Move-only; an int neither becomes one nor comes out of
/// one by accident.
class UniqueFd {
 public:
  UniqueFd() = default;

  /// Takes ownership of `fd`. A negative number gives an empty object, so that the result of a
  /// system call can be adopted and then tested.
  static UniqueFd adopt(int fd) { return UniqueFd(fd); }

  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { close(); }

  /// The descriptor, still owned by this object; -1 when empty.
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  explicit operator bool() const { return is_open(); }

  /// Gives up ownership.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

  /// Closes now. Does nothing when empty. errno is kept.
  void close() noexcept;

 private:
  explicit UniqueFd(int fd) : fd_(fd < 0 ? -1 : fd) {}

  int fd_ = -1;
};

}  // namespace nsrelay
