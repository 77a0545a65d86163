// What a line typed into a chat means. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nightjar::client {

struct Typed {
  enum class Verb {
    kNothing,
    kBad,      // text: what is wrong with it
    kSay,      // text
    kTo,       // words[0]: uid
    kOpen,     // text: chat id, title, or number in the list
    kNew,      // text: title; words: uids
    kChats,    //
    kHistory,  // number: how many
    kMembers,  //
    kWho,      // words: uids; none: the partner
    kWatch,    // words: uids
    kAdd,      // words: uids
    kRemove,   // words: uids
    kLeave,    //
    kMute,     // number: minutes; 0: not any more, -1: for ever
    kHelp,
    kQuit,
  };
  Verb verb = Verb::kNothing;
  std::string text;
  std::vector<std::string> words;
  int64_t number = 0;
};

// Checks everything that can be known from the line alone: words, uids, UTF-8 and sizes.
Typed ParseTyped(std::string_view line);

// A line for each command.
std::vector<std::string> ChatHelp();

}  // namespace nightjar::client
