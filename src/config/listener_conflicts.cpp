#include "listener_conflicts.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include "netns_selector.hpp"

namespace nsrelay {
namespace {

/// One socket (or a range of them) that a rule would open in a namespace, as numbers.
struct Claim {
  int place;  // protocol, device and address
  int netns;
  PortRange ports;
  std::uint32_t draft;
  std::uint32_t listen;
  std::uint32_t selector;
};
using Claims = std::span<const Claim>;

/// Gives equal texts equal numbers, counted from 0.
class Numbering {
 public:
  int number_of(const std::string& text) {
    const auto [entry, is_new] = numbers_.try_emplace(text, static_cast<int>(texts_.size()));
    if (is_new)
      texts_.push_back(text);
    return entry->second;
  }
  [[nodiscard]] const std::string& text_of(int number) const {
    return texts_[static_cast<std::size_t>(number)];
  }

 private:
  std::map<std::string, int> numbers_;
  std::vector<std::string> texts_;
};

bool is_pattern(const std::string& netns) {
  return netns.find_first_of("*?[") != std::string::npos;
}

std::string describe(const ZonedAddress& address) {
  if (!address.address.is_v6())
    return address.address.to_string();
  std::string out = "[";
  out.append(address.address.to_string());
  if (!address.zone.empty())
    out.append("%").append(address.zone);
  return out.append("]");
}

std::string describe(const ListenSpec& listen) {
  std::string out = listen.dual_stack ? "*" : describe(listen.addresses.front());
  for (std::size_t i = 1; i < listen.addresses.size(); ++i)
    out.append("+").append(describe(listen.addresses[i]));
  out.append(":").append(std::to_string(listen.ports.first));
  if (listen.ports.size() > 1)
    out.append("-").append(std::to_string(listen.ports.last));
  return out;
}

/// The addresses that a socket occupies: a dual-stack one both wildcards.
std::vector<ZonedAddress> occupied(const ListenSpec& listen) {
  if (listen.dual_stack)
    return {{IpAddress::any_v4(), ""}, {IpAddress::any_v6(), ""}};
  return listen.addresses;
}

class ConflictFinder {
 public:
  ConflictFinder(const std::vector<RuleDraft>& drafts, FaultList& faults)
      : drafts_(drafts), faults_(faults) {}

  void run() {
    for (std::uint32_t draft = 0; draft < drafts_.size(); ++draft)
      if (drafts_[draft].protocol_is_known && !add_claims(draft))
        return;
    std::sort(claims_.begin(), claims_.end(), [](const Claim& a, const Claim& b) {
      return std::tie(a.place, a.netns, a.ports.first, a.draft, a.listen) <
             std::tie(b.place, b.netns, b.ports.first, b.draft, b.listen);
    });
    for (const Claims place : split(claims_, &Claim::place))
      check_place(place);
  }

 private:
  bool add_claims(std::uint32_t draft);
  void add_claims_of(std::uint32_t draft, std::uint32_t listen, int place);
  static std::vector<Claims> split(Claims sorted, int Claim::*by);
  void check_place(Claims place);
  [[nodiscard]] bool is_other_spelling(const Claim& one, const Claim& other) const;
  void check_group(Claims group);
  void check_pattern(Claims pattern, Claims name);
  void report(const Claim& one, const Claim& other);

