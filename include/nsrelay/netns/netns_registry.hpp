#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "nsrelay/netns/folder_listing.hpp"
#include "nsrelay/netns/mount_stamp.hpp"
#include "nsrelay/netns/netns_entry.hpp"

namespace nsrelay {

/// The namespaces that the configuration speaks of, by name, path, pattern or process.
///
/// Theory of operation. Nothing is followed until somebody asks for a selector. From then on
/// whoever hears of an event (NetnsWatcher) says which names are suspect, and look() looks at those
/// again, so many a call: what an event costs depends on what it is about, not on how many names
/// there are. suspect_everything() is the slow way behind it, through the same look().
///
/// Namespace files are kept by path, so that a name and a pattern that matches it share one entry.
/// A file is opened only when it looks different from the last time (mount_stamp.hpp).
class NetnsRegistry {
 public:
  NetnsRegistry() = default;
  NetnsRegistry(const NetnsRegistry&) = delete;
  NetnsRegistry& operator=(const NetnsRegistry&) = delete;

  /// What a selector (not `same`) means now, and follows it from now on. One entry, which may be
  /// absent; for a pattern any number of present ones, ordered by name.
  std::vector<NetnsRef> find(const NetnsSelector& selector);

  /// The same for a selector that is no pattern.
  NetnsRef get(const NetnsSelector& selector) { return find(selector).front(); }

  /// Those that are followed and called `name`, or looked up by it (a path): any number. Names that
  /// are followed for other reasons than listeners are among them.
  [[nodiscard]] std::vector<NetnsRef> named(std::string_view name) const;

  /// Every entry that is one of `identities` now, ordered by source.
  [[nodiscard]] std::vector<NetnsRef> entries_of(const std::set<NetnsIdentity>& identities) const;

  /// Something happened to `path`, as the configuration spells its folder. Does nothing where no
  /// selector can mean it.
  void suspect(const std::string& path);
  /// A mount with this unique id is gone or was moved (statx(2), STATX_MNT_ID_UNIQUE).
  void suspect_mount(std::uint64_t mount_id);
  /// Something was mounted, perhaps where symbolic links lead to, or on a file that was no
  /// namespace.
  void suspect_links();
  void suspect_process(pid_t pid);
  /// Anything may have happened. Where that is being looked at already, it is done once more.
  void suspect_everything();

  /// Looks at what is suspect, at most `most` names. One that is gone, or means another namespace
  /// now, lets go of the old one; one that cannot be looked at now (out of descriptors) stays as it
  /// is and is suspect again later. Returns whether more is left: call again.
  bool look(std::size_t most);

  /// Looks at everything, however long that takes. Returns whether something changed.
  bool refresh();

  /// What look() has changed since the last call; what find() saw for the first time is no change.
  NetnsChanges take_changes();

  /// Stops following what none of `selectors` means.
  void forget_all_but(const std::vector<NetnsSelector>& selectors);

  /// Whether some name means the namespace with this identity. The own one is always present.
  [[nodiscard]] bool is_present(std::uint64_t cookie) const;

  /// The folders whose content matters.
  [[nodiscard]] std::set<std::string> folders() const;

  /// The processes that are followed and alive, with their pidfds (borrowed until the next look),
  /// which are readable when they end.
  [[nodiscard]] std::map<pid_t, int> live_processes() const;

 private:
  using EntryPtr = std::shared_ptr<NetnsEntry>;

  struct File {
    EntryPtr entry = std::make_shared<NetnsEntry>();
    MountStamp stamp;
    bool by_name = false;  ///< asked for by name or path: stays while absent
  };
  struct Process {
    EntryPtr entry = std::make_shared<NetnsEntry>();
    pid_t pid = 0;
    bool ended = false;
  };

  std::vector<NetnsRef> find_pattern(const NetnsSelector& selector);
  NetnsRef find_process(const NetnsSelector& selector);
  NetnsRef follow_file(const std::string& path);
  [[nodiscard]] bool is_matched(const std::string& path) const;
  bool look_at_next();
  void begin_round();
  bool continue_round();
  void look_at(const std::string& source);
  EntryPtr look_at_file(const std::string& path);
  void note_change(const NetnsIdentity& before, const NetnsEntry& entry);
  bool open_file(const std::string& path, File& file);
  void look_at_process(Process& process);
  void set_stamp(const std::string& path, File& file, MountStamp stamp);
  bool replace(const EntryPtr& entry, Result<Netns> found);
  void forget_file(const std::string& path);
  void forget_cookie(const EntryPtr& entry);

  std::map<std::string, File> files_;              // by path
  std::map<std::string, Process> processes_;       // by text
  std::map<std::string, NetnsSelector> patterns_;  // by text
  EntryPtr own_;
  std::multimap<std::uint64_t, EntryPtr> by_cookie_;  // of those that are present
  std::unordered_multimap<std::uint64_t, std::string> by_mount_;
  std::set<std::string> links_;  ///< and files that are no namespace (yet)

  std::set<std::string> suspects_;      // sources
  std::set<std::string> failed_looks_;  // not to be tried again at once
  // A round: a look at everything. First the folders, then every file.
  std::optional<FolderListing> listing_;
  std::set<std::string> unlisted_folders_;
  std::optional<std::string> round_place_;  ///< the file that was looked at last
  bool wants_round_ = false;

  std::set<NetnsIdentity> changed_;
  std::uint64_t revision_ = 0;
};

}  // namespace nsrelay
