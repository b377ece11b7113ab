#include "opening.hpp"
#include "service.hpp"
#include "workload.hpp"

namespace nsrelay::bench {
namespace {

class Idle : public Workload {
 public:
  explicit Idle(const ClientOptions& options) : options_(options) {}

  void prepare() override { sockets_ = open_all(options_, service::kEcho); }

  Report run() override {
    Report report;
    report.units = sockets_.size();
    return report;
  }

 private:
  ClientOptions options_;
  std::vector<UniqueFd> sockets_;
};

}  // namespace

std::unique_ptr<Workload> make_idle(const ClientOptions& options) {
  return std::make_unique<Idle>(options);
}

}  // namespace nsrelay::bench