  const std::vector<RuleDraft>& drafts_;
  FaultList& faults_;
  Numbering places_;
  Numbering netns_;
  std::vector<Claim> claims_;
  /// What was reported: (later draft, its listen, earlier draft), so that a pair of rules that
  /// share many namespaces is one fault.
  std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> reported_;
  /// Work left for comparing names with patterns. Only a file made to be slow uses it up.
  std::size_t budget_ = 10'000'000;
};

/// False when the file is refused for its size.
bool ConflictFinder::add_claims(std::uint32_t draft) {
  const ForwardRule& rule = drafts_[draft].rule;
  const std::string socket = std::string(to_string(rule.protocol)) + " " + rule.bind_device + " ";
  for (std::uint32_t listen = 0; listen < rule.listen.size(); ++listen) {
    for (const ZonedAddress& address : occupied(rule.listen[listen])) {
      if (claims_.size() + rule.netns.size() > kMostListenerPairs) {
        faults_.add(drafts_[draft].node->position, "too many listeners; allowed: at most " +
                                                       std::to_string(kMostListenerPairs) +
                                                       " pairs of netns and listen in the file");
        return false;
      }
      add_claims_of(draft, listen, places_.number_of(socket + describe(address)));
    }
  }
  return true;
}

void ConflictFinder::add_claims_of(std::uint32_t draft, std::uint32_t listen, int place) {
  const ForwardRule& rule = drafts_[draft].rule;
  for (std::uint32_t selector = 0; selector < rule.netns.size(); ++selector)
    claims_.push_back({place, netns_.number_of(canonical_text(rule.netns[selector])),
                       rule.listen[listen].ports, draft, listen, selector});
}

/// The runs of claims with an equal member.
std::vector<Claims> ConflictFinder::split(Claims sorted, int Claim::*by) {
  std::vector<Claims> runs;
  while (!sorted.empty()) {
    const auto end = std::find_if(sorted.begin(), sorted.end(),
                                  [&](const Claim& one) { return one.*by != sorted.front().*by; });
    const auto length = static_cast<std::size_t>(end - sorted.begin());
    runs.push_back(sorted.first(length));
    sorted = sorted.subspan(length);
  }
  return runs;
}

void ConflictFinder::check_place(Claims place) {
  std::vector<Claims> patterns;
  std::vector<Claims> names;
  for (const Claims group : split(place, &Claim::netns)) {
    check_group(group);
    (is_pattern(netns_.text_of(group.front().netns)) ? patterns : names).push_back(group);
  }
  for (const Claims pattern : patterns)
    for (const Claims name : names)
      check_pattern(pattern, name);
}

/// One entry of one rule may name a namespace in two ways: it opens one listener there.
bool ConflictFinder::is_other_spelling(const Claim& one, const Claim& other) const {
  if (one.draft != other.draft || one.listen != other.listen)
    return false;
  const auto& netns = drafts_[one.draft].rule.netns;
  return netns[one.selector].text != netns[other.selector].text;
}

/// Claims of one namespace, by first port: one that begins before the farthest end so far
/// overlaps.
void ConflictFinder::check_group(Claims group) {
  const Claim* farthest = &group.front();
  for (const Claim& claim : group.subspan(1)) {
    if (claim.ports.first <= farthest->ports.last && !is_other_spelling(*farthest, claim))
      report(*farthest, claim);
    if (claim.ports.last > farthest->ports.last)
      farthest = &claim;
  }
}

/// Claims of a pattern and of a name, each by first port.
void ConflictFinder::check_pattern(Claims pattern, Claims name) {
  const std::size_t work = 1 + pattern.size() + name.size();
  if (budget_ < work)
    return;
  budget_ -= work;
  if (::fnmatch(netns_.text_of(pattern.front().netns).c_str(),
                netns_.text_of(name.front().netns).c_str(), FNM_PATHNAME) != 0)
    return;
  std::array<const Claim*, 2> farthest = {nullptr, nullptr};
  while (!pattern.empty() || !name.empty()) {
    const bool take_name = pattern.empty() || (!name.empty() && name.front().ports.first <
                                                                    pattern.front().ports.first);
    Claims& side = take_name ? name : pattern;
    const Claim& claim = side.front();
    side = side.subspan(1);
    const Claim* other = farthest[take_name ? 0 : 1];
    // One rule may name a namespace and match it: it opens one listener there.
    if (other != nullptr && claim.ports.first <= other->ports.last && claim.draft != other->draft)
      report(*other, claim);
    const Claim*& own = farthest[take_name ? 1 : 0];
    if (own == nullptr || claim.ports.last > own->ports.last)
      own = &claim;
  }
}

void ConflictFinder::report(const Claim& one, const Claim& other) {
  const bool in_order = std::tie(one.draft, one.listen) < std::tie(other.draft, other.listen);
  const Claim& first = in_order ? one : other;
  const Claim& later = in_order ? other : one;
  if (!reported_.insert({later.draft, later.listen, first.draft}).second)
    return;
  const RuleDraft& draft = drafts_[later.draft];
  const std::string line = std::to_string(drafts_[first.draft].listen_positions[first.listen].line);
  const std::string owner =
      first.draft == later.draft
          ? "is listed twice in this rule (first at line " + line + ")"
          : "conflicts with " + rule_label(drafts_[first.draft]) + " (line " + line + ")";
  faults_.add(draft.listen_positions[later.listen],
              "listen: " + rule_label(draft) + ": " + describe(draft.rule.listen[later.listen]) +
                  " in netns " + in_quotes(draft.rule.netns[later.selector].text) + " " + owner);
}

}  // namespace

void check_listener_conflicts(const std::vector<RuleDraft>& drafts, FaultList& faults) {
  ConflictFinder(drafts, faults).run();
}

}  // namespace nsrelay
