#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "nsrelay/net/datagram.hpp"

namespace nsrelay {

class UdpSession;

/// The sessions of one UDP socket by the way that their datagrams come: the client's address and
/// port, and the address that it sends to. Finding, adding and removing cost the same among ten
/// and among ten thousand, whoever chooses the addresses. Borrows the sessions.
class UdpSessionTable {
 public:
  UdpSessionTable();

  /// Nothing where there is none.
  [[nodiscard]] UdpSession* find(const DatagramPath& path) const;

  /// There must be none of that path.
  void add(const DatagramPath& path, UdpSession& session) { sessions_.emplace(path, &session); }
  void remove(const DatagramPath& path) { sessions_.erase(path); }

  /// One of them; nothing where there is none.
  [[nodiscard]] UdpSession* any() const {
    return sessions_.empty() ? nullptr : sessions_.begin()->second;
  }

  /// `visit` must not add or remove.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& [path, session] : sessions_)
      visit(*session);
  }

  [[nodiscard]] std::size_t size() const { return sessions_.size(); }

 private:
  /// Seeded at random, so that nobody can send from addresses that all have the same value.
  struct Hash {
    std::uint64_t seed;
    std::size_t operator()(const DatagramPath& path) const noexcept;
  };

  std::unordered_map<DatagramPath, UdpSession*, Hash> sessions_;
};

}  // namespace nsrelay
