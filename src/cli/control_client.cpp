#include "control_client.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <utility>

#include "nsrelay/base/unique_fd.hpp"
#include "nsrelay/net/socket_address.hpp"

namespace nsrelay {
namespace {

using Json = nlohmann::json;

/// What a user can do about a failure to connect.
std::string_view advice(int error) {
  switch (error) {
    case ENOENT:
      return " (is nsrelay running? --control names another socket)";
    case ECONNREFUSED:
      return " (nsrelay is not running; the file was left behind)";
    case EACCES:
    case EPERM:
      return " (root and the socket's group may use it)";
    case EAGAIN:
      return " (nsrelay is too busy to answer)";
    default:
      return "";
  }
}

Error connect_error(int error) {
  return Error(errno_text(error).append(advice(error)));
}

void set_patience(const UniqueFd& socket, Duration patience) {
  const timeval time{patience.count() / 1000, patience.count() % 1000 * 1000};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

Result<UniqueFd> connect_to(const ControlQuestion& question) {
  auto address = SocketAddress::unix_path(question.socket);
  if (!address)
    return std::move(address).error();
  UniqueFd socket = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket)
    return Error::from_errno("socket");
  if (question.patience)
    set_patience(socket, *question.patience);
  if (::connect(socket.get(), address->data(), address->size()) != 0)
    return connect_error(errno);
  return socket;
}

Result<void> send_all(const UniqueFd& socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return Error::from_errno("send");
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Result<std::string> receive_all(const UniqueFd& socket) {
  std::string text;
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t count = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (count == 0)
      return text;
    if (count > 0)
      text.append(buffer.data(), static_cast<std::size_t>(count));
    else if (errno == EAGAIN)
      return Error("no answer in time (is the daemon stopped?)");
    else if (errno == ECONNRESET)
      return text;
    else if (errno != EINTR)
      return Error::from_errno("recv");
  }
}

Result<ControlAnswer> exchange_with_daemon(const ControlQuestion& question) {
  auto socket = connect_to(question);
  if (!socket)
    return std::move(socket).error();
  const std::string request =
      std::string(question.method) + " " + question.target + " HTTP/1.0\r\n\r\n";
  // What cannot be sent was not wanted: the answer says why.
  if (auto sent = send_all(*socket, request); !sent && sent.error().number() != EPIPE)
    return std::move(sent).error();
  auto text = receive_all(*socket);
  if (!text)
    return std::move(text).error();
  return parse_answer(*text);
}

}  // namespace

std::string ControlAnswer::error() const {
  const auto found = content.is_object() ? content.find("error") : content.end();
  return found != content.end() && found->is_string() ? found->get<std::string>()
                                                      : "HTTP status " + std::to_string(status);
}

Result<ControlAnswer> parse_answer(std::string_view text) {
  if (text.empty())
    return Error("the daemon closed the connection without an answer; has it stopped?");
  constexpr std::string_view kBegin = "HTTP/1.";
  const std::size_t end = text.find("\r\n\r\n");
  const std::string_view head = text.substr(0, end);
  if (!head.starts_with(kBegin) || head.find("\r\nServer: nsrelay/") == std::string_view::npos)
    return Error("what answers there is not nsrelay");
  ControlAnswer answer;
  const std::string_view status = head.substr(kBegin.size() + 2);
  std::from_chars(status.data(), status.data() + status.size(), answer.status);
  answer.text = end == std::string_view::npos ? "" : text.substr(end + 4);
  answer.content = Json::parse(answer.text, nullptr, false);
  if (answer.content.is_discarded())
    return Error("the answer is cut short; has the daemon stopped?");
  return answer;
}

Result<ControlAnswer> ask_daemon(const ControlQuestion& question) {
  auto answer = exchange_with_daemon(question);
  if (!answer)
    return std::move(answer).error().with_context(question.socket);
  return answer;
}

std::string percent_encoded(std::string_view text) {
  std::string encoded;
  for (const char byte : text) {
    if (std::isalnum(static_cast<unsigned char>(byte)) != 0) {
      encoded += byte;
      continue;
    }
    std::array<char, 4> code;
    std::snprintf(code.data(), code.size(), "%%%02X",
                  static_cast<unsigned>(static_cast<unsigned char>(byte)));
    encoded += code.data();
  }
  return encoded;
}

}  // namespace nsrelay
