#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "nsrelay/control/http_exchange.hpp"
#include "nsrelay/event/event_loop.hpp"
#include "nsrelay/event/io_watcher.hpp"
#include "nsrelay/event/timer_queue.hpp"

struct MHD_Connection;

namespace nsrelay {

class HttpServer;

/// A client of the HTTP server, from accept to close. libmicrohttpd owns the socket.
class HttpConnection {
 public:
  /// How long a client may take over its request, and over reading the answer.
  static constexpr Duration kRequestTime{10'000};
  static constexpr Duration kAnswerTime{60'000};

  /// Borrows all.
  HttpConnection(HttpServer& server, EventLoop& loop, MHD_Connection& connection, int fd);
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;
  ~HttpConnection();

  // What libmicrohttpd reports. False: the connection is to be cut.
  bool on_headers(std::string_view method, const char* path);
  bool on_body(std::size_t bytes);
  bool on_complete();

  /// Of the exchange: now, from the handler, or later.
  void answer(HttpAnswer answer);

  /// libmicrohttpd has nothing to do at present: a request whose rest will never come ends here.
  void end_if_abandoned() const;

  /// The answer will never come. libmicrohttpd must not be stopped while a connection waits.
  void give_up();

 private:
  void on_deadline() noexcept { cut(); }
  void on_request_end(std::uint32_t events) noexcept;
  void on_hangup(std::uint32_t events) noexcept;
  void wait_for_answer();
  bool send(HttpAnswer answer);
  void cut() const;

  HttpServer& server_;
  EventLoop& loop_;
  MHD_Connection& connection_;
  const int fd_;
  Timer deadline_;
  IoWatcher hangup_watcher_;
  HttpExchangePtr exchange_;
  std::optional<HttpAnswer> answer_;
  std::size_t body_bytes_ = 0;
  bool is_dispatched_ = false;
  bool sends_no_more_ = false;  ///< its end of the stream has come, before its request was complete
  bool waiting_ = false;        ///< suspended, in the words of libmicrohttpd
};

}  // namespace nsrelay
