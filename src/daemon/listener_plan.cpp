#include "nsrelay/daemon/listener_plan.hpp"

#include <algorithm>
#include <iterator>
#include <map>

#include "nsrelay/relay/listening_socket.hpp"

namespace nsrelay {
namespace {

/// Collects listeners and finds those that are wanted twice.
class Expansion {
 public:
  explicit Expansion(const NetnsLookup& look_up) : look_up_(look_up) {}

  void add_rule(const ForwardRule& rule) {
    for (const NetnsSelector& selector : rule.netns)
      for (const NetnsRef& entry : look_up_(selector))
        for (const ListenSpec& listen : rule.listen)
          for (int offset = 0; offset < listen.ports.size(); ++offset)
            add(rule, listen, static_cast<std::uint16_t>(offset), entry);
  }

  std::vector<DesiredListener> take() { return std::move(desired_); }

 private:
  void add(const ForwardRule& rule, const ListenSpec& listen, std::uint16_t offset,
           const NetnsRef& entry) {
    const auto port = static_cast<std::uint16_t>(listen.ports.first + offset);
    DesiredListener wanted{.key = {.cookie = entry->netns ? entry->netns->cookie() : 0,
                                   .absent_netns = entry->netns ? std::string() : entry->source,
                                   .protocol = rule.protocol,
                                   .address = describe_listener(listen, port),
                                   .device = rule.bind_device},
                           .rule = &rule,
                           .listen = &listen,
                           .port = port,
                           .port_offset = offset,
                           .netns = entry};
    const auto [first, is_new] = owners_.emplace(wanted.key, &rule);
    if (!is_new && first->second == &rule)
      return;  // another name of the same namespace
    if (!is_new) {
      wanted.key.shadowed_rule = rule.name;
      wanted.taken_by = first->second;
    }
    desired_.push_back(std::move(wanted));
  }

  const NetnsLookup& look_up_;
  std::map<ListenerKey, const ForwardRule*> owners_;
  std::vector<DesiredListener> desired_;
};

}  // namespace

std::vector<DesiredListener> expand(const Config& config, const NetnsLookup& look_up) {
  Expansion expansion(look_up);
  for (const ForwardRule& rule : config.rules)
    expansion.add_rule(rule);
  return expansion.take();
}

std::vector<DesiredListener> expand_among(const Config& config,
                                          const std::vector<NetnsRef>& entries) {
  return expand(config, [&](const NetnsSelector& selector) {
    std::vector<NetnsRef> meant;
    std::copy_if(entries.begin(), entries.end(), std::back_inserter(meant),
                 [&](const NetnsRef& entry) { return means(selector, *entry); });
    return meant;
  });
}

ListenerDiff diff(const std::vector<ListenerKey>& actual, const std::vector<ListenerKey>& desired) {
  ListenerDiff result;
  std::set_difference(actual.begin(), actual.end(), desired.begin(), desired.end(),
                      std::back_inserter(result.close));
  std::set_difference(desired.begin(), desired.end(), actual.begin(), actual.end(),
                      std::back_inserter(result.open));
  return result;
}

}  // namespace nsrelay
