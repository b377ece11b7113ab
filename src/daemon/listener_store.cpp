#include "nsrelay/daemon/listener_store.hpp"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdlib>

#include "nsrelay/base/hash.hpp"
#include "nsrelay/netns/netns.hpp"

namespace nsrelay {
namespace {

constexpr std::size_t kLongestName = 255;

/// 0 for what is no socket, or in a namespace that nobody can tell.
std::uint64_t cookie_of(int fd) {
  const auto cookie = netns_cookie_of_socket(fd);
  return cookie ? *cookie : 0;
}

void remove_from_store(const std::string& name) {
  (void)::sd_notify(0, ("FDSTOREREMOVE=1\nFDNAME=" + name).c_str());
}

std::vector<ListenerStore::Inherited> inherited_descriptors() {
  std::vector<ListenerStore::Inherited> inherited;
  char** names = nullptr;
  const int count = ::sd_listen_fds_with_names(1, &names);
  for (int i = 0; i < count; ++i) {
    inherited.push_back({UniqueFd::adopt(SD_LISTEN_FDS_START + i), names[i]});
    std::free(names[i]);
  }
  std::free(names);
  return inherited;
}

/// Whether $FDSTORE says that there is room.
bool store_exists() {
  const char* most = std::getenv("FDSTORE");
  const bool exists = most != nullptr && std::strtoul(most, nullptr, 10) > 0;
  ::unsetenv("FDSTORE");
  return exists && std::getenv("NOTIFY_SOCKET") != nullptr;
}

}  // namespace

ListenerStore::ListenerStore(bool keeps, std::vector<Inherited> inherited) : keeps_(keeps) {
  for (Inherited& one : inherited) {
    const std::uint64_t cookie = cookie_of(one.fd.get());
    inherited_.emplace(cookie, std::move(one));
  }
}

ListenerStore::~ListenerStore() = default;

std::unique_ptr<ListenerStore> ListenerStore::from_environment() {
  const bool keeps = store_exists();
  return std::make_unique<ListenerStore>(keeps, inherited_descriptors());
}

UniqueFd ListenerStore::take(const ListenerKey& key,
                             const std::function<bool(int fd, bool is_named)>& is_it) {
  const auto [first, last] = inherited_.equal_range(key.cookie);
  if (first == last)
    return {};
  const std::string own_name = store_name(key);
  const auto found = std::find_if(first, last, [&](const auto& candidate) {
    return is_it(candidate.second.fd.get(), candidate.second.name == own_name);
  });
  if (found == last)
    return {};
  Inherited taken = std::move(found->second);
  inherited_.erase(found);
  if (!keeps_)
    return std::move(taken.fd);
  if (taken.name == own_name)
    kept_.insert(std::move(taken.name));
  else
    remove_from_store(taken.name);
  return std::move(taken.fd);
}

void ListenerStore::keep(const ListenerKey& key, int fd) {
  if (!keeps_)
    return;
  const auto [name, is_new] = kept_.insert(store_name(key));
  if (!is_new)
    return;
  // One that came under this name and is not this listener's must not stay beside it.
  if (std::any_of(inherited_.begin(), inherited_.end(),
                  [&](const auto& rest) { return rest.second.name == *name; }))
    remove_from_store(*name);
  (void)::sd_pid_notify_with_fds(0, 0, ("FDSTORE=1\nFDPOLL=0\nFDNAME=" + *name).c_str(), &fd, 1);
}

void ListenerStore::forget(const ListenerKey& key) {
  if (auto kept = kept_.extract(store_name(key)); !kept.empty())
    remove_from_store(kept.value());
}

std::vector<std::string> ListenerStore::close_rest() {
  std::vector<std::string> names;
  for (auto& [cookie, rest] : inherited_) {
    if (keeps_ && !kept_.contains(rest.name))
      remove_from_store(rest.name);
    names.push_back(std::move(rest.name));
  }
  inherited_.clear();
  return names;
}

std::string store_name(const ListenerKey& key) {
  std::string name =
      std::string(to_string(key.protocol)) + "@" + std::to_string(key.cookie) + "@" + key.address;
  if (!key.device.empty())
    name += "@" + key.device;
  std::replace_if(
      name.begin(), name.end(), [](char byte) { return byte <= ' ' || byte > '~' || byte == ':'; },
      '_');
  if (name.size() > kLongestName)
    name = std::string(to_string(key.protocol)) + "@" + std::to_string(key.cookie) + "@" +
           std::to_string(mix(0, name));
  return name;
}

}  // namespace nsrelay
