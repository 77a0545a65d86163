// The people of a load run: who they are, who talks with whom, and what everybody does when. All of
// it follows from a profile and a seed.
//
// Pure: no I/O, no clock. One owner. Times are steady nanoseconds. The same profile, seed and calls
// give the same people and the same deeds on every machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client-sim/crowd/profile.h"
#include "common/base/dice.h"

namespace nightjar::crowd {

struct Deed {
  enum class Kind : uint8_t {
    kWrite,    // device, chat, bytes
    kHistory,  // device reads the history of chat
    kLeave,    // device says goodbye and goes off line
    kDrop,     // device's line is cut, and it stays away
    kReturn,   // device comes back on line
    kStorm,    // many are cut at once: InStorm() says who
  };
  Kind kind = Kind::kWrite;
  int64_t at_ns = 0;  // when it was meant to happen
  uint32_t device = 0;
  uint32_t chat = 0;
  uint32_t bytes = 0;
};

class Crowd {
 public:
  struct Chat {
    bool group = false;
    std::vector<uint32_t> members;  // users; of a group the first one creates it
  };

  // REQUIRES: Check(profile) is fine.
  Crowd(const Profile& profile, uint64_t seed, std::string prefix);

  uint32_t users() const { return static_cast<uint32_t>(first_device_.size()) - 1; }
  uint32_t devices() const { return static_cast<uint32_t>(user_of_.size()); }
  const std::vector<Chat>& chats() const { return chats_; }
  std::string Uid(uint32_t user) const { return prefix_ + std::to_string(user); }
  uint32_t UserOf(uint32_t device) const { return user_of_[device]; }
  std::string DeviceName(uint32_t device) const;
  // Devices of a user: first to one past the last.
  uint32_t FirstDevice(uint32_t user) const { return first_device_[user]; }
  uint32_t EndDevice(uint32_t user) const { return first_device_[user + 1]; }
  // Users whose presence the device follows.
  std::vector<uint32_t> Watches(uint32_t device) const;
  // A number that belongs to a device for good, 0 to 1: which line it has.
  double Lot(uint32_t device) const;
  bool online(uint32_t device) const { return online_[device]; }

  // -- deeds ------------------------------------------------------------------------------------
  // Life begins: who is off line at first leaves now, comings and goings and storms start.
  void Begin(int64_t now_ns);
  // From now on people write so many messages a second. 0: nobody writes.
  void Write(double rate, int64_t now_ns);
  // Nobody does anything any more; whoever is away is to come back.
  void End();
  // When the next deed is meant to happen; INT64_MAX: never.
  int64_t NextAt() const;
  // REQUIRES: NextAt() is not INT64_MAX.
  Deed Take();
  // Of the present storm: does it take this device?
  bool InStorm(uint32_t device) const;

 private:
  struct Turn {  // a device's next coming or going
    int64_t at_ns;
    uint32_t device;
    bool operator>(const Turn& other) const { return at_ns > other.at_ns; }
  };

  void MakeChats(Dice& dice);
  void MakePairs(Dice& dice);
  void MakeGroups(Dice& dice);
  void Weigh();
  double Chance() { return static_cast<double>(dice_.Next() >> 11) * 0x1.0p-53; }
  int64_t Wait(double mean_s);
  int64_t Gap(double rate);
  Deed WriteDeed(Deed::Kind kind, int64_t at_ns);
  uint32_t PickChat();
  uint32_t Bytes();
  void Turns(uint32_t device, int64_t now_ns);

  Profile profile_;
  uint64_t seed_;
  std::string prefix_;
  Dice dice_;
  std::vector<uint32_t> user_of_;                     // by device
  std::vector<uint32_t> first_device_;                // by user, and one more
  std::vector<bool> online_;                          // by device
  std::vector<Chat> chats_;                           // direct ones first
  uint32_t direct_ = 0;                               // how many of them
  std::vector<double> direct_weight_, group_weight_;  // sums up to each chat, for picking
  std::vector<std::vector<uint32_t>> friends_;        // by user, only with watches

  double rate_ = 0;
  int64_t write_at_ns_ = INT64_MAX, history_at_ns_ = INT64_MAX, storm_at_ns_ = INT64_MAX;
  std::vector<Turn> turns_;  // heap, earliest first
  uint64_t storm_ = 0;       // its number
};

}  // namespace nightjar::crowd
