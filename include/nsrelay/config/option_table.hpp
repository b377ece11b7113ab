#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "nsrelay/config/forward_rule.hpp"

namespace nsrelay {

/// The mapping of the file in which an option stands.
enum class OptionScope : std::uint8_t {
  Top,
  Log,
  Control,
  Metrics,
  Rule,
  Upstream,
  Health,
  PerSource,
  Target,
};

enum class OptionType : std::uint8_t { Boolean, Integer, TimeSpan, Size, Choice, Other };

/// Which values an option takes.
struct OptionValues {
  OptionType type = OptionType::Other;
  /// Integer; TimeSpan in milliseconds; Size in bytes. Both included.
  std::int64_t least = 0;
  std::int64_t most = 0;
  /// Choice: the words, in the order of the enumeration that they become.
  std::span<const std::string_view> choices = {};
  /// The word for "no value": `off`, `none`; empty where a value is needed.
  std::string_view absent = {};
  /// A TimeSpan that must be whole seconds.
  bool whole_seconds = false;
  /// Other: the allowed forms in words.
  std::string_view form = {};
};

/// A set of protocols, as bits.
using ProtocolSet = unsigned;
constexpr ProtocolSet protocol_bit(Protocol protocol) {
  return 1U << static_cast<unsigned>(protocol);
}
inline constexpr ProtocolSet kAnyProtocol =
    protocol_bit(Protocol::Tcp) | protocol_bit(Protocol::Udp) | protocol_bit(Protocol::Sctp);

/// One option being read (private to the loader).
struct OptionInput;

/// Everything there is to know about one key of the configuration file. The loader, its messages
/// and the tables of docs/configuration.md are all made from these rows.
struct Option {
  OptionScope scope = OptionScope::Top;
  std::string_view key;
  /// Checks a value and stores it. Values that are not there at all never come here.
  void (*read)(const OptionInput& input) = nullptr;
  OptionValues values = {};
  /// What holds where the key is absent, as the documentation writes it; `required` where it may
  /// not be absent.
  std::string_view standard = {};
  ProtocolSet protocols = kAnyProtocol;
  /// Rule options: whether `defaults` may have it.
  bool in_defaults = true;
  /// Whether a reload applies a changed value; if not, it needs a restart.
  bool reloadable = true;
  std::string_view help = {};

  [[nodiscard]] bool is_required() const { return standard == "required"; }
};

/// All options, in the order in which they are read and documented.
std::span<const Option> option_table();

/// The row of `key` in `scope`, or null.
const Option* find_option(OptionScope scope, std::string_view key);

/// Where a scope stands, for messages: "'upstream'", "a rule", "the top level".
std::string_view scope_name(OptionScope scope);

/// The key with the mappings around it, counted from the rule for options of a rule:
/// "log.level", "idle_timeout", "upstream.netns".
std::string option_path(const Option& option);

/// The allowed values in words: "true or false", "1 to 65535", "a duration from 1ms to 596h, or
/// off".
std::string describe_values(const OptionValues& values);

/// "tcp, udp"
std::string describe_protocols(ProtocolSet protocols);

}  // namespace nsrelay
