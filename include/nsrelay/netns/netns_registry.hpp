#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "nsrelay/config/forward_rule.hpp"
#include "nsrelay/netns/mount_stamp.hpp"
#include "nsrelay/netns/netns.hpp"

namespace nsrelay {

/// What a user calls a namespace, and what is behind the name at present.
struct NetnsEntry {
  /// As it stands in logs: the name, the last part of a path, `pid:N`, or `default`.
  std::string name;
  /// What it is looked up by: the path of its file, `pid:N`, or `default`. Two files in different
  /// folders may have one name.
  std::string source;
  /// Absent while there is none.
  std::optional<Netns> netns;
  /// Why it is absent, for a person.
  std::string why_absent;

  /// Whether the namespace with this identity is what the name means now.
  [[nodiscard]] bool is(std::uint64_t cookie) const { return netns && netns->cookie() == cookie; }
};

/// Shared by whoever needs to know what the name means at the moment, because a name may go while a
/// connection that began under it goes on. Changed by the registry alone.
using NetnsRef = std::shared_ptr<const NetnsEntry>;

/// The namespaces that the configuration speaks of, by name, path, pattern or process.
///
/// Theory of operation. Nothing is followed until somebody asks for a selector; from then on every
/// refresh() looks again. Namespace files are kept by path, so that a name and a pattern that
/// matches it share one entry. A file is opened only when it looks different from the last time
/// (mount_stamp.hpp): a refresh of thousands that did not change costs one statx(2) each.
/// Whoever calls refresh() decides when: see NetnsWatcher.
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

  struct Refreshed {
    bool changed = false;  ///< a name came, went, or means another namespace
    bool more = false;     ///< the bound was reached: call again
  };

  /// Looks at every name again. One whose name is gone, or means another namespace now, lets go of
  /// the old one; one that cannot be looked at now (out of descriptors) stays as it is. At most
  /// `most_opened` files are opened, so that thousands that appear together can be taken in slices:
  /// the next call goes on where this one stopped. What changed meanwhile behind that place is not
  /// seen before the call after the last slice.
  Refreshed refresh(std::size_t most_opened = SIZE_MAX);

  /// Stops following what none of `selectors` means.
  void forget_all_but(const std::vector<NetnsSelector>& selectors);

  /// The identities of all namespaces that are present, the own one included.
  [[nodiscard]] std::set<std::uint64_t> present_cookies() const;

  /// The folders whose content matters.
  [[nodiscard]] std::set<std::string> folders() const;

  /// The processes that are followed and alive, with their pidfds (borrowed until the next
  /// refresh), which are readable when they end.
  [[nodiscard]] std::map<pid_t, int> live_processes() const;

 private:
  using EntryPtr = std::shared_ptr<NetnsEntry>;

  struct File {
    EntryPtr entry = std::make_shared<NetnsEntry>();
    MountStamp stamp;
    std::uint64_t round = 0;  ///< the last one in which it was opened; 0: never
    bool by_name = false;     ///< asked for by name or path: stays while absent
    bool listed = false;      ///< seen in its folder by this refresh
  };
  struct Process {
    EntryPtr entry = std::make_shared<NetnsEntry>();
    pid_t pid = 0;
    bool ended = false;
  };
  struct Pattern {
    std::string folder;  ///< without a slash at its end
    std::string glob;
  };
  struct Slice;

  std::vector<NetnsRef> find_pattern(const NetnsSelector& selector);
  NetnsRef find_process(const NetnsSelector& selector);
  File& follow_file(const std::string& path);
  [[nodiscard]] bool is_matched(const std::string& path) const;
  void list_folders();
  static void look_at_file(const std::string& path, File& file, Slice& slice);
  static void look_at_process(Process& process, Slice& slice);
  static void replace(NetnsEntry& entry, Result<Netns> found, Slice& slice);

  std::map<std::string, File> files_;         // by path
  std::map<std::string, Process> processes_;  // by text
  std::map<std::string, Pattern> patterns_;   // by text
  EntryPtr own_;
  std::uint64_t round_ = 1;  // of looks at everything, each in one slice or more
  bool is_round_over_ = true;
};

/// What logs and `{netns}` call the namespace of `selector`.
std::string netns_display_name(const NetnsSelector& selector);

}  // namespace nsrelay
