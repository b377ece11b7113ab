#include "nsrelay/netns/netns_registry.hpp"

#include <poll.h>

#include <utility>

#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {
namespace {

constexpr std::string_view kNamedNetnsFolder = "/run/netns/";

/// A pidfd is readable once its process has ended (pidfd_open(2)).
bool process_has_ended(const Netns& netns) {
  pollfd ended{netns.fd(), POLLIN, 0};
  return ::poll(&ended, 1, 0) == 1;
}

/// Whether a failed look-up says that there is no such namespace. Being out of descriptors, memory
/// or permission says nothing about it.
bool says_absent(const Error& error) {
  constexpr int kNotANamespaceFile = 0;
  return error.number() == ENOENT || error.number() == ENOTDIR || error.number() == ESRCH ||
         error.number() == kNotANamespaceFile;
}

Result<Netns> open_netns(const NetnsSelector& selector) {
  switch (selector.kind) {
    case NetnsSelector::Kind::Name:
      return Netns::open(std::string(kNamedNetnsFolder) + selector.text);
    case NetnsSelector::Kind::Path:
      return Netns::open(selector.text);
    case NetnsSelector::Kind::Pid:
      return Netns::of_process(selector.pid);
    default:
      return Netns::current();
  }
}

}  // namespace

NetnsRef NetnsRegistry::get(const NetnsSelector& selector) {
  const auto [found, is_new] = tracked_.try_emplace(selector.text);
  Tracked& tracked = found->second;
  if (is_new) {
    tracked.selector = selector;
    tracked.entry->name = netns_display_name(selector);
    look_up(tracked);
  }
  return tracked.entry;
}

bool NetnsRegistry::refresh() {
  bool changed = false;
  for (auto& [text, tracked] : tracked_)
    changed |= look_up(tracked);
  return changed;
}

std::set<std::uint64_t> NetnsRegistry::present_cookies() const {
  std::set<std::uint64_t> cookies = {home_netns().cookie()};
  for (const auto& [text, tracked] : tracked_)
    if (tracked.entry->netns)
      cookies.insert(tracked.entry->netns->cookie());
  return cookies;
}

bool NetnsRegistry::look_up(Tracked& tracked) {
  NetnsEntry& entry = *tracked.entry;
  const NetnsSelector::Kind kind = tracked.selector.kind;
  if (entry.netns && kind == NetnsSelector::Kind::Default)
    return false;
  // A process keeps its identity in the pidfd; its number may by now be another's.
  if (entry.netns && kind == NetnsSelector::Kind::Pid && !process_has_ended(*entry.netns))
    return false;
  auto found = open_netns(tracked.selector);
  if (found && entry.is(found->cookie()))
    return false;
  const bool was_present = entry.netns.has_value();
  if (!found && was_present && !says_absent(found.error()))
    return false;
  entry.netns.reset();
  if (!found) {
    entry.why_absent = std::move(found).error().message();
    return was_present;
  }
  entry.netns = *std::move(found);
  entry.why_absent.clear();
  return true;
}

std::string netns_display_name(const NetnsSelector& selector) {
  if (selector.kind == NetnsSelector::Kind::Path)
    return selector.text.substr(selector.text.rfind('/') + 1);
  return selector.text;
}

}  // namespace nsrelay
