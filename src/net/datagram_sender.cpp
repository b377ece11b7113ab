#include "nsrelay/net/datagram_sender.hpp"

#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

namespace nsrelay {
namespace {

// What every kernel with UDP_SEGMENT takes: udp(7), UDP_MAX_SEGMENTS, and a 16-bit length field.
constexpr std::size_t kMostSegments = 64;
constexpr std::size_t kMostBytes = 65000;

/// Appends control messages to a header whose msg_control has room for them.
class ControlWriter {
 public:
  explicit ControlWriter(msghdr& header) : header_(header) { header_.msg_controllen = 0; }

  template <class Value>
  void put(int level, int type, const Value& value) {
    auto* control = reinterpret_cast<cmsghdr*>(static_cast<std::byte*>(header_.msg_control) +
                                               header_.msg_controllen);
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(control), &value, sizeof value);
    header_.msg_controllen += CMSG_SPACE(sizeof value);
  }

 private:
  msghdr& header_;
};

void put_source(ControlWriter& control, const DatagramPath& path) {
  if (path.local.is_any())
    return;
  if (path.local.is_v6()) {
    in6_pktinfo info{};
    info.ipi6_addr = path.local.v6();
    info.ipi6_ifindex = path.scope;
    control.put(IPPROTO_IPV6, IPV6_PKTINFO, info);
  } else {
    in_pktinfo info{};
    info.ipi_spec_dst = path.local.v4();
    control.put(IPPROTO_IP, IP_PKTINFO, info);
  }
}

/// sendmmsg(2), or for one message its cheaper sibling. Never blocks.
int send_messages(int fd, mmsghdr* headers, std::size_t count) {
  constexpr int kFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
  if (count == 1)
    return ::sendmsg(fd, &headers->msg_hdr, kFlags) < 0 ? -1 : 1;
  return ::sendmmsg(fd, headers, static_cast<unsigned>(count), kFlags);
}

}  // namespace

bool Segmentation::learn(int error, std::size_t segment_size) {
  switch (error) {
    case EINVAL:  // larger than the way's MTU
    case EMSGSIZE:
      largest_ = std::min(largest_, segment_size - 1);
      return true;
    case EIO:  // the device cannot do checksums, or IPsec is on the way
    case EOPNOTSUPP:
    case ENOPROTOOPT:
      largest_ = 0;
      return true;
    default:
      return false;
  }
}

DatagramSender::DatagramSender() {
  for (std::size_t i = 0; i < kMost; ++i)
    headers_[i].msg_hdr.msg_control = messages_[i].control.data();
}

void DatagramSender::clear() {
  count_ = 0;
  next_ = {};
  sent_ = {};
}

void DatagramSender::add(const DatagramRun& run, const DatagramPath* path) {
  runs_[count_] = run;
  paths_[count_] = path;
  ++count_;
}

int DatagramSender::send(int fd, bool connected_v6, Segmentation& segmentation) noexcept {
  // A message that was refused as a whole: whether cutting was the fault shows when its first
  // datagram goes alone.
  std::optional<std::pair<int, std::size_t>> suspect;
  Segmentation alone;
  (void)alone.learn(EIO, 0);
  while (next_.run < count_) {
    const std::size_t built = build(connected_v6, suspect ? alone : segmentation);
    const int sent = send_messages(fd, headers_.data(), built);
    if (sent > 0) {
      if (suspect)
        (void)segmentation.learn(suspect->first, suspect->second);
      suspect.reset();
      advance(static_cast<std::size_t>(sent));
      continue;
    }
    const int error = errno;
    if (error == EINTR)
      continue;
    const Message& failed = messages_.front();
    Segmentation trial;
    if (failed.datagrams == 1 || !trial.learn(error, failed.segment_size))
      return error;
    suspect.emplace(error, failed.segment_size);
  }
  return 0;
}

std::size_t DatagramSender::build(bool connected_v6, const Segmentation& segmentation) {
  piece_count_ = 0;
  std::size_t built = 0;
  for (Place place = next_; built < kMost && place.run < count_ && piece_count_ < kMostPieces;
       ++built) {
    Message& message = messages_[built];
    msghdr& header = headers_[built].msg_hdr;
    const std::size_t run = place.run;
    header.msg_iov = &pieces_[piece_count_];
    gather(message, place, segmentation);
    message.end = place;
    header.msg_iovlen = static_cast<std::size_t>(&pieces_[piece_count_] - header.msg_iov);
    write_header(message, header, run, connected_v6);
  }
  return built;
}

