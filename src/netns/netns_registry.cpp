#include "nsrelay/netns/netns_registry.hpp"

#include <dirent.h>
#include <fnmatch.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {
namespace {

constexpr const char* kNamedFolder = "/run/netns";

using Kind = NetnsSelector::Kind;

/// Whether a failed look-up says that there is no such namespace. Being out of descriptors, memory
/// or permission says nothing about it.
bool says_absent(const Error& error) {
  constexpr int kNotANamespaceFile = 0;
  return error.number() == ENOENT || error.number() == ENOTDIR || error.number() == ESRCH ||
         error.number() == kNotANamespaceFile;
}

/// Of a name or a path.
std::string path_of(const NetnsSelector& selector) {
  return selector.kind == Kind::Name ? std::string(kNamedFolder) + "/" + selector.text
                                     : selector.text;
}

std::string last_part(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool matches(const std::string& glob, const std::string& name) {
  return ::fnmatch(glob.c_str(), name.c_str(), FNM_PERIOD) == 0;
}

/// The names in a folder; none where it does not exist (yet).
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(folder.c_str()), ::closedir);
  while (const dirent* item = directory ? ::readdir(directory.get()) : nullptr)
    names.emplace_back(item->d_name);
  return names;
}

}  // namespace

/// The bounds and the outcome of one refresh().
struct NetnsRegistry::Slice {
  std::size_t opens_left;
  std::uint64_t round;
  Refreshed outcome{};
};

std::vector<NetnsRef> NetnsRegistry::find(const NetnsSelector& selector) {
  switch (selector.kind) {
    case Kind::Name:
    case Kind::Path:
      return {follow_file(path_of(selector)).entry};
    case Kind::Pid:
      return {find_process(selector)};
    case Kind::NamePattern:
    case Kind::PathPattern:
      return find_pattern(selector);
    case Kind::Default:
    case Kind::Same:
      break;
  }
  if (!own_) {
    own_ = std::make_shared<NetnsEntry>(NetnsEntry{"default", "default", std::nullopt, ""});
    if (auto own = Netns::current())
      own_->netns = *std::move(own);
  }
  return {own_};
}

NetnsRegistry::File& NetnsRegistry::follow_file(const std::string& path) {
  const auto [found, is_new] = files_.try_emplace(path);
  File& file = found->second;
  file.by_name = true;
  if (is_new) {
    file.entry->name = last_part(path);
    file.entry->source = path;
    Slice slice{SIZE_MAX, round_};
    look_at_file(path, file, slice);
  }
  return file;
}

NetnsRef NetnsRegistry::find_process(const NetnsSelector& selector) {
  const auto [found, is_new] = processes_.try_emplace(selector.text);
  Process& process = found->second;
  if (is_new) {
    process.pid = selector.pid;
    process.entry->name = selector.text;
    process.entry->source = selector.text;
    Slice slice{SIZE_MAX, round_};
    look_at_process(process, slice);
  }
  return process.entry;
}

std::vector<NetnsRef> NetnsRegistry::named(std::string_view name) const {
  std::vector<NetnsRef> found;
  const auto consider = [&](const EntryPtr& entry) {
    if (entry && (entry->name == name || entry->source == name))
      found.push_back(entry);
  };
  consider(own_);
  for (const auto& [path, file] : files_)
    consider(file.entry);
  for (const auto& [text, process] : processes_)
    consider(process.entry);
  return found;
}

std::vector<NetnsRef> NetnsRegistry::find_pattern(const NetnsSelector& selector) {
  const auto [found, is_new] = patterns_.try_emplace(selector.text);
  Pattern& pattern = found->second;
  if (is_new) {
    const bool is_path = selector.kind == Kind::PathPattern;
    pattern.folder = is_path ? folder_of(selector.text) : kNamedFolder;
    pattern.glob = is_path ? last_part(selector.text) : selector.text;
    refresh();
  }
  std::vector<NetnsRef> entries;
  const std::string prefix = pattern.folder == "/" ? "/" : pattern.folder + "/";
  for (auto file = files_.lower_bound(prefix);
       file != files_.end() && file->first.starts_with(prefix); ++file)
    if (file->second.entry->netns && file->first.find('/', prefix.size()) == std::string::npos &&
        matches(pattern.glob, file->second.entry->name))
      entries.push_back(file->second.entry);
  return entries;
}

NetnsRegistry::Refreshed NetnsRegistry::refresh(std::size_t most_opened) {
  list_folders();
  round_ += is_round_over_ ? 1 : 0;
  Slice slice{most_opened, round_};
  for (auto file = files_.begin(); file != files_.end();) {
    look_at_file(file->first, file->second, slice);
    // Who still holds the entry of a name that is gone sees it absent.
    const bool is_wanted = file->second.by_name || file->second.listed || file->second.entry->netns;
    file = is_wanted ? std::next(file) : files_.erase(file);
  }
  for (auto& [text, process] : processes_)
    look_at_process(process, slice);
  is_round_over_ = !slice.outcome.more;
  return slice.outcome;
}

