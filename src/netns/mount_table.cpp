#include "nsrelay/netns/mount_table.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <utility>

namespace nsrelay {
namespace {

/// The kernel gives no more than this at once (seq_file).
constexpr std::size_t kPage = 4096;

/// Takes the first field, which ends with a space.
std::string_view take_field(std::string_view& line) {
  const std::size_t space = line.find(' ');
  const std::string_view field = line.substr(0, space);
  line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  return field;
}

/// Space, tab, newline and backslash stand as three octal digits behind a backslash.
std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(&text[i + 1], &text[i + 1] + 3, code, 8).ec == std::errc()) {
      plain += static_cast<char>(code);
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace

bool MountTable::read(std::size_t most) {
  if (!file_) {
    ++round_;
    rest_.clear();
    file_ = UniqueFd::adopt(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  }
  std::array<char, kPage> page;
  for (; file_ && most > 0; --most) {
    const ssize_t size = ::read(file_.get(), page.data(), page.size());
    if (size < 0)
      file_.close();
    if (size <= 0)
      break;
    rest_.append(page.data(), static_cast<std::size_t>(size));
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1)
      take_line(std::string_view(rest_).substr(begin, end - begin));
    rest_.erase(0, begin);
  }
  if (!file_)
    return false;
  if (most > 0)
    end_round();
  return file_.get() >= 0;
}

/// `36 35 98:0 /root /mount/point ...`
void MountTable::take_line(std::string_view line) {
  const std::string_view text = take_field(line);
  std::uint64_t id = 0;
  std::from_chars(text.data(), text.data() + text.size(), id);
  take_field(line);
  take_field(line);
  const char* begin = line.data();
  take_field(line);
  const std::string_view point = take_field(line);
  const std::string_view root_and_point(
      begin, static_cast<std::size_t>(point.data() + point.size() - begin));
  Mount& mount = mounts_[id];
  if (mount.root_and_point != root_and_point) {
    note(mount.root_and_point);
    note(root_and_point);
    mount.root_and_point = root_and_point;
  }
  mount.round = round_;
}

void MountTable::end_round() {
  file_.close();
  std::erase_if(mounts_, [this](const auto& one) {
    const bool is_gone = one.second.round != round_;
    if (is_gone)
      note(one.second.root_and_point);
    return is_gone;
  });
}

void MountTable::note(std::string_view root_and_point) {
  if (!root_and_point.empty())
    changed_.push_back(unescape(root_and_point.substr(root_and_point.find(' ') + 1)));
}

std::vector<std::string> MountTable::take_changed() {
  return std::exchange(changed_, {});
}

}  // namespace nsrelay
