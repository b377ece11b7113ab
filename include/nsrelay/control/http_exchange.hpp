#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "nsrelay/base/delegate.hpp"

namespace nsrelay {

class HttpConnection;

/// What a client asked for.
struct HttpRequest {
  std::string method;                            ///< `GET`; a HEAD is given as GET
  std::string path;                              ///< `/status`, decoded
  std::map<std::string, std::string> arguments;  ///< of the query, decoded; the last of a name
};

/// A body that is made piece by piece as the client reads, so that a long one neither holds up the
/// loop nor fills memory.
class HttpBody {
 public:
  HttpBody() = default;
  HttpBody(const HttpBody&) = delete;
  HttpBody& operator=(const HttpBody&) = delete;
  virtual ~HttpBody() = default;

  /// Appends some more, best about 16 KiB. False: that was the last of it.
  virtual bool append_next(std::string& out) noexcept = 0;
};

struct HttpAnswer {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  /// What follows `body`; null: nothing.
  std::unique_ptr<HttpBody> rest{};

  /// `{"error": message}`. `message` may have any bytes.
  static HttpAnswer error(int status, std::string_view message);
};

/// One request and the way to answer it, now or later. Whoever answers later shares it; it stays
/// valid when the client or the server is gone.
class HttpExchange {
 public:
  HttpExchange(HttpConnection& connection, HttpRequest request)
      : connection_(&connection), request_(std::move(request)) {}
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  [[nodiscard]] const HttpRequest& request() const { return request_; }

  /// Whether the client is still there and has no answer yet.
  [[nodiscard]] bool is_open() const { return connection_ != nullptr; }

  /// Does nothing when it is not open.
  void answer(HttpAnswer answer);

 private:
  friend class HttpConnection;

  HttpConnection* connection_;
  const HttpRequest request_;
};

using HttpExchangePtr = std::shared_ptr<HttpExchange>;

/// Who answers what.
struct HttpRoute {
  std::string method;  ///< GET or POST
  std::string path;
  Delegate<void(const HttpExchangePtr&)> handler;
};

}  // namespace nsrelay
