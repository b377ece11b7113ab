#pragma once

#include <utility>

namespace nsrelay {

template <class Signature>
class Delegate;

/// A member function bound to its object: two pointers, no allocation, nothing owned. It is what
/// the reactor calls, so the function must be noexcept; the object must outlive the last call.
///
///     Delegate<void(std::uint32_t)>::to<&Connection::on_event>(this)
template <class... Arguments>
class Delegate<void(Arguments...)> {
 public:
  Delegate() = default;

  template <auto Member, class Object>
  static Delegate to(Object* object) {
    static_assert(noexcept((object->*Member)(std::declval<Arguments>()...)),
                  "a reactor callback is noexcept");
    Delegate delegate;
    delegate.object_ = object;
    delegate.call_ = [](void* opaque, Arguments... arguments) noexcept {
      (static_cast<Object*>(opaque)->*Member)(arguments...);
    };
    return delegate;
  }

  explicit operator bool() const { return call_ != nullptr; }
  void operator()(Arguments... arguments) const noexcept { call_(object_, arguments...); }

  /// The same function of the same object.
  friend bool operator==(const Delegate&, const Delegate&) = default;

 private:
  void* object_ = nullptr;
  void (*call_)(void*, Arguments...) noexcept = nullptr;
};

}  // namespace nsrelay
