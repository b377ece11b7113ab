#pragma once

#include <utility>

namespace nsrelay {

/// Runs a function when the scope ends, however it ends, unless released.
template <class Function>
class [[nodiscard]] ScopeExit {
 public:
  explicit ScopeExit(Function function) : function_(std::move(function)) {}
  ScopeExit(const ScopeExit&) = delete;
  ScopeExit& operator=(const ScopeExit&) = delete;
  ~ScopeExit() {
    if (armed_)
      function_();
  }

  void release() { armed_ = false; }

 private:
  Function function_;
  bool armed_ = true;
};

}  // namespace nsrelay
