#include "demo_sctp.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "nsrelay/net/sctp_message.hpp"
#include "nsrelay/net/sctp_socket.hpp"
#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {
namespace {

constexpr Duration kPatience{5000};
constexpr std::size_t kSizes[] = {1, 64, 1400, 9000, 32768, 65537, 100'000};
constexpr SctpStreams kStreams{16, 16};

/// A whole message; empty at the end of the association.
struct Message {
  std::vector<std::byte> bytes;
  SctpMessageInfo info;
};

Result<UniqueFd> make_socket(const Netns& netns, int family) {
  auto socket = make_socket_in(netns, family, SOCK_STREAM, IPPROTO_SCTP);
  if (!socket)
    return explain_missing_sctp(std::move(socket).error());
  auto set = apply_sctp_options(socket->get(), {});
  if (set)
    set = request_sctp_streams(socket->get(), kStreams);
  if (!set)
    return std::move(set).error();
  return socket;
}

/// Reads on until a message is whole. `wait` is called before every read.
template <class Wait>
Result<Message> receive_message(int fd, std::vector<std::byte>& buffer, Wait wait) {
  Message message;
  for (;;) {
    if (Result<void> ready = wait(); !ready)
      return std::move(ready).error();
    const SctpReceived received = receive_sctp(fd, buffer);
    if (received.io.status == IoStatus::Error)
      return Error::from_errno("receive", received.io.error);
    if (received.io.status == IoStatus::Eof || received.notice == SctpNotice::Closed)
      return Message{};
    if (received.io.status != IoStatus::Ok || received.notice != SctpNotice::None)
      continue;
    message.info = received.info;
    message.bytes.insert(message.bytes.end(), buffer.begin(),
                         buffer.begin() + static_cast<std::ptrdiff_t>(received.io.bytes));
    if (received.ends_message)
      return message;
  }
}

Result<void> exchange_one(const Interruptible& signals, int fd, const Message& sent,
                          std::vector<std::byte>& buffer) {
  if (const IoResult done = send_sctp(fd, sent.bytes, sent.info); done.status != IoStatus::Ok)
    return Error::from_errno("send", done.error);
  auto got = receive_message(fd, buffer, [&] { return signals.wait_for(fd, POLLIN, kPatience); });
  if (!got)
    return std::move(got).error();
  if (got->bytes != sent.bytes || !(got->info == sent.info))
    return Error("a message came back changed");
  return {};
}

void echo(int fd, std::vector<std::byte>& buffer) {
  for (;;) {
    const auto message = receive_message(fd, buffer, [] { return Result<void>(); });
    if (!message || message->bytes.empty() ||
        send_sctp(fd, message->bytes, message->info).status != IoStatus::Ok)
      return;
  }
}

}  // namespace

Result<SctpAnswer> exchange_messages(const Interruptible& signals, const Netns& netns,
                                     const SocketAddress& server) {
  const auto began = std::chrono::steady_clock::now();
  auto socket = make_socket(netns, server.family());
  if (!socket)
    return std::move(socket).error();
  if (auto connecting = connect_sctp(socket->get(), {&server, 1}); !connecting)
    return std::move(connecting).error();
  if (auto ready = signals.wait_for(socket->get(), POLLOUT, kPatience); !ready)
    return std::move(ready).error().with_context("connect");
  SctpAnswer answer;
  std::vector<std::byte> buffer(std::size_t{256} * 1024);
  for (const std::size_t size : kSizes) {
    const auto number = static_cast<std::uint16_t>(answer.messages);
    const Message sent{std::vector<std::byte>(size, static_cast<std::byte>('a' + number)),
                       {.stream = static_cast<std::uint16_t>(number * 2),
                        .ppid = number * 0x01010101U,
                        .unordered = number % 2 == 1}};
    if (auto done = exchange_one(signals, socket->get(), sent, buffer); !done)
      return std::move(done).error().with_context("message of " + std::to_string(size) + " bytes");
    ++answer.messages;
    answer.bytes += size;
  }
  answer.time = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - began);
  return answer;
}

Result<UniqueFd> listen_sctp_in(const Netns& netns, const SocketAddress& address) {
  auto socket = make_socket(netns, address.family());
  if (!socket)
    return socket;
  ::fcntl(socket->get(), F_SETFL, 0);
  if (auto bound = bind_sctp(socket->get(), {&address, 1}); !bound)
    return std::move(bound).error();
  if (::listen(socket->get(), 64) != 0)
    return explain_missing_sctp(Error::from_errno("listen"));
  return socket;
}

void serve_sctp_echo(int listening_socket) {
  std::vector<std::byte> buffer(std::size_t{256} * 1024);
  for (;;) {
    const auto client =
        UniqueFd::adopt(::accept4(listening_socket, nullptr, nullptr, SOCK_CLOEXEC));
    if (client)
      echo(client.get(), buffer);
  }
}

}  // namespace nsrelay
