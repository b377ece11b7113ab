#include "nsrelay/net/datagram_queue.hpp"

namespace nsrelay {
namespace {

// The largest runs that can be: a whole batch of them.
constexpr std::size_t kMostBytes = std::size_t{4} * 1024 * 1024;
// What an entry costs besides its bytes, so that empty datagrams are not free.
constexpr std::size_t kOverhead = 16;

}  // namespace

DatagramQueue::~DatagramQueue() {
  budget_.left += bytes_.size() + entries_.size() * kOverhead;
}

bool DatagramQueue::push(const DatagramRun& run) {
  const std::size_t size = run.data.size();
  if (entries_.size() == DatagramSender::kMost || bytes_.size() + size > kMostBytes ||
      size + kOverhead > budget_.left)
    return false;
  budget_.left -= size + kOverhead;
  bytes_.insert(bytes_.end(), run.data.begin(), run.data.end());
  entries_.push_back({static_cast<std::uint32_t>(size), run.segment_size, run.traffic_class});
  return true;
}

template <class Take>
void DatagramQueue::for_each(Take take) const {
  std::size_t offset = 0;
  for (const Entry& entry : entries_) {
    take(
        DatagramRun{{bytes_.data() + offset, entry.size}, entry.segment_size, entry.traffic_class});
    offset += entry.size;
  }
}

void DatagramQueue::add_to(DatagramSender& sender) const {
  for_each([&](const DatagramRun& run) { sender.add(run, nullptr); });
}

std::size_t DatagramQueue::count() const {
  std::size_t datagrams = 0;
  for_each([&](const DatagramRun& run) { datagrams += run.count(); });
  return datagrams;
}

}  // namespace nsrelay
