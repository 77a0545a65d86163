// Small containers of the judge, made for very many small instances: names as numbers, queues
// without a minimum size, bits that need no heap for the first 64.
//
// Plain values; one owner.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace nightjar::client::judge {

inline constexpr uint32_t kNone = UINT32_MAX;

// Numbers for strings, from 0 in the order of arrival.
class Names {
 public:
  uint32_t Number(std::string_view name) {
    const auto known = numbers_.find(name);
    if (known != numbers_.end()) return known->second;
    const auto number = static_cast<uint32_t>(names_.size());
    const auto [it, fresh] = numbers_.emplace(std::string(name), number);
    names_.push_back(&it->first);
    return number;
  }
  // kNone if never seen.
  uint32_t Find(std::string_view name) const {
    const auto known = numbers_.find(name);
    return known == numbers_.end() ? kNone : known->second;
  }
  const std::string& Name(uint32_t number) const { return *names_[number]; }
  size_t size() const { return names_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };
  std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>> numbers_;
  std::vector<const std::string*> names_;
};

// A queue in one piece of memory; nothing while empty.
template <typename T>
class Fifo {
 public:
  bool empty() const { return head_ == items_.size(); }
  size_t size() const { return items_.size() - head_; }
  T& operator[](size_t i) { return items_[head_ + i]; }
  const T& operator[](size_t i) const { return items_[head_ + i]; }
  T& front() { return items_[head_]; }
  T& back() { return items_.back(); }
  const T& back() const { return items_.back(); }
  void push_back(T item) { items_.push_back(std::move(item)); }
  T& insert(size_t i, T item) {
    return *items_.insert(items_.begin() + static_cast<int64_t>(head_ + i), std::move(item));
  }
  void pop_front() {
    items_[head_++] = T();
    if (head_ == items_.size()) {
      clear();
    } else if (head_ >= 32 && head_ * 2 >= items_.size()) {
      items_.erase(items_.begin(), items_.begin() + static_cast<int64_t>(head_));
      head_ = 0;
      if (items_.capacity() > 4 * items_.size()) items_.shrink_to_fit();
    }
  }
  void clear() {
    head_ = 0;
    if (items_.capacity() > 64) {
      std::vector<T>().swap(items_);
    } else {
      items_.clear();
    }
  }
  size_t bytes() const { return items_.capacity() * sizeof(T); }

 private:
  std::vector<T> items_;
  size_t head_ = 0;
};

class Bits {
 public:
  bool Get(size_t i) const {
    if (i < 64) return (first_ >> i & 1) != 0;
    return more_ && i / 64 - 1 < more_->size() && ((*more_)[i / 64 - 1] >> i % 64 & 1) != 0;
  }
  void Set(size_t i) {
    if (i < 64) {
      first_ |= uint64_t{1} << i;
      return;
    }
    if (!more_) more_ = std::make_unique<std::vector<uint64_t>>();
    if (more_->size() < i / 64) more_->resize(i / 64);
    (*more_)[i / 64 - 1] |= uint64_t{1} << i % 64;
  }
  size_t bytes() const { return more_ ? more_->capacity() * 8 + sizeof(*more_) : 0; }

 private:
  uint64_t first_ = 0;
  std::unique_ptr<std::vector<uint64_t>> more_;
};

inline uint64_t Mix(uint64_t a, uint64_t b) {
  uint64_t z = (a ^ (b + 0x9e3779b97f4a7c15ULL + (a << 6) + (a >> 2))) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 29)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 32);
}
// Texts are kept as this; the length is part of it.
inline uint64_t HashText(std::string_view text) {
  return Mix(std::hash<std::string_view>()(text), text.size());
}

}  // namespace nightjar::client::judge
