#include "nsrelay/control/status_json.hpp"

#include <utility>

#include "json_text.hpp"

namespace nsrelay {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{16} * 1024;

/// `object` with `"key":[` in place of its closing brace.
std::string open_array(const Json& object, std::string_view key) {
  std::string text = to_text(object);
  text.pop_back();
  return text.append(",\"").append(key).append("\":[");
}

Json json_of(const TotalsStatus& totals) {
  return {{"connections_active", totals.connections_active},
          {"connections_total", totals.connections_total},
          {"connections_failed", totals.connections_failed},
          {"bytes_received", totals.bytes_received},
          {"bytes_sent", totals.bytes_sent}};
}

Json json_of(const UpstreamStatus& upstream) {
  return {{"target", upstream.target},
          {"netns", upstream.netns},
          {"state", upstream.is_up ? "up" : "down"},
          {"backup", upstream.is_backup},
          {"weight", upstream.weight},
          {"connections_active", upstream.connections_active},
          {"failures", upstream.failures}};
}

Json json_of(const RuleStatus& rule) {
  Json json = {{"name", rule.name}, {"protocol", rule.protocol}};
  json.update(json_of(rule.totals));
  Json& upstreams = json["upstreams"] = Json::array();
  for (const UpstreamStatus& upstream : rule.upstreams)
    upstreams.push_back(json_of(upstream));
  return json;
}

Json json_of(const ListenerStatus& listener) {
  return {{"rule", listener.rule},         {"netns", listener.netns},
          {"protocol", listener.protocol}, {"address", listener.address},
          {"port", listener.port},         {"state", to_string(listener.state)},
          {"reason", listener.reason},     {"connections_active", listener.connections_active}};
}

Json json_of(const ConnectionStatus& one) {
  return {{"rule", one.rule},
          {"netns", one.netns},
          {"protocol", one.protocol},
          {"client", one.client},
          {"listener", one.listener},
          {"upstream", one.upstream},
          {"upstream_netns", one.upstream_netns},
          {"age_seconds", static_cast<double>(one.age.count()) / 1000},
          {"bytes_received", one.bytes_received},
          {"bytes_sent", one.bytes_sent}};
}

/// All of a report but its namespaces.
Json head_of(const StatusReport& report) {
  Json rules = Json::array();
  for (const RuleStatus& rule : report.rules)
    rules.push_back(json_of(rule));
  return {{"version", report.version},
          {"pid", report.pid},
          {"started", report.started},
          {"state", report.stopping ? "stopping" : "running"},
          {"config",
           {{"file", report.config_file},
            {"loaded", report.config_loaded},
            {"rules", report.config_rules}}},
          {"totals", json_of(report.totals)},
          {"rules", std::move(rules)}};
}

/// A text that consists of parts, of which so many make a piece.
class PartedBody : public HttpBody {
 public:
  bool append_next(std::string& out) noexcept final {
    while (out.size() < kPieceBytes)
      if (!append_part(out))
        return false;
    return true;
  }

 private:
  /// False: that was the last.
  virtual bool append_part(std::string& out) = 0;
};

class StatusBody final : public PartedBody {
 public:
  explicit StatusBody(StatusReport report) : report_(std::move(report)) {}

 private:
  bool append_part(std::string& out) override {
    if (!std::exchange(began_, true)) {
      out += open_array(head_of(report_), "namespaces");
      return true;
    }
    if (netns_ == report_.namespaces.size()) {
      out += "]}\n";
      return false;
    }
    append_listener(out, report_.namespaces[netns_]);
    return true;
  }

  /// The next one of `netns`, with its beginning and end where it is the first or last.
  void append_listener(std::string& out, const NetnsStatus& netns) {
    if (listener_ == 0) {
      out += netns_ == 0 ? "" : ",";
      out += open_array(
          {{"name", netns.name}, {"cookie", netns.cookie}, {"state", to_string(netns.state)}},
          "listeners");
    }
    if (listener_ < netns.listeners.size())
      out += (listener_ == 0 ? "" : ",") + to_text(json_of(netns.listeners[listener_]));
    if (++listener_ < netns.listeners.size())
      return;
    out += "]}";
    listener_ = 0;
    ++netns_;
  }

  StatusReport report_;
  std::size_t netns_ = 0;
  std::size_t listener_ = 0;
  bool began_ = false;
};

class ConnectionsBody final : public PartedBody {
 public:
  explicit ConnectionsBody(std::unique_ptr<ConnectionSource> connections)
      : connections_(std::move(connections)) {}

 private:
  bool append_part(std::string& out) override {
    const bool is_first = !std::exchange(began_, true);
    out += is_first ? "[" : "";
    const auto connection = connections_->next();
    if (!connection) {
      out += "]\n";
      return false;
    }
    out += (is_first ? "" : ",") + to_text(json_of(*connection));
    return true;
  }

  std::unique_ptr<ConnectionSource> connections_;
  bool began_ = false;
};

}  // namespace

std::unique_ptr<HttpBody> to_json(StatusReport report) {
  return std::make_unique<StatusBody>(std::move(report));
}

std::unique_ptr<HttpBody> to_json(std::unique_ptr<ConnectionSource> connections) {
  return std::make_unique<ConnectionsBody>(std::move(connections));
}

std::string to_json(const ReloadOutcome& outcome) {
  if (outcome.faults.empty())
    return to_text({{"result", "ok"},
                    {"opened", outcome.opened},
                    {"closed", outcome.closed},
                    {"changed", outcome.changed}}) +
           "\n";
  return to_text({{"error", "the old configuration stays in force"},
                  {"result", "failed"},
                  {"faults", outcome.faults}}) +
         "\n";
}

std::string to_json(const DrainOutcome& outcome) {
  return to_text({{"result", "ok"},
                  {"listeners", outcome.listeners},
                  {"connections_finished", outcome.finished},
                  {"connections_ended", outcome.ended}}) +
         "\n";
}

const char* to_string(ListenerState state) {
  switch (state) {
    case ListenerState::Listening:
      return "listening";
    case ListenerState::Pending:
      return "pending";
    case ListenerState::Draining:
      break;
  }
  return "draining";
}

const char* to_string(NetnsState state) {
  switch (state) {
    case NetnsState::Present:
      return "present";
    case NetnsState::Absent:
      return "absent";
    case NetnsState::Deleted:
      break;
  }
  return "deleted";
}

}  // namespace nsrelay
