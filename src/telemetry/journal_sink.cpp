#include "journal_sink.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>

namespace nsrelay {
namespace {

constexpr std::size_t kMostHeld = std::size_t{1024} * 1024;
constexpr int kSendBuffer = 1024 * 1024;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

/// sd-daemon(3): SD_DEBUG and so on.
char priority_of(LogLevel level) {
  switch (level) {
    case LogLevel::Trace:
    case LogLevel::Debug:
      return '7';
    case LogLevel::Info:
      return '6';
    case LogLevel::Warn:
      return '4';
    case LogLevel::Error:
      return '3';
  }
  return '6';
}

void append_field(std::string& datagram, std::string_view name, std::string_view value) {
  if (value.empty())
    return;
  datagram += name;
  if (value.find('\n') == std::string_view::npos) {
    ((datagram += '=') += value) += '\n';
    return;
  }
  datagram += '\n';
  for (unsigned shift = 0; shift < 64; shift += 8)  // its length, little-endian
    datagram += static_cast<char>(std::uint64_t{value.size()} >> shift & 0xffU);
  (datagram += value) += '\n';
}

template <class Number>
void append_number(std::string& datagram, std::string_view name, Number number) {
  append_field(datagram, name, fmt::format_int(number).c_str());
}

/// `key` as a field of ours: capitals, digits and '_' (systemd.journal-fields(7)).
std::string field_name(std::string_view key) {
  std::string name = "NSRELAY_";
  for (const char character : key) {
    const auto byte = static_cast<unsigned char>(character);
    name += std::isalnum(byte) != 0 ? static_cast<char>(std::toupper(byte)) : '_';
  }
  return name;
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

UniqueFd open_socket() {
  return UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

}  // namespace

Result<std::unique_ptr<JournalSink>> JournalSink::create(const std::string& path) {
  const sockaddr_un address = address_of(path);
  const UniqueFd probe = open_socket();
  UniqueFd socket = open_socket();
  if (!probe || !socket)
    return Error::from_errno("socket");
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Error::from_errno(path);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
  return std::unique_ptr<JournalSink>(new JournalSink(path, std::move(socket)));
}

void JournalSink::write(const LogRecord& record) {
  if (held_bytes_ >= kMostHeld)
    count_dropped();
  else
    hold(format_for_journal(record));
}

void JournalSink::hold(std::string datagram) {
  held_bytes_ += datagram.size();
  held_.push_back(std::move(datagram));
}

void JournalSink::flush() {
  while (!held_.empty()) {
    const Sent sent = send(held_.front());
    if (sent == Sent::Later)
      return;
    if (sent == Sent::Never)
      count_dropped();
    held_bytes_ -= held_.front().size();
    held_.pop_front();
    if (!held_.empty() || dropped_ == 0 || sent == Sent::Never)
      continue;
    hold(format_for_journal({.level = LogLevel::Warn,
                             .event = log_event::kLogDropped,
                             .more = {{"records", std::to_string(dropped_)}}}));
    dropped_ = 0;
  }
}

void JournalSink::count_dropped() {
  ++dropped_;
  ++dropped_total_;
}

JournalSink::Sent JournalSink::send(const std::string& datagram) const {
  switch (send_message(datagram.data(), datagram.size(), -1)) {
    case 0:
      return Sent::Yes;
    case EMSGSIZE:
      return send_as_file(datagram);
    case EACCES:
    case EPERM:
    case EPIPE:
      return Sent::Never;
    default:  // its queue is full, or there is no journald at present
      return Sent::Later;
  }
}

JournalSink::Sent JournalSink::send_as_file(const std::string& datagram) const {
  const UniqueFd file =
      UniqueFd::adopt(::memfd_create("nsrelay-log", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file ||
      ::write(file.get(), datagram.data(), datagram.size()) !=
          static_cast<ssize_t>(datagram.size()) ||
      ::fcntl(file.get(), F_ADD_SEALS, kSeals) != 0)
    return Sent::Never;
  const int error = send_message("", 0, file.get());
  return error == 0 ? Sent::Yes : error == EAGAIN ? Sent::Later : Sent::Never;
}

/// Returns the errno, 0 where it was sent. `file` is passed on unless it is -1.
int JournalSink::send_message(const void* data, std::size_t size, int file) const {
  sockaddr_un address = address_of(path_);
  iovec part{const_cast<void*>(data), size};
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = sizeof address;
  message.msg_iov = &part;
  message.msg_iovlen = size > 0 ? 1 : 0;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (file >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof file);
    std::memcpy(CMSG_DATA(rights), &file, sizeof file);
  }
  return ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL) >= 0 ? 0 : errno;
}

std::string format_for_journal(const LogRecord& record) {
  std::string datagram;
  append_field(datagram, "MESSAGE", format_as_text(record));
  append_field(datagram, "MESSAGE_ID", record.event.id);
  append_field(datagram, "PRIORITY", std::string(1, priority_of(record.level)));
  append_field(datagram, "SYSLOG_IDENTIFIER", "nsrelay");
  append_field(datagram, "SYSLOG_FACILITY", "3");  // daemon, syslog(3)
  append_field(datagram, "NSRELAY_EVENT", record.event.name);
  append_field(datagram, "NSRELAY_RULE", record.rule);
  append_field(datagram, "NSRELAY_NETNS", record.netns);
  append_field(datagram, "NSRELAY_PROTOCOL", record.protocol);
  append_field(datagram, "NSRELAY_CLIENT", record.client);
  append_field(datagram, "NSRELAY_LISTENER", record.listener);
  append_field(datagram, "NSRELAY_UPSTREAM", record.upstream);
  if (record.received)
    append_number(datagram, "NSRELAY_BYTES_RECEIVED", *record.received);
  if (record.sent)
    append_number(datagram, "NSRELAY_BYTES_SENT", *record.sent);
  if (record.duration)
    append_number(datagram, "NSRELAY_DURATION_USEC", record.duration->count());
  append_field(datagram, "NSRELAY_REASON", record.reason);
  for (const LogField& field : record.more)
    append_field(datagram, field_name(field.key), field.value);
  return datagram;
}

bool is_journal_stream(const char* stream, int fd) {
  struct stat info {};
  if (stream == nullptr || ::fstat(fd, &info) != 0)
    return false;
  return fmt::format("{}:{}", info.st_dev, info.st_ino) == stream;
}

}  // namespace nsrelay
