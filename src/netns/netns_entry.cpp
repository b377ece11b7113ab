#include "nsrelay/netns/netns_entry.hpp"

#include <fnmatch.h>

#include <string_view>

namespace nsrelay {
namespace {

constexpr std::string_view kNamedFolder = "/run/netns";

using Kind = NetnsSelector::Kind;

/// Without making a string: asked for every rule when a namespace changes.
bool is_in_folder(std::string_view path, std::string_view folder) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos)
    return false;
  return slash == 0 ? folder == "/" : path.substr(0, slash) == folder;
}

bool is_named(std::string_view path, std::string_view name) {
  return is_in_folder(path, kNamedFolder) && path.substr(kNamedFolder.size() + 1) == name;
}

}  // namespace

NetnsIdentity identity_of(const NetnsEntry& entry) {
  if (entry.netns)
    return {entry.netns->cookie(), ""};
  return {0, entry.source};
}

std::string netns_display_name(const NetnsSelector& selector) {
  return selector.kind == Kind::Path ? last_part(selector.text) : selector.text;
}

std::string path_of(const NetnsSelector& selector) {
  return selector.kind == Kind::Name ? join_path(std::string(kNamedFolder), selector.text)
                                     : selector.text;
}

std::string folder_of(const NetnsSelector& selector) {
  return selector.kind == Kind::PathPattern ? folder_of_path(selector.text)
                                            : std::string(kNamedFolder);
}

std::string folder_of_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string last_part(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::string join_path(const std::string& folder, const std::string& name) {
  return folder == "/" ? "/" + name : folder + "/" + name;
}

bool matches_name(const NetnsSelector& pattern, const std::string& name) {
  const char* glob = pattern.text.c_str();
  if (pattern.kind == Kind::PathPattern)
    glob += pattern.text.rfind('/') + 1;
  return ::fnmatch(glob, name.c_str(), FNM_PERIOD) == 0;
}

bool means(const NetnsSelector& selector, const NetnsEntry& entry) {
  switch (selector.kind) {
    case Kind::Default:
    case Kind::Path:
    case Kind::Pid:
      return entry.source == selector.text;
    case Kind::Name:
      return is_named(entry.source, selector.text);
    case Kind::NamePattern:
      return entry.netns && is_in_folder(entry.source, kNamedFolder) &&
             matches_name(selector, entry.name);
    case Kind::PathPattern:
      return entry.netns && is_in_folder(entry.source, folder_of_path(selector.text)) &&
             matches_name(selector, entry.name);
    case Kind::Same:
      break;
  }
  return false;
}

}  // namespace nsrelay
