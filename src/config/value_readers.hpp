#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "nsrelay/base/byte_size.hpp"
#include "nsrelay/base/duration.hpp"
#include "nsrelay/base/result.hpp"
#include "option_input.hpp"

namespace nsrelay {

// Each read_value() checks a value against the row of its option and stores it. It returns
// whether it did; if not, it has added a fault and the field is as before.

bool read_value(const OptionInput& input, bool& field);
bool read_value(const OptionInput& input, int& field);
bool read_value(const OptionInput& input, std::uint32_t& field);
bool read_value(const OptionInput& input, Duration& field);
bool read_value(const OptionInput& input, ByteSize& field);

/// The place of a choice in its row's list.
std::optional<std::size_t> read_choice(const OptionInput& input);

/// Whether the value is the row's word for "no value".
bool is_absent_word(const OptionInput& input);

/// The text of a value that must be one; adds a fault and returns null where it is not.
const std::string* text_value(const OptionInput& input);

/// The entries of a value that is one text or a list of texts; what is not text becomes a fault,
/// and so does an empty list unless it `may_be_empty`.
std::vector<const YamlNode*> text_entries(const OptionInput& input, bool may_be_empty = false);

/// Adds the fault `PATH: 'TEXT': what` at a text.
void add_text_fault(const OptionInput& input, const YamlNode& text, const Error& error);

template <class Enum>
requires std::is_enum_v<Enum>
bool read_value(const OptionInput& input, Enum& field) {
  const auto index = read_choice(input);
  if (index)
    field = static_cast<Enum>(*index);
  return index.has_value();
}

template <class Value>
bool read_value(const OptionInput& input, std::optional<Value>& field) {
  if (is_absent_word(input)) {
    field.reset();
    return true;
  }
  Value value{};
  if (!read_value(input, value))
    return false;
  field = value;
  return true;
}

/// The struct that is being filled and has members of type Owner.
template <class Owner>
Owner& owner(ReadContext& context) {
  if constexpr (std::is_same_v<Owner, Config>)
    return context.config;
  else if constexpr (std::is_same_v<Owner, LogConfig>)
    return context.config.log;
  else if constexpr (std::is_same_v<Owner, ForwardRule>)
    return context.draft->rule;
  else if constexpr (std::is_same_v<Owner, UpstreamConfig>)
    return context.draft->rule.upstream;
  else if constexpr (std::is_same_v<Owner, HealthCheck>)
    return context.draft->rule.upstream.health;
  else if constexpr (std::is_same_v<Owner, PerSourceLimit>)
    return context.draft->rule.per_source;
  else
    return *context.target;
}

template <class Owner, class Field>
Field& field_of(ReadContext& context, Field Owner::*member) {
  return owner<Owner>(context).*member;
}

/// A row's `read` for a value whose type says how it is read: `read_field<&LogConfig::level>`.
template <auto Member>
void read_field(const OptionInput& input) {
  read_value(input, field_of(input.context, Member));
}

/// A row's `read` for one text with a form of its own, read by Parse(text).
template <auto Member, auto Parse>
void read_text(const OptionInput& input) {
  const std::string* text = text_value(input);
  if (text == nullptr)
    return;
  auto parsed = Parse(*text);
  if (parsed)
    field_of(input.context, Member) = *std::move(parsed);
  else
    add_text_fault(input, input.value, parsed.error());
}

/// A row's `read` for a text or a list of texts, each read by Parse(text).
template <auto Member, auto Parse, bool may_be_empty = false>
void read_texts(const OptionInput& input) {
  auto& field = field_of(input.context, Member);
  field.clear();
  for (const YamlNode* entry : text_entries(input, may_be_empty)) {
    auto parsed = Parse(entry->text);
    if (parsed)
      field.push_back(*std::move(parsed));
    else
      add_text_fault(input, *entry, parsed.error());
  }
}

}  // namespace nsrelay
