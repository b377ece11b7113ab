#include "value_readers.hpp"

#include <algorithm>
#include <charconv>

namespace nsrelay {
namespace {

/// The text of a number or a boolean, which in YAML is not in quotes.
const std::string* unquoted_value(const OptionInput& input) {
  if (input.value.kind == YamlNode::Kind::Scalar && !input.value.quoted)
    return &input.value.text;
  if (input.value.kind != YamlNode::Kind::Scalar)
    add_type_fault(input, input.value);
  else
    add_fault(input, input.value.position,
              "expected " + describe_values(input.option.values) + " without quotes");
  return nullptr;
}

bool check_range(const OptionInput& input, std::int64_t value) {
  const OptionValues& values = input.option.values;
  if (value >= values.least && value <= values.most)
    return true;
  add_fault(input, input.value.position,
            in_quotes(input.value.text) + " is out of range; allowed: " + describe_values(values));
  return false;
}

bool is_number(std::string_view text) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  const bool leading_zero = digits.size() > 1 && digits.front() == '0';
  return !digits.empty() && !leading_zero &&
         digits.find_first_not_of("0123456789") == std::string_view::npos;
}

std::optional<std::int64_t> read_integer(const OptionInput& input) {
  const std::string* text = unquoted_value(input);
  if (text == nullptr)
    return std::nullopt;
  if (!is_number(*text)) {
    add_type_fault(input, input.value);
    return std::nullopt;
  }
  std::int64_t value = 0;
  const auto [rest, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc())
    value = text->starts_with('-') ? INT64_MIN : INT64_MAX;
  return check_range(input, value) ? std::optional(value) : std::nullopt;
}

}  // namespace

bool read_value(const OptionInput& input, bool& field) {
  const std::string* text = unquoted_value(input);
  if (text == nullptr)
    return false;
  if (*text != "true" && *text != "false") {
    add_type_fault(input, input.value);
    return false;
  }
  field = *text == "true";
  return true;
}

bool read_value(const OptionInput& input, int& field) {
  const auto value = read_integer(input);
  if (value)
    field = static_cast<int>(*value);
  return value.has_value();
}

bool read_value(const OptionInput& input, std::uint32_t& field) {
  const auto value = read_integer(input);
  if (value)
    field = static_cast<std::uint32_t>(*value);
  return value.has_value();
}

bool read_value(const OptionInput& input, Duration& field) {
  const std::string* text = text_value(input);
  if (text == nullptr)
    return false;
  const auto value = parse_duration(*text);
  if (!value) {
    add_fault(input, input.value.position, value.error().message());
    return false;
  }
  if (!check_range(input, value->count()))
    return false;
  if (input.option.values.whole_seconds && value->count() % 1000 != 0) {
    add_type_fault(input, input.value);
    return false;
  }
  field = *value;
  return true;
}

bool read_value(const OptionInput& input, ByteSize& field) {
  const std::string* text = text_value(input);
  if (text == nullptr)
    return false;
  const auto value = parse_byte_size(*text);
  if (!value) {
    add_fault(input, input.value.position, value.error().message());
    return false;
  }
  if (!check_range(input, static_cast<std::int64_t>(value->bytes)))
    return false;
  field = *value;
  return true;
}

std::optional<std::size_t> read_choice(const OptionInput& input) {
  const std::string* text = text_value(input);
  if (text == nullptr)
    return std::nullopt;
  const auto choices = input.option.values.choices;
  const auto choice = std::find(choices.begin(), choices.end(), *text);
  if (choice != choices.end())
    return static_cast<std::size_t>(choice - choices.begin());
  add_fault(input, input.value.position,
            in_quotes(*text) + " is not allowed; allowed: " + describe_values(input.option.values));
  return std::nullopt;
}

bool is_absent_word(const OptionInput& input) {
  return input.value.kind == YamlNode::Kind::Scalar && !input.option.values.absent.empty() &&
         input.value.text == input.option.values.absent;
}

const std::string* text_value(const OptionInput& input) {
  if (input.value.kind == YamlNode::Kind::Scalar)
    return &input.value.text;
  add_type_fault(input, input.value);
  return nullptr;
}

std::vector<const YamlNode*> text_entries(const OptionInput& input, bool may_be_empty) {
  if (input.value.kind == YamlNode::Kind::Scalar)
    return {&input.value};
  if (input.value.kind != YamlNode::Kind::Sequence) {
    add_type_fault(input, input.value);
    return {};
  }
  if (input.value.items.empty() && !may_be_empty)
    add_fault(input, input.value.position,
              "the list is empty; expected " + describe_values(input.option.values));
  std::vector<const YamlNode*> entries;
  for (const YamlNode* item : input.value.items) {
    if (item->kind == YamlNode::Kind::Scalar)
      entries.push_back(item);
    else
      add_type_fault(input, *item);
  }
  return entries;
}

void add_text_fault(const OptionInput& input, const YamlNode& text, const Error& error) {
  add_fault(input, text.position, in_quotes(text.text) + ": " + error.message());
}

}  // namespace nsrelay
