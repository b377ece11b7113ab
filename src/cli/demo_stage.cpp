#include "demo_stage.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <iostream>
#include <sstream>

#include "demo_http.hpp"
#include "demo_sctp.hpp"
#include "demo_udp.hpp"
#include "exit_status.hpp"
#include "nsrelay/config/config_loader.hpp"
#include "nsrelay/daemon/daemon.hpp"
#include "nsrelay/net/sctp_socket.hpp"
#include "nsrelay/net/socket_options.hpp"
#include "nsrelay/netns/netns_scope.hpp"

namespace nsrelay {
namespace {

constexpr std::uint16_t kUsualPort = 8000;
constexpr std::uint16_t kUpstreamPort = 80;
constexpr std::uint16_t kEchoPort = 7;
constexpr Duration kPatience{5000};

SocketAddress loopback(std::uint16_t port) {
  in_addr address{};
  address.s_addr = htonl(INADDR_LOOPBACK);
  return SocketAddress(IpEndpoint{IpAddress(address), port});
}

/// A blocking socket bound to the loopback of `netns`, which listens if it is a stream socket; port
/// 0 lets the kernel choose.
Result<UniqueFd> listen_in(const Netns& netns, std::uint16_t port, int type = SOCK_STREAM) {
  auto socket = make_socket_in(netns, AF_INET, type, 0);
  if (!socket)
    return socket;
  ::fcntl(socket->get(), F_SETFL, 0);
  if (type == SOCK_STREAM)
    (void)set_option(socket->get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  const SocketAddress address = loopback(port);
  if (::bind(socket->get(), address.data(), address.size()) != 0)
    return Error::from_errno("bind " + address.to_string());
  if (type == SOCK_STREAM && ::listen(socket->get(), 64) != 0)
    return Error::from_errno("listen");
  return socket;
}

int run_relay(const std::string& configuration) {
  auto outcome = parse_config(configuration, "demo");
  if (!std::holds_alternative<Config>(outcome))
    return kUsage;
  auto daemon = Daemon::create(std::make_shared<Config>(std::get<Config>(std::move(outcome))));
  if (!daemon)
    return kFailure;
  (*daemon)->run();
  return kSuccess;
}

}  // namespace

Result<std::unique_ptr<DemoStage>> DemoStage::set_up(const Interruptible& signals) {
  std::unique_ptr<DemoStage> stage(new DemoStage(signals));
  for (auto step : {&DemoStage::make_namespaces, &DemoStage::choose_port,
                    &DemoStage::start_upstream, &DemoStage::start_echo, &DemoStage::start_sctp_echo,
                    &DemoStage::start_relay, &DemoStage::wait_until_listening})
    if (auto done = (stage.get()->*step)(); !done)
      return std::move(done).error();
  return stage;
}

Result<void> DemoStage::make_namespaces() {
  const std::string prefix = "demo-" + std::to_string(::getpid()) + "-";
  for (auto& [netns, name] :
       {std::pair{&blue_, "blue"}, {&green_, "green"}, {&upstream_, "upstream"}}) {
    auto made = ThrowawayNetns::create(prefix + name);
    if (!made)
      return std::move(made).error();
    *netns = *std::move(made);
  }
  return {};
}

Result<void> DemoStage::choose_port() {
  auto socket = listen_in(home_netns(), kUsualPort);
  if (!socket || !listen_in(home_netns(), kUsualPort, SOCK_DGRAM))
    socket = listen_in(home_netns(), 0);
  if (!socket)
    return std::move(socket).error();
  SocketAddress bound;
  ::getsockname(socket->get(), bound.data(), bound.size_to_fill());
  port_ = bound.endpoint().port;
  return {};
}

Result<void> DemoStage::start_upstream() {
  auto socket = listen_in(upstream_->netns(), kUpstreamPort);
  if (!socket)
    return std::move(socket).error();
  auto child =
      ChildProcess::start(signals_, [&]() -> int { serve_http(socket->get(), upstream_->name()); });
  if (!child)
    return std::move(child).error();
  upstream_process_ = *std::move(child);
  return {};
}

Result<void> DemoStage::start_echo() {
  auto socket = listen_in(upstream_->netns(), kEchoPort, SOCK_DGRAM);
  if (!socket)
    return std::move(socket).error();
  auto child = ChildProcess::start(signals_, [&]() -> int { serve_udp_echo(socket->get()); });
  if (!child)
    return std::move(child).error();
  echo_process_ = *std::move(child);
  return {};
}

/// Where the kernel has SCTP; elsewhere the demonstration does without.
Result<void> DemoStage::start_sctp_echo() {
  auto socket = listen_sctp_in(upstream_->netns(), loopback(kEchoPort));
  if (!socket && is_sctp_missing(socket.error().number())) {
    why_no_sctp_ = socket.error().message();
    return {};
  }
  if (!socket)
    return std::move(socket).error();
  auto child = ChildProcess::start(signals_, [&]() -> int { serve_sctp_echo(socket->get()); });
  if (!child)
    return std::move(child).error();
  sctp_process_ = *std::move(child);
  return {};
}

Result<void> DemoStage::start_relay() {
  std::ostringstream text;
  text << "rules:\n"
       << rule_text("web", Protocol::Tcp, kUpstreamPort)
       << rule_text("echo", Protocol::Udp, kEchoPort);
  if (has_sctp())
    text << rule_text("signalling", Protocol::Sctp, kEchoPort);
  configuration_ = text.str();
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return Error::from_errno("pipe");
  log_pipe_ = UniqueFd::adopt(ends[0]);
  const UniqueFd log_end = UniqueFd::adopt(ends[1]);
  auto child = ChildProcess::start(signals_, [&] {
    ::dup2(log_end.get(), STDERR_FILENO);
    return run_relay(configuration_);
  });
  if (!child)
    return std::move(child).error();
  relay_process_ = *std::move(child);
  return {};
}

std::string DemoStage::rule_text(const char* name, Protocol protocol, std::uint16_t target) const {
  std::ostringstream text;
  text << "  - name: " << name << "\n";
  if (protocol != Protocol::Tcp)
    text << "    protocol: " << to_string(protocol) << "\n";
  text << "    netns: [default, " << blue_->name() << ", " << green_->name() << "]\n"
       << "    listen: 127.0.0.1:" << port_ << "\n"
       << "    upstream:\n"
       << "      targets: 127.0.0.1:" << target << "\n"
       << "      netns: " << upstream_->name() << "\n";
  return text.str();
}

Result<void> DemoStage::wait_until_listening() {
  while (log_.find("event=started") == std::string::npos) {
    if (auto ready = signals_.wait_for(log_pipe_.get(), POLLIN, kPatience); !ready)
      return std::move(ready).error().with_context("nsrelay does not start");
    if (!read_log())
      return Error("nsrelay does not start: " + log_);
  }
  if (log_.find("pending=0") == std::string::npos)
    return Error("a listener could not be opened:\n" + log_);
  return {};
}

/// Takes what is in the pipe now. False at its end.
bool DemoStage::read_log() {
  std::array<char, 4096> buffer;
  const ssize_t got = ::read(log_pipe_.get(), buffer.data(), buffer.size());
  if (got > 0)
    log_.append(buffer.data(), static_cast<std::size_t>(got));
  return got > 0;
}

std::vector<DemoStage::Place> DemoStage::places() const {
  return {{"default", &home_netns()},
          {blue_->name(), &blue_->netns()},
          {green_->name(), &green_->netns()}};
}

SocketAddress DemoStage::listener() const {
  return loopback(port_);
}

std::string DemoStage::upstream() const {
  return loopback(kUpstreamPort).to_string();
}

std::string DemoStage::echo_upstream() const {
  return loopback(kEchoPort).to_string();
}

bool DemoStage::usual_port_was_taken() const {
  return port_ != kUsualPort;
}

std::vector<std::string> DemoStage::stop_and_read_log() {
  relay_process_.stop();
  while (read_log()) {
  }
  std::vector<std::string> lines;
  std::istringstream stream(log_);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return lines;
}

}  // namespace nsrelay
