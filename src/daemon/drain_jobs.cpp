#include "nsrelay/daemon/drain_jobs.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace nsrelay {
namespace {

bool covers(const DrainScope& scope, const Forwarded& one) {
  return scope.covers(one.runtime().rule().name, one.listener().cookie);
}

}  // namespace

DrainJobs::DrainJobs(RelayContext& context)
    : context_(context),
      timer_(context.loop().timers(), Delegate<void()>::to<&DrainJobs::on_deadline>(this)),
      report_(context.loop(), Delegate<void()>::to<&DrainJobs::report>(this)) {
  context_.connections().set_on_taken(
      Delegate<void(const Forwarded&)>::to<&DrainJobs::on_taken>(this));
}

DrainJobs::~DrainJobs() {
  context_.connections().set_on_taken({});
}

void DrainJobs::start(DrainScope scope, std::size_t listeners, Duration timeout, Done done) {
  Job& job = jobs_.emplace_back(Job{std::move(scope), context_.loop().now() + timeout,
                                    std::move(done), DrainOutcome{.listeners = listeners}});
  context_.connections().for_each(
      [&](Forwarded& one) { job.left += covers(job.scope, one) ? 1U : 0U; });
  if (job.left == 0)
    report_.schedule();
  start_timer();
}

void DrainJobs::on_taken(const Forwarded& one) noexcept {
  for (Job& job : jobs_) {
    if (job.left == 0 || !covers(job.scope, one))
      continue;
    ++(job.is_late ? job.outcome.ended : job.outcome.finished);
    if (--job.left == 0)
      report_.schedule();
  }
}

void DrainJobs::on_deadline() noexcept {
  const TimePoint now = context_.loop().now();
  for (Job& job : jobs_)
    job.is_late = job.deadline <= now;
  context_.connections().for_each([&](Forwarded& one) {
    if (std::any_of(jobs_.begin(), jobs_.end(),
                    [&](const Job& job) { return job.is_late && covers(job.scope, one); }))
      one.end(Reason::Drained);
  });
  start_timer();
}

void DrainJobs::interrupt() {
  for (Job& job : jobs_) {
    if (job.left == 0)
      continue;
    job.left = 0;
    job.outcome.result = DrainOutcome::Result::Interrupted;
  }
  report_.schedule();
}

void DrainJobs::report() noexcept {
  std::list<Job> over;
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    const auto next = std::next(job);
    if (job->left == 0)
      over.splice(over.end(), jobs_, job);
    job = next;
  }
  for (const Job& job : over)
    job.done(job.outcome);
}

void DrainJobs::start_timer() {
  timer_.stop();
  std::optional<TimePoint> first;
  for (const Job& job : jobs_)
    if (job.left > 0)
      first = first ? std::min(*first, job.deadline) : job.deadline;
  if (first)
    timer_.start(*first);
}

}  // namespace nsrelay
