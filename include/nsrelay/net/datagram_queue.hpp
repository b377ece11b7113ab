#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nsrelay/net/datagram.hpp"
#include "nsrelay/net/datagram_sender.hpp"

namespace nsrelay {

/// Copies of datagrams that have to wait, in order. Bounded for itself (64 runs, 4 MiB) and, with
/// all other queues of one budget, by that.
class DatagramQueue {
 public:
  /// Bytes that all queues together may hold.
  struct Budget {
    std::size_t left = std::size_t{16} * 1024 * 1024;
  };

  /// Borrows `budget`, which must outlive it.
  explicit DatagramQueue(Budget& budget) : budget_(budget) {}
  DatagramQueue(const DatagramQueue&) = delete;
  DatagramQueue& operator=(const DatagramQueue&) = delete;
  ~DatagramQueue();

  /// Keeps a copy. False: a bound is reached, nothing was kept.
  bool push(const DatagramRun& run);

  /// Adds everything to `sender` (which must be clear), for a connected socket. Borrows: the queue
  /// must live until it is sent.
  void add_to(DatagramSender& sender) const;

  /// How many datagrams it holds.
  [[nodiscard]] std::size_t count() const;

 private:
  struct Entry {
    std::uint32_t size = 0;
    std::uint32_t segment_size = 0;
    std::uint8_t traffic_class = 0;
  };

  template <class Take>
  void for_each(Take take) const;

  Budget& budget_;
  std::vector<std::byte> bytes_;
  std::vector<Entry> entries_;
};

}  // namespace nsrelay
