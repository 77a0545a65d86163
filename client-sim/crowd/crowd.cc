#include "client-sim/crowd/crowd.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <unordered_set>
#include <utility>

namespace nightjar::crowd {
namespace {

constexpr double kSecond = 1e9;
constexpr int kTries = 8;  // to find somebody on line to write

double ChanceOf(Dice& dice) { return static_cast<double>(dice.Next() >> 11) * 0x1.0p-53; }

// Between `low` and `high`, every doubling as likely as the next: small ones more often.
double SmallOften(double chance, double low, double high) {
  return low * std::pow(high / low, chance);
}

}  // namespace

Crowd::Crowd(const Profile& profile, uint64_t seed, std::string prefix)
    : profile_(profile), seed_(seed), prefix_(std::move(prefix)), dice_(seed * 2 + 1) {
  Dice dice(seed * 2);
  const double floor = std::floor(profile_.devices);
  for (int64_t user = 0; user < profile_.users; ++user) {
    first_device_.push_back(devices());
    const auto count =
        static_cast<int>(floor) + (ChanceOf(dice) < profile_.devices - floor ? 1 : 0);
    for (int i = 0; i < count; ++i) user_of_.push_back(static_cast<uint32_t>(user));
  }
  first_device_.push_back(devices());
  online_.assign(devices(), true);
  MakeChats(dice);
  Weigh();
}

std::string Crowd::DeviceName(uint32_t device) const {
  return "d" + std::to_string(device - first_device_[user_of_[device]]);
}

void Crowd::MakeChats(Dice& dice) {
  if (profile_.contacts > 0) MakePairs(dice);
  direct_ = static_cast<uint32_t>(chats_.size());
  MakeGroups(dice);
  if (profile_.watches == 0) return;
  friends_.resize(users());
  for (uint32_t i = 0; i < direct_; ++i) {
    const auto& members = chats_[i].members;
    friends_[members[0]].push_back(members[1]);
    friends_[members[1]].push_back(members[0]);
  }
}

void Crowd::MakePairs(Dice& dice) {
  const uint32_t n = users();
  if (profile_.contacts == 1) {
    for (uint32_t user = 0; user + 1 < n; user += 2) chats_.push_back({false, {user, user + 1}});
    return;
  }
  const auto wanted = static_cast<uint64_t>(static_cast<double>(n) * profile_.contacts / 2);
  std::unordered_set<uint64_t> known;
  for (uint64_t tries = 0; known.size() < wanted && tries < wanted * 20; ++tries) {
    const auto a = static_cast<uint32_t>(dice.Below(n)), b = static_cast<uint32_t>(dice.Below(n));
    if (a == b) continue;
    if (!known.insert(uint64_t{std::min(a, b)} << 32 | std::max(a, b)).second) continue;
    chats_.push_back({false, {a, b}});
  }
}

void Crowd::MakeGroups(Dice& dice) {
  for (int64_t i = 0; i < profile_.groups; ++i) {
    const auto size = std::min<uint32_t>(
        users(), static_cast<uint32_t>(
                     std::lround(SmallOften(ChanceOf(dice), static_cast<double>(profile_.group_min),
                                            static_cast<double>(profile_.group_max)))));
    Chat chat{true, {}};
    std::unordered_set<uint32_t> in;
    // Floyd's sampling: `size` different users, each set as likely as the next.
    for (uint32_t last = users() - size; last < users(); ++last) {
      auto user = static_cast<uint32_t>(dice.Below(uint64_t{last} + 1));
      if (!in.insert(user).second) in.insert(user = last);
      chat.members.push_back(user);
    }
    chats_.push_back(std::move(chat));
  }
}

void Crowd::Weigh() {
  // The k-th chat is written to in proportion to 1 / k^zipf, among direct chats and among groups.
  const auto weigh = [&](size_t count, std::vector<double>& sums) {
    double sum = 0;
    for (size_t k = 1; k <= count; ++k) {
      sums.push_back(sum += std::pow(static_cast<double>(k), -profile_.zipf));
    }
  };
  weigh(direct_, direct_weight_);
  weigh(chats_.size() - direct_, group_weight_);
}

std::vector<uint32_t> Crowd::Watches(uint32_t device) const {
  std::vector<uint32_t> watched;
  const auto most = static_cast<size_t>(profile_.watches);
  if (most == 0) return watched;
  const uint32_t self = user_of_[device];
  for (const uint32_t user : friends_[self]) {
    if (watched.size() < most) watched.push_back(user);
  }
  Dice dice(seed_ * 31 + device);
  for (int tries = 0; watched.size() < most && tries < 100; ++tries) {
    const auto user = static_cast<uint32_t>(dice.Below(users()));
    if (user != self && std::find(watched.begin(), watched.end(), user) == watched.end()) {
      watched.push_back(user);
    }
  }
  return watched;
}

double Crowd::Lot(uint32_t device) const {
  Dice dice(seed_ * 17 + device);
  return ChanceOf(dice);
}

int64_t Crowd::Wait(double mean_s) {
  return static_cast<int64_t>(-std::log1p(-Chance()) * mean_s * kSecond);
}

int64_t Crowd::Gap(double rate) {
  if (profile_.arrivals == "even") return static_cast<int64_t>(kSecond / rate);
  return Wait(1 / rate);
}

void Crowd::Begin(int64_t now_ns) {
  turns_.clear();
  for (uint32_t device = 0; device < devices(); ++device) {
    if (Chance() >= profile_.online) {
      turns_.push_back({now_ns, device});  // goes at once
    } else if (profile_.stay > 0) {
      turns_.push_back({now_ns + Wait(profile_.stay), device});
    }
  }
  std::make_heap(turns_.begin(), turns_.end(), std::greater<>());
  if (profile_.storm_every > 0) {
    storm_at_ns_ = now_ns + static_cast<int64_t>(profile_.storm_every * kSecond);
  }
  if (profile_.history > 0) history_at_ns_ = now_ns + Gap(profile_.history);
}

void Crowd::Write(double rate, int64_t now_ns) {
  rate_ = rate;
  write_at_ns_ = rate > 0 ? now_ns + Gap(rate) : INT64_MAX;
}

void Crowd::End() {
  write_at_ns_ = history_at_ns_ = storm_at_ns_ = INT64_MAX;
  turns_.clear();
  online_.assign(devices(), true);
}

int64_t Crowd::NextAt() const {
  const int64_t turn = turns_.empty() ? INT64_MAX : turns_.front().at_ns;
  return std::min({write_at_ns_, history_at_ns_, storm_at_ns_, turn});
}

Deed Crowd::Take() {
  const int64_t at_ns = NextAt();
  if (at_ns == write_at_ns_) {
    write_at_ns_ += Gap(rate_);
    return WriteDeed(Deed::Kind::kWrite, at_ns);
  }
  if (at_ns == history_at_ns_) {
    history_at_ns_ += Gap(profile_.history);
    return WriteDeed(Deed::Kind::kHistory, at_ns);
  }
  if (at_ns == storm_at_ns_) {
    storm_at_ns_ += static_cast<int64_t>(profile_.storm_every * kSecond);
    ++storm_;
    return {Deed::Kind::kStorm, at_ns, 0, 0, 0};
  }
  const uint32_t device = turns_.front().device;
  std::pop_heap(turns_.begin(), turns_.end(), std::greater<>());
  turns_.pop_back();
  Deed deed{Deed::Kind::kReturn, at_ns, device, 0, 0};
  if (online_[device]) {
    deed.kind = Chance() < profile_.cut ? Deed::Kind::kDrop : Deed::Kind::kLeave;
  }
  online_[device] = !online_[device];
  Turns(device, at_ns);
  return deed;
}

void Crowd::Turns(uint32_t device, int64_t now_ns) {
  if (profile_.stay <= 0) return;  // who is away stays away
  turns_.push_back({now_ns + Wait(online_[device] ? profile_.stay : profile_.away), device});
  std::push_heap(turns_.begin(), turns_.end(), std::greater<>());
}

uint32_t Crowd::PickChat() {
  const bool group = direct_ == 0 || Chance() < profile_.group_share;
  const auto& sums = group ? group_weight_ : direct_weight_;
  const auto at = std::upper_bound(sums.begin(), sums.end(), Chance() * sums.back());
  const auto place = std::min<size_t>(static_cast<size_t>(at - sums.begin()), sums.size() - 1);
  return static_cast<uint32_t>(place + (group ? direct_ : 0));
}

uint32_t Crowd::Bytes() {
  if (profile_.text_max <= profile_.text) return static_cast<uint32_t>(profile_.text);
  return static_cast<uint32_t>(std::lround(SmallOften(Chance(), static_cast<double>(profile_.text),
                                                      static_cast<double>(profile_.text_max))));
}

Deed Crowd::WriteDeed(Deed::Kind kind, int64_t at_ns) {
  Deed deed{kind, at_ns, 0, 0, Bytes()};
  for (int tries = 0; tries < kTries; ++tries) {
    deed.chat = PickChat();
    const auto& members = chats_[deed.chat].members;
    const uint32_t user = members[dice_.Below(members.size())];
    const uint32_t first = first_device_[user], count = first_device_[user + 1] - first;
    deed.device = first + static_cast<uint32_t>(dice_.Below(count));
    if (online_[deed.device]) break;
  }
  return deed;  // if nobody was on line, it waits on a device that is not
}

bool Crowd::InStorm(uint32_t device) const {
  Dice dice(seed_ * 101 + storm_ * 1'000'003 + device);
  return ChanceOf(dice) < profile_.storm_share;
}

}  // namespace nightjar::crowd
