#include "status_view.hpp"

#include <ostream>
#include <string>

#include "human_text.hpp"
#include "text_table.hpp"

namespace nsrelay {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& object, const char* key) {
  return printable(object.at(key).get_ref<const std::string&>());
}

std::string number_of(const Json& object, const char* key) {
  return std::to_string(object.at(key).get<std::uint64_t>());
}

std::string bytes_of(const Json& object, const char* key) {
  return human_bytes(object.at(key).get<double>());
}

void print_head(const Json& status, std::ostream& out) {
  const Json& config = status.at("config");
  const Json& totals = status.at("totals");
  out << "nsrelay " << text_of(status, "version") << ", pid " << status.at("pid") << ", "
      << text_of(status, "state") << ", started " << text_of(status, "started") << '\n'
      << "configuration " << text_of(config, "file") << ", "
      << counted(config.at("rules").get<std::uint64_t>(), "rule") << ", loaded "
      << text_of(config, "loaded") << '\n'
      << "connections " << totals.at("connections_active") << " active, "
      << totals.at("connections_total") << " in total, " << totals.at("connections_failed")
      << " failed; " << bytes_of(totals, "bytes_received") << " received, "
      << bytes_of(totals, "bytes_sent") << " sent\n\n";
}

void print_rules(const Json& rules, std::ostream& out, bool colour) {
  TextTable table({"RULE", "PROTOCOL", "ACTIVE", "TOTAL", "FAILED", "RECEIVED", "SENT"});
  for (std::size_t column = 2; column < 7; ++column)
    table.align_right(column);
  for (const Json& rule : rules)
    table.add({text_of(rule, "name"), text_of(rule, "protocol"),
               number_of(rule, "connections_active"), number_of(rule, "connections_total"),
               number_of(rule, "connections_failed"), bytes_of(rule, "bytes_received"),
               bytes_of(rule, "bytes_sent")});
  table.print(out, colour);
}

void print_listeners(const Json& namespaces, std::ostream& out, bool colour) {
  TextTable table({"NAMESPACE", "LISTENER", "PROTOCOL", "RULE", "ACTIVE", "STATE"});
  table.align_right(4);
  table.colour_cells(5, [](const std::string& cell) {
    return colour_of_state(std::string_view(cell).substr(0, cell.find(':')));
  });
  for (const Json& netns : namespaces) {
    for (const Json& listener : netns.at("listeners")) {
      const std::string reason = text_of(listener, "reason");
      table.add({text_of(listener, "netns"), text_of(listener, "address"),
                 text_of(listener, "protocol"), text_of(listener, "rule"),
                 number_of(listener, "connections_active"),
                 text_of(listener, "state") + (reason.empty() ? "" : ": " + reason)});
    }
  }
  table.print(out, colour);
}

}  // namespace

std::string_view colour_of_state(std::string_view state) {
  if (state == "listening" || state == "present")
    return "\033[32m";
  if (state == "pending" || state == "absent")
    return "\033[33m";
  return "\033[36m";  // draining, deleted
}

void print_status(const Json& status, std::ostream& out, bool colour) {
  print_head(status, out);
  print_rules(status.at("rules"), out, colour);
  out << '\n';
  print_listeners(status.at("namespaces"), out, colour);
}

void print_connections(const Json& connections, std::ostream& out, bool colour) {
  TextTable table({"RULE", "NAMESPACE", "PROTOCOL", "CLIENT", "LISTENER", "UPSTREAM", "FROM", "AGE",
                   "RECEIVED", "SENT"});
  for (std::size_t column = 7; column < 10; ++column)
    table.align_right(column);
  for (const Json& one : connections) {
    const std::string upstream = text_of(one, "upstream");
    table.add({text_of(one, "rule"), text_of(one, "netns"), text_of(one, "protocol"),
               text_of(one, "client"), text_of(one, "listener"),
               upstream.empty() ? "(connecting)" : upstream, text_of(one, "upstream_netns"),
               human_age(one.at("age_seconds").get<double>()), bytes_of(one, "bytes_received"),
               bytes_of(one, "bytes_sent")});
  }
  table.print(out, colour);
}

}  // namespace nsrelay
