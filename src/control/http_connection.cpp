#include "http_connection.hpp"

#include <microhttpd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "nsrelay/control/http_server.hpp"
#include "nsrelay/net/socket_options.hpp"

namespace nsrelay {
namespace {

constexpr std::size_t kMostBodyBytes = std::size_t{64} * 1024;
constexpr std::size_t kPieceBytes = std::size_t{32} * 1024;

MHD_Result add_argument(void* arguments, MHD_ValueKind /*kind*/, const char* name,
                        std::size_t name_size, const char* value, std::size_t value_size) {
  static_cast<std::map<std::string, std::string>*>(arguments)->insert_or_assign(
      std::string(name, name_size), value == nullptr ? "" : std::string(value, value_size));
  return MHD_YES;
}

/// Gives libmicrohttpd a body as it asks for it.
class BodyReader {
 public:
  explicit BodyReader(HttpAnswer answer)
      : text_(std::move(answer.body)), rest_(std::move(answer.rest)) {}

  static ssize_t read(void* self, std::uint64_t /*position*/, char* out, std::size_t room) {
    return static_cast<BodyReader*>(self)->read_some(out, room);
  }
  static void destroy(void* self) { delete static_cast<BodyReader*>(self); }

 private:
  ssize_t read_some(char* out, std::size_t room) {
    while (at_ == text_.size()) {
      if (!rest_)
        return MHD_CONTENT_READER_END_OF_STREAM;
      text_.clear();
      at_ = 0;
      if (!rest_->append_next(text_))
        rest_.reset();
    }
    const std::size_t count = std::min(room, text_.size() - at_);
    std::memcpy(out, text_.data() + at_, count);
    at_ += count;
    return static_cast<ssize_t>(count);
  }

  std::string text_;
  std::size_t at_ = 0;
  std::unique_ptr<HttpBody> rest_;
};

MHD_Response* make_response(HttpAnswer answer) {
  if (answer.rest)
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, kPieceBytes, &BodyReader::read,
                                             new BodyReader(std::move(answer)),
                                             &BodyReader::destroy);
  return MHD_create_response_from_buffer(answer.body.size(), answer.body.data(),
                                         MHD_RESPMEM_MUST_COPY);
}

}  // namespace

void HttpExchange::answer(HttpAnswer answer) {
  if (HttpConnection* connection = std::exchange(connection_, nullptr))
    connection->answer(std::move(answer));
}

HttpConnection::HttpConnection(HttpServer& server, EventLoop& loop, MHD_Connection& connection,
                               int fd)
    : server_(server),
      loop_(loop),
      connection_(connection),
      fd_(fd),
      deadline_(loop.timers(), Delegate<void()>::to<&HttpConnection::on_deadline>(this)),
      hangup_watcher_(loop) {
  deadline_.start(loop.now() + kRequestTime);
  // libmicrohttpd, edge-triggered itself, does not see an end that came together with a part of a
  // request.
  (void)hangup_watcher_.start(fd_, EPOLLRDHUP | EPOLLET,
                              IoCallback::to<&HttpConnection::on_request_end>(this));
}

HttpConnection::~HttpConnection() {
  // The client went, or the server goes.
  if (exchange_)
    exchange_->connection_ = nullptr;
}

bool HttpConnection::on_headers(std::string_view method, const char* path) {
  HttpRequest request{std::string(method == "HEAD" ? "GET" : method), path, {}};
  MHD_get_connection_values_n(&connection_, MHD_GET_ARGUMENT_KIND, &add_argument,
                              &request.arguments);
  exchange_ = std::make_shared<HttpExchange>(*this, std::move(request));
  return true;
}

bool HttpConnection::on_body(std::size_t bytes) {
  body_bytes_ += bytes;
  return body_bytes_ <= kMostBodyBytes;
}

bool HttpConnection::on_complete() {
  if (!std::exchange(is_dispatched_, true)) {
    deadline_.stop();
    hangup_watcher_.stop();
    server_.dispatch(exchange_);
  }
  if (answer_)
    return send(*std::exchange(answer_, std::nullopt));
  if (!exchange_->is_open())
    return false;
  wait_for_answer();
  return true;
}

void HttpConnection::on_request_end(std::uint32_t /*events*/) noexcept {
  sends_no_more_ = true;
  server_.run_soon_.schedule();
}

void HttpConnection::end_if_abandoned() const {
  if (sends_no_more_ && !is_dispatched_ && readable_bytes(fd_) == 0)
    cut();
}

void HttpConnection::wait_for_answer() {
  waiting_ = true;
  MHD_suspend_connection(&connection_);
  // libmicrohttpd does not look at it any more: a client that leaves would keep its place.
  (void)hangup_watcher_.start(fd_, 0, IoCallback::to<&HttpConnection::on_hangup>(this));
}

void HttpConnection::on_hangup(std::uint32_t /*events*/) noexcept {
  give_up();
}

void HttpConnection::give_up() {
  if (!std::exchange(waiting_, false))
    return;
  exchange_->connection_ = nullptr;
  hangup_watcher_.stop();
  cut();
  MHD_resume_connection(&connection_);
  server_.run_soon_.schedule();
}

void HttpConnection::answer(HttpAnswer answer) {
  answer_ = std::move(answer);
  if (!std::exchange(waiting_, false))
    return;  // from the handler itself
  hangup_watcher_.stop();
  MHD_resume_connection(&connection_);
  server_.run_soon_.schedule();
}

bool HttpConnection::send(HttpAnswer answer) {
  const auto status = static_cast<unsigned>(answer.status);
  const std::string content_type = answer.content_type;
  MHD_Response* response = make_response(std::move(answer));
  if (response == nullptr)
    return false;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type.c_str());
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
  MHD_add_response_header(response, MHD_HTTP_HEADER_SERVER, "nsrelay/" NSRELAY_VERSION);
  const bool queued = MHD_queue_response(&connection_, status, response) == MHD_YES;
  MHD_destroy_response(response);
  deadline_.start(loop_.now() + kAnswerTime);
  return queued;
}

/// libmicrohttpd sees the end of the stream and closes.
void HttpConnection::cut() const {
  ::shutdown(fd_, SHUT_RDWR);
}

}  // namespace nsrelay
