#include "nsrelay/upstream/health_checker.hpp"

#include "nsrelay/upstream/connector.hpp"

namespace nsrelay {

/// What looks after one target.
class HealthChecker::Probe {
 public:
  Probe(EventLoop& loop, UpstreamPool& pool, std::size_t target, const HealthCheck& check,
        Duration first_after)
      : loop_(loop),
        pool_(pool),
        target_(target),
        check_(check),
        timer_(loop.timers(), Delegate<void()>::to<&Probe::on_timer>(this)) {
    (void)reserve_.spend();
    timer_.start(loop.now() + first_after);
  }
  ~Probe() {
    if (connector_)
      connector_->cancel();
  }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  void leave_gone_netns() {
    if (!connector_ || connector_->netns_cookie() == 0 ||
        pool_.netns().is(connector_->netns_cookie()))
      return;
    connector_->cancel();
    loop_.destroy_later(std::move(connector_));
    timer_.start(loop_.now() + *check_.interval);
  }

 private:
  void on_timer() noexcept {
    connector_ = std::make_unique<Connector>(
        loop_, reserve_, pool_,
        ConnectRequest{.probe = ConnectRequest::Probe{target_, check_.timeout}},
        Connector::Events{Delegate<void()>::to<&Probe::on_finished>(this),
                          Delegate<void(const FailedAttempt&)>::to<&Probe::on_failed>(this)});
    connector_->start();
  }

  void on_finished() noexcept {
    connector_->cancel();  // at once, with its lease: the pool may go before the connector does
    loop_.destroy_later(std::move(connector_));
    timer_.start(loop_.now() + *check_.interval);
  }

  /// Only changes of a target's state are worth a record.
  void on_failed(const FailedAttempt& /*attempt*/) noexcept {}

  EventLoop& loop_;
  UpstreamPool& pool_;
  const std::size_t target_;
  const HealthCheck check_;
  DescriptorReserve reserve_;  // spent: the daemon's is for clients
  std::unique_ptr<Connector> connector_;
  Timer timer_;
};

HealthChecker::HealthChecker(EventLoop& loop, UpstreamPool& pool, const HealthCheck& check) {
  const std::size_t count = pool.targets().size();
  for (std::size_t i = 0; i < count; ++i)
    probes_.push_back(std::make_unique<Probe>(
        loop, pool, i, check, *check.interval * static_cast<int>(i) / static_cast<int>(count)));
}

HealthChecker::~HealthChecker() = default;

void HealthChecker::leave_gone_netns() {
  for (const auto& probe : probes_)
    probe->leave_gone_netns();
}

}  // namespace nsrelay