/// One datagram, or as many of this and the following runs as one message can have.
void DatagramSender::gather(Message& message, Place& place, const Segmentation& segmentation) {
  const std::size_t first = place.run;
  message.segment_size = runs_[first].segment_size;
  message.bytes = message.datagrams = 0;
  if (message.segment_size == 0 || !segmentation.allows(message.segment_size) ||
      2 * message.segment_size > kMostBytes) {
    append(message, place, message.segment_size);
    return;
  }
  while (place.run < count_ && piece_count_ < kMostPieces && can_join(message, first, place)) {
    const std::size_t room = std::min(kMostSegments - message.datagrams,
                                      (kMostBytes - message.bytes) / message.segment_size);
    if (room == 0)
      return;
    append(message, place, room * message.segment_size);
    if (message.bytes % message.segment_size != 0)
      return;  // only the last may be shorter
  }
}

bool DatagramSender::can_join(const Message& message, std::size_t first, const Place& place) const {
  const DatagramRun& run = runs_[place.run];
  const bool has_size = run.segment_size == message.segment_size ||
                        (run.segment_size < message.segment_size && run.count() == 1);
  return has_size && !run.data.empty() && run.traffic_class == runs_[first].traffic_class &&
         paths_[place.run] == paths_[first];
}

/// Appends the next `most` bytes at `place`, or what its run has left, and moves it on.
void DatagramSender::append(Message& message, Place& place, std::size_t most) {
  const DatagramRun rest = rest_of_run(place);
  const auto piece = rest.data.first(std::min(most, rest.data.size()));
  pieces_[piece_count_++] = {const_cast<std::byte*>(piece.data()), piece.size()};
  message.bytes += piece.size();
  message.datagrams += DatagramRun{piece, rest.segment_size}.count();
  place.offset += piece.size();
  if (piece.size() == rest.data.size())
    place = {place.run + 1, 0};
}

DatagramRun DatagramSender::rest_of_run(const Place& place) const {
  DatagramRun rest = runs_[place.run];
  rest.data = rest.data.subspan(place.offset);
  return rest;
}

void DatagramSender::write_header(Message& message, msghdr& header, std::size_t run,
                                  bool connected_v6) {
  const DatagramPath* path = paths_[run];
  const bool v6 = path != nullptr ? path->peer.ip.is_v6() : connected_v6;
  header.msg_name = path != nullptr ? &message.peer : nullptr;
  header.msg_namelen = 0;
  header.msg_control = message.control.data();
  ControlWriter control(header);
  if (message.datagrams > 1)
    control.put(SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(message.segment_size));
  if (const int traffic_class = runs_[run].traffic_class; traffic_class != 0)
    control.put(v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, traffic_class);
  if (path != nullptr) {
    put_source(control, *path);
    header.msg_namelen = write_peer(message, *path);
  }
  if (header.msg_controllen == 0)
    header.msg_control = nullptr;
}

socklen_t DatagramSender::write_peer(Message& message, const DatagramPath& path) {
  if (path.peer.ip.is_v6()) {
    message.peer.v6 = {};
    message.peer.v6.sin6_family = AF_INET6;
    message.peer.v6.sin6_port = htons(path.peer.port);
    message.peer.v6.sin6_addr = path.peer.ip.v6();
    message.peer.v6.sin6_scope_id = path.scope;
    return sizeof message.peer.v6;
  }
  message.peer.v4 = {};
  message.peer.v4.sin_family = AF_INET;
  message.peer.v4.sin_port = htons(path.peer.port);
  message.peer.v4.sin_addr = path.peer.ip.v4();
  return sizeof message.peer.v4;
}

void DatagramSender::advance(std::size_t messages) {
  for (std::size_t i = 0; i < messages; ++i) {
    sent_.datagrams += messages_[i].datagrams;
    sent_.bytes += messages_[i].bytes;
  }
  next_ = messages_[messages - 1].end;
}

std::size_t DatagramSender::skip_failed() noexcept {
  next_ = messages_.front().end;
  return messages_.front().datagrams;
}

std::size_t DatagramSender::skip_rest() noexcept {
  std::size_t datagrams = 0;
  for_each_rest([&](const DatagramRun& run) { datagrams += run.count(); });
  next_ = {count_, 0};
  return datagrams;
}

}  // namespace nsrelay
