#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "nsrelay/net/datagram.hpp"

namespace nsrelay {

/// What is known of one socket's ability to send a run as one message that the kernel or the
/// device cuts (UDP_SEGMENT, udp(7)). It starts hopeful and learns from errors, for good.
class Segmentation {
 public:
  [[nodiscard]] bool allows(std::size_t segment_size) const { return segment_size <= largest_; }

  /// `error` came for a message with segments of `segment_size`. Returns whether it says that this
  /// cannot be cut, so that the same datagrams are to be sent one by one.
  bool learn(int error, std::size_t segment_size);

 private:
  std::size_t largest_ = std::numeric_limits<std::size_t>::max();
};

/// Sends runs of datagrams in order, with few system calls: many in one sendmmsg(2), and
/// neighbours of one size as one message with UDP_SEGMENT. Each datagram leaves as it was cut.
///
///     sender.clear();  sender.add(run, path); …
///     while (const int error = sender.send(fd, v6, segmentation))
///       dropped += sender.skip_failed();
///
/// One is enough for all sockets of a thread. Runs and paths are borrowed until the next clear().
class DatagramSender {
 public:
  /// Runs that can be added.
  static constexpr std::size_t kMost = 64;

  struct Amount {
    std::uint64_t datagrams = 0;
    std::uint64_t bytes = 0;

    Amount& operator+=(const Amount& other) {
      datagrams += other.datagrams;
      bytes += other.bytes;
      return *this;
    }
  };

  DatagramSender();
  DatagramSender(const DatagramSender&) = delete;
  DatagramSender& operator=(const DatagramSender&) = delete;

  void clear();

  /// `path`: where to, and which address to send from; null on a connected socket. Runs are only
  /// joined where they have the same one (the same object). Not more than kMost.
  void add(const DatagramRun& run, const DatagramPath* path);

  /// Sends from where it stopped. Returns 0 when nothing is left, else the errno of the message
  /// that is next, which was not sent. `connected_v6`: the family, where paths are null.
  int send(int fd, bool connected_v6, Segmentation& segmentation) noexcept;

  /// Goes past the message that failed; returns the number of its datagrams. Only after an error.
  std::size_t skip_failed() noexcept;

  /// Goes past everything that was not sent; returns the number of datagrams.
  std::size_t skip_rest() noexcept;

  /// Calls `take` with each run that was neither sent nor skipped.
  template <class Take>
  void for_each_rest(Take take) const {
    for (Place place = next_; place.run < count_; place = {place.run + 1, 0})
      take(rest_of_run(place));
  }

  /// Since clear().
  [[nodiscard]] const Amount& sent() const { return sent_; }

 private:
  static constexpr std::size_t kMostPieces = 2 * kMost;
  static constexpr std::size_t kControlSize = 96;

  struct Place {
    std::size_t run = 0;
    std::size_t offset = 0;  // in its data
  };
  struct Message {
    Place end;  // where the next one begins
    std::size_t segment_size = 0;
    std::size_t bytes = 0;
    std::size_t datagrams = 0;
    union {
      sockaddr_in v4;
      sockaddr_in6 v6;
    } peer;
    alignas(cmsghdr) std::array<std::byte, kControlSize> control;
  };

  std::size_t build(bool connected_v6, const Segmentation& segmentation);
  void gather(Message& message, Place& place, const Segmentation& segmentation);
  [[nodiscard]] bool can_join(const Message& message, std::size_t first, const Place& place) const;
  void append(Message& message, Place& place, std::size_t most);
  [[nodiscard]] DatagramRun rest_of_run(const Place& place) const;
  void write_header(Message& message, msghdr& header, std::size_t run, bool connected_v6);
  static socklen_t write_peer(Message& message, const DatagramPath& path);
  void advance(std::size_t messages);

  std::array<DatagramRun, kMost> runs_;
  std::array<const DatagramPath*, kMost> paths_;
  std::array<Message, kMost> messages_;
  std::array<mmsghdr, kMost> headers_{};
  std::array<iovec, kMostPieces> pieces_;
  std::size_t count_ = 0;
  std::size_t piece_count_ = 0;
  Place next_;
  Amount sent_;
};

}  // namespace nsrelay