/// Makes an entry for every name that a pattern matches and marks what is there.
void NetnsRegistry::list_folders() {
  for (auto& [path, file] : files_)
    file.listed = false;
  std::map<std::string, std::vector<std::string>> globs;
  for (const auto& [text, pattern] : patterns_)
    globs[pattern.folder].push_back(pattern.glob);
  for (const auto& [folder, patterns] : globs) {
    for (const std::string& name : names_in(folder)) {
      if (std::none_of(patterns.begin(), patterns.end(),
                       [&](const std::string& glob) { return matches(glob, name); }))
        continue;
      const std::string path = folder == "/" ? "/" + name : folder + "/" + name;
      const auto [found, is_new] = files_.try_emplace(path);
      found->second.listed = true;
      if (is_new) {
        found->second.entry->name = name;
        found->second.entry->source = path;
      }
    }
  }
}

void NetnsRegistry::look_at_file(const std::string& path, File& file, Slice& slice) {
  const auto stamp = stamp_of(path);
  if (!stamp) {
    file.stamp = {};
    replace(*file.entry, Error::from_errno(path, ENOENT), slice);
    return;
  }
  if (stamp->is_certain() && *stamp == file.stamp)
    return;
  // Without a certain stamp each is opened once in a round, or the later ones would never be.
  if (!stamp->is_certain() && file.round == slice.round)
    return;
  if (slice.opens_left == 0) {
    slice.outcome.more = true;
    return;
  }
  --slice.opens_left;
  file.round = slice.round;
  auto found = Netns::open(path);
  // Certain only if it was the same before and after it was opened.
  file.stamp = found && stamp_of(path) == stamp ? *stamp : MountStamp{};
  if (found)
    found->park();
  replace(*file.entry, std::move(found), slice);
}

void NetnsRegistry::look_at_process(Process& process, Slice& slice) {
  if (process.entry->netns && !process.entry->netns->process_has_ended())
    return;
  // Its number may by now be another's: once ended, it stays ended.
  process.ended |= process.entry->netns.has_value();
  if (process.ended)
    replace(*process.entry, Error(process.entry->name + ": the process has ended"), slice);
  else
    replace(*process.entry, Netns::of_process(process.pid), slice);
}

void NetnsRegistry::replace(NetnsEntry& entry, Result<Netns> found, Slice& slice) {
  if (found && entry.is(found->cookie()))
    return;
  const bool was_present = entry.netns.has_value();
  if (!found && was_present && !says_absent(found.error()))
    return;
  entry.netns.reset();
  entry.why_absent.clear();
  if (found)
    entry.netns = *std::move(found);
  else
    entry.why_absent = std::move(found).error().message();
  slice.outcome.changed |= was_present || entry.netns.has_value();
}

void NetnsRegistry::forget_all_but(const std::vector<NetnsSelector>& selectors) {
  std::set<std::string> texts;
  std::set<std::string> paths;
  for (const NetnsSelector& selector : selectors) {
    texts.insert(selector.text);
    if (selector.kind == Kind::Name || selector.kind == Kind::Path)
      paths.insert(path_of(selector));
  }
  std::erase_if(patterns_, [&](const auto& one) { return !texts.contains(one.first); });
  std::erase_if(processes_, [&](const auto& one) { return !texts.contains(one.first); });
  for (auto& [path, file] : files_)
    file.by_name = paths.contains(path);
  std::erase_if(files_,
                [&](const auto& one) { return !one.second.by_name && !is_matched(one.first); });
}

bool NetnsRegistry::is_matched(const std::string& path) const {
  return std::any_of(patterns_.begin(), patterns_.end(), [&](const auto& one) {
    return one.second.folder == folder_of(path) && matches(one.second.glob, last_part(path));
  });
}

std::set<std::uint64_t> NetnsRegistry::present_cookies() const {
  std::set<std::uint64_t> cookies = {home_netns().cookie()};
  for (const auto& [path, file] : files_)
    if (file.entry->netns)
      cookies.insert(file.entry->netns->cookie());
  for (const auto& [text, process] : processes_)
    if (process.entry->netns)
      cookies.insert(process.entry->netns->cookie());
  return cookies;
}

std::set<std::string> NetnsRegistry::folders() const {
  std::set<std::string> folders;
  for (const auto& [path, file] : files_)
    folders.insert(folder_of(path));
  for (const auto& [text, pattern] : patterns_)
    folders.insert(pattern.folder);
  return folders;
}

std::map<pid_t, int> NetnsRegistry::live_processes() const {
  std::map<pid_t, int> live;
  for (const auto& [text, process] : processes_)
    if (process.entry->netns)
      if (const auto fd = process.entry->netns->fd())
        live[process.pid] = *fd;
  return live;
}

std::string netns_display_name(const NetnsSelector& selector) {
  return selector.kind == Kind::Path ? last_part(selector.text) : selector.text;
}

}  // namespace nsrelay
