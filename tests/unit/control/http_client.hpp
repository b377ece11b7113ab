#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "support/loop_test.hpp"
#include "support/sockets.hpp"

namespace nsrelay::test {

/// A client that gathers what the server says.
class HttpClient {
 public:
  explicit HttpClient(const SocketAddress& server) : socket_(connect_to(server)) {}

  void send(std::string_view text) const { send_text(socket_, text); }
  void get(std::string_view target) const {
    send("GET " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }

  /// Reads what is there; true when the server has closed.
  bool is_over() {
    char buffer[65536];
    ssize_t count = 0;
    while ((count = ::recv(socket_.get(), buffer, sizeof buffer, 0)) > 0)
      text_.append(buffer, static_cast<std::size_t>(count));
    return count == 0 || errno != EAGAIN;
  }

  void leave() { socket_.close(); }

  [[nodiscard]] const std::string& text() const { return text_; }
  /// "200"
  [[nodiscard]] std::string status() const {
    return text_.size() < 12 ? std::string() : text_.substr(9, 3);
  }
  [[nodiscard]] std::string body() const {
    const std::size_t end = text_.find("\r\n\r\n");
    return end == std::string::npos ? std::string() : text_.substr(end + 4);
  }

 private:
  UniqueFd socket_;
  std::string text_;
};

}  // namespace nsrelay::test
