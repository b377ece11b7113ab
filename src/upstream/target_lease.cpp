#include "nsrelay/upstream/target_lease.hpp"

#include "nsrelay/upstream/upstream_pool.hpp"

namespace nsrelay {

TargetLease::TargetLease(TargetState& target, TimePoint now)
    : target_(&target), on_trial_(target.health.begin(now)) {
  ++target.active;
}

TargetLease& TargetLease::operator=(TargetLease&& other) noexcept {
  if (this == &other)
    return *this;
  release();
  target_ = std::exchange(other.target_, nullptr);
  source_ = std::exchange(other.source_, nullptr);
  on_trial_ = std::exchange(other.on_trial_, false);
  return *this;
}

void TargetLease::hold_source(SourceUse* source) {
  if (source_ != nullptr)
    target_->pool->sources().give_back(source_);
  source_ = source;
}

void TargetLease::succeeded() {
  on_trial_ = false;
  if (target_->health.succeeded())
    target_->pool->report_change(*target_);
}

void TargetLease::failed(TimePoint now) {
  on_trial_ = false;
  if (target_->health.failed(now))
    target_->pool->report_change(*target_);
}

void TargetLease::release() {
  if (target_ == nullptr)
    return;
  if (on_trial_)
    target_->health.trial_abandoned();
  hold_source(nullptr);
  --target_->active;
  target_ = nullptr;
  on_trial_ = false;
}

}  // namespace nsrelay
