#pragma once

#include <utility>

#include "nsrelay/upstream/target_state.hpp"

namespace nsrelay {

struct SourceUse;

/// A connection's hold on its target, for as long as it lives: counts as one of the target's
/// connections, and is how the target's health hears of the outcome. Movable. The pool must outlive
/// it.
class TargetLease {
 public:
  /// On no target.
  TargetLease() = default;
  /// Begins at `now`.
  TargetLease(TargetState& target, TimePoint now);
  TargetLease(TargetLease&& other) noexcept
      : target_(std::exchange(other.target_, nullptr)),
        source_(std::exchange(other.source_, nullptr)),
        on_trial_(std::exchange(other.on_trial_, false)) {}
  TargetLease& operator=(TargetLease&& other) noexcept;
  TargetLease(const TargetLease&) = delete;
  TargetLease& operator=(const TargetLease&) = delete;
  ~TargetLease() { release(); }

  explicit operator bool() const { return target_ != nullptr; }
  [[nodiscard]] const TargetState& target() const { return *target_; }

  /// Which address of the target's name is first, in turn; to be taken modulo their number.
  std::uint32_t take_address_turn() { return target_->address_turn++; }

  /// The connection takes a port of this source address, in place of the one that it held before;
  /// null: of none. The lease gives it back.
  void hold_source(SourceUse* source);

  /// The target answered. May be called again.
  void succeeded();
  /// The target is to blame for a failure.
  void failed(TimePoint now);

  /// Lets go. What has neither succeeded nor failed says nothing about the target.
  void release();

 private:
  TargetState* target_ = nullptr;
  SourceUse* source_ = nullptr;
  bool on_trial_ = false;
};

}  // namespace nsrelay
