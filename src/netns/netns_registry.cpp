#include "nsrelay/netns/netns_registry.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {
namespace {

using Kind = NetnsSelector::Kind;

/// Whether a failed look-up says that there is no such namespace. Being out of descriptors, memory
/// or permission says nothing about it.
bool says_absent(const Error& error) {
  constexpr int kNotANamespaceFile = 0;
  return error.number() == ENOENT || error.number() == ENOTDIR || error.number() == ESRCH ||
         error.number() == kNotANamespaceFile;
}

}  // namespace

std::vector<NetnsRef> NetnsRegistry::find(const NetnsSelector& selector) {
  switch (selector.kind) {
    case Kind::Name:
    case Kind::Path:
      return {follow_file(path_of(selector))};
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
    if (auto own = Netns::current()) {
      by_cookie_.emplace(own->cookie(), own_);
      own_->netns = *std::move(own);
    }
  }
  return {own_};
}

NetnsRef NetnsRegistry::follow_file(const std::string& path) {
  const auto [found, is_new] = files_.try_emplace(path);
  found->second.by_name = true;
  if (!is_new)
    return found->second.entry;
  found->second.entry->name = last_part(path);
  found->second.entry->source = path;
  return look_at_file(path);
}

NetnsRef NetnsRegistry::find_process(const NetnsSelector& selector) {
  const auto [found, is_new] = processes_.try_emplace(selector.text);
  Process& process = found->second;
  if (is_new) {
    process.pid = selector.pid;
    process.entry->name = selector.text;
    process.entry->source = selector.text;
    look_at_process(process);
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
  const std::string folder = folder_of(selector);
  if (patterns_.try_emplace(selector.text, selector).second) {
    FolderListing listing(folder);
    while (const auto name = listing.next())
      if (matches_name(selector, *name) && !files_.contains(join_path(folder, *name)))
        look_at_file(join_path(folder, *name));
  }
  std::vector<NetnsRef> entries;
  const std::string prefix = join_path(folder, "");
  for (auto file = files_.lower_bound(prefix);
       file != files_.end() && file->first.starts_with(prefix); ++file)
    if (means(selector, *file->second.entry))
      entries.push_back(file->second.entry);
  return entries;
}

std::vector<NetnsRef> NetnsRegistry::entries_of(const std::set<NetnsIdentity>& identities) const {
  std::map<std::string, NetnsRef> entries;
  const auto add = [&](const EntryPtr& entry) { entries.emplace(entry->source, entry); };
  for (const NetnsIdentity& identity : identities) {
    const auto [first, last] = by_cookie_.equal_range(identity.cookie);
    std::for_each(first, last, [&](const auto& one) { add(one.second); });
    if (const auto file = files_.find(identity.absent);
        file != files_.end() && !file->second.entry->netns)
      add(file->second.entry);
    if (const auto process = processes_.find(identity.absent);
        process != processes_.end() && !process->second.entry->netns)
      add(process->second.entry);
  }
  std::vector<NetnsRef> sorted;
  std::transform(entries.begin(), entries.end(), std::back_inserter(sorted),
                 [](const auto& one) { return one.second; });
  return sorted;
}

void NetnsRegistry::suspect(const std::string& path) {
  if (files_.contains(path) || is_matched(path))
    suspects_.insert(path);
}

void NetnsRegistry::suspect_mount(std::uint64_t mount_id) {
  const auto [first, last] = by_mount_.equal_range(mount_id);
  std::for_each(first, last, [&](const auto& one) { suspects_.insert(one.second); });
}

void NetnsRegistry::suspect_links() {
  suspects_.insert(links_.begin(), links_.end());
}

void NetnsRegistry::suspect_process(pid_t pid) {
  suspects_.insert("pid:" + std::to_string(pid));
}

void NetnsRegistry::suspect_everything() {
  wants_round_ = true;
}

bool NetnsRegistry::look(std::size_t most) {
  suspects_.merge(failed_looks_);
  failed_looks_.clear();
  for (; most > 0 && look_at_next(); --most) {
  }
  return !suspects_.empty() || wants_round_ || listing_ || !unlisted_folders_.empty() ||
         round_place_;
}

bool NetnsRegistry::refresh() {
  const std::uint64_t before = revision_;
  suspect_everything();
  look(SIZE_MAX);
  return revision_ != before;
}

/// What events point at goes first. Returns false where nothing is left.
bool NetnsRegistry::look_at_next() {
  if (suspects_.empty())
    return continue_round();
  look_at(suspects_.extract(suspects_.begin()).value());
  return true;
}

bool NetnsRegistry::continue_round() {
  if (listing_) {
    const auto name = listing_->next();
    const std::string path = name ? join_path(listing_->folder(), *name) : "";
    if (!name)
      listing_.reset();
    else if (!files_.contains(path) && is_matched(path))
      suspects_.insert(path);
    return true;
  }
  if (!unlisted_folders_.empty()) {
    listing_.emplace(unlisted_folders_.extract(unlisted_folders_.begin()).value());
    return true;
  }
  if (round_place_) {
    const auto next = files_.upper_bound(*round_place_);
    if (next == files_.end()) {
      round_place_.reset();
      return true;
    }
    round_place_ = next->first;
    look_at(*round_place_);
    return true;
  }
  if (!wants_round_)
    return false;
  begin_round();
  return true;
}

void NetnsRegistry::begin_round() {
  wants_round_ = false;
  round_place_ = "";
  for (const auto& [text, pattern] : patterns_)
    unlisted_folders_.insert(folder_of(pattern));
  for (const auto& [text, process] : processes_)
    suspects_.insert(text);
}

void NetnsRegistry::look_at(const std::string& source) {
  if (const auto process = processes_.find(source); process != processes_.end()) {
    const NetnsIdentity before = identity_of(*process->second.entry);
    look_at_process(process->second);
    note_change(before, *process->second.entry);
  }
  if (!source.starts_with('/'))
    return;
  const auto known = files_.find(source);
  const NetnsIdentity before =
      known == files_.end() ? NetnsIdentity{0, source} : identity_of(*known->second.entry);
  note_change(before, *look_at_file(source));
}

void NetnsRegistry::note_change(const NetnsIdentity& before, const NetnsEntry& entry) {
  const NetnsIdentity after = identity_of(entry);
  if (before == after)
    return;
  changed_.insert({before, after});
  ++revision_;
}

/// Of a file that only patterns can mean there is an entry while it is a namespace. Who still holds
/// the entry afterwards sees it absent.
NetnsRegistry::EntryPtr NetnsRegistry::look_at_file(const std::string& path) {
  const auto [found, is_new] = files_.try_emplace(path);
  File& file = found->second;
  const EntryPtr entry = file.entry;
  if (is_new) {
    entry->name = last_part(path);
    entry->source = path;
  }
  if (is_symbolic_link(path))
    links_.insert(path);
  else
    links_.erase(path);
  const auto stamp = stamp_of(path);
  if (stamp && stamp->is_certain() && *stamp == file.stamp)
    return entry;
  if (!stamp) {
    set_stamp(path, file, {});
    replace(entry, Error::from_errno(path, ENOENT));
  } else if (!open_file(path, file)) {
    failed_looks_.insert(path);
  }
  if (!file.by_name && !entry->netns)
    forget_file(path);
  // `ip netns add` makes a plain file and mounts on it. A mount that looks like its predecessor in
  // /proc/self/mountinfo, id included, is told without its path.
  if (stamp && !entry->netns)
    links_.insert(path);
  return entry;
}

/// Returns false where it could not be looked at now.
bool NetnsRegistry::open_file(const std::string& path, File& file) {
  const auto before = stamp_of(path);
  auto found = Netns::open(path);
  // Certain only if it was the same before and after it was opened.
  set_stamp(path, file, found && before && stamp_of(path) == before ? *before : MountStamp{});
  if (found)
    found->park();
  return replace(file.entry, std::move(found));
}

void NetnsRegistry::look_at_process(Process& process) {
  // Its number may by now be another's: once ended, it stays ended.
  process.ended |= process.entry->netns && process.entry->netns->process_has_ended();
  auto found = process.ended ? Error(process.entry->name + ": the process has ended")
                             : Netns::of_process(process.pid);
  // It may have moved to another namespace (setns(2)), and may have ended while that was found out.
  process.ended |= process.entry->netns && process.entry->netns->process_has_ended();
  if (process.ended)
    found = Error(process.entry->name + ": the process has ended");
  if (!replace(process.entry, std::move(found)))
    failed_looks_.insert(process.entry->source);
}

void NetnsRegistry::set_stamp(const std::string& path, File& file, MountStamp stamp) {
  if (file.stamp == stamp)
    return;
  const auto [first, last] = by_mount_.equal_range(file.stamp.mount_id);
  if (const auto known =
          std::find_if(first, last, [&](const auto& one) { return one.second == path; });
      known != last)
    by_mount_.erase(known);
  file.stamp = stamp;
  if (stamp.is_certain())
    by_mount_.emplace(stamp.mount_id, path);
}

/// Returns false where `found` says nothing about whether there is one.
bool NetnsRegistry::replace(const EntryPtr& entry, Result<Netns> found) {
  if (found && entry->is(found->cookie()))
    return true;
  const bool was_present = entry->netns.has_value();
  if (!found && was_present && !says_absent(found.error()))
    return false;
  forget_cookie(entry);
  entry->netns.reset();
  entry->why_absent.clear();
  const bool is_final = found || says_absent(found.error());
  if (found) {
    by_cookie_.emplace(found->cookie(), entry);
    entry->netns = *std::move(found);
  } else {
    entry->why_absent = std::move(found).error().message();
  }
  return is_final;
}

void NetnsRegistry::forget_cookie(const EntryPtr& entry) {
  if (!entry->netns)
    return;
  const auto [first, last] = by_cookie_.equal_range(entry->netns->cookie());
  if (const auto known =
          std::find_if(first, last, [&](const auto& one) { return one.second == entry; });
      known != last)
    by_cookie_.erase(known);
}

void NetnsRegistry::forget_file(const std::string& path) {
  const auto file = files_.find(path);
  set_stamp(path, file->second, {});
  forget_cookie(file->second.entry);
  links_.erase(path);
  files_.erase(file);
}

NetnsChanges NetnsRegistry::take_changes() {
  NetnsChanges changes{std::exchange(changed_, {}), {}};
  for (const NetnsIdentity& identity : changes.identities)
    if (identity.cookie != 0 && !is_present(identity.cookie))
      changes.gone.insert(identity.cookie);
  return changes;
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
  std::erase_if(processes_, [&](const auto& one) {
    const bool is_unwanted = !texts.contains(one.first);
    if (is_unwanted)
      forget_cookie(one.second.entry);
    return is_unwanted;
  });
  std::vector<std::string> unwanted;
  for (auto& [path, file] : files_) {
    file.by_name = paths.contains(path);
    if (!file.by_name && !(file.entry->netns && is_matched(path)))
      unwanted.push_back(path);
  }
  for (const std::string& path : unwanted)
    forget_file(path);
}

bool NetnsRegistry::is_matched(const std::string& path) const {
  const std::string folder = folder_of_path(path);
  return std::any_of(patterns_.begin(), patterns_.end(), [&](const auto& one) {
    return folder_of(one.second) == folder && matches_name(one.second, last_part(path));
  });
}

bool NetnsRegistry::is_present(std::uint64_t cookie) const {
  return by_cookie_.contains(cookie) || cookie == home_netns().cookie();
}

std::set<std::string> NetnsRegistry::folders() const {
  std::set<std::string> folders;
  for (const auto& [path, file] : files_)
    if (file.by_name)
      folders.insert(folder_of_path(path));
  for (const auto& [text, pattern] : patterns_)
    folders.insert(folder_of(pattern));
  return folders;
}

std::map<pid_t, int> NetnsRegistry::live_processes() const {
  std::map<pid_t, int> live;
  for (const auto& [text, process] : processes_)
    if (process.entry->netns)
      live[process.pid] = process.entry->netns->pidfd();
  return live;
}

}  // namespace nsrelay
