// What a load run is like: who there is, what they do and how fast. Read from a TOML file and from
// flags of the same names (docs/client-sim.md lists them).
//
// Plain value. Times in seconds, rates per second over all users of the run.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/base/result.h"

namespace nightjar::crowd {

struct Profile {
  std::string name = "pairs";

  // -- people -------------------------------------------------------------------------------------
  int64_t users = 1000;
  double devices = 1;   // mean devices of a user, 1 to 4
  double online = 1;    // share of devices that are on line at the beginning
  double contacts = 1;  // mean direct chats of a user; exactly 1: disjoint pairs
  int64_t groups = 0;
  int64_t group_min = 3, group_max = 30;  // sizes in between, small ones more often
  double group_share = 0;                 // share of the messages that goes to groups
  double zipf = 0;                        // popularity of chats: 0 all alike, 1 the common law
  int64_t watches = 0;                    // presences that each device follows

  // -- what they do -------------------------------------------------------------------------------
  std::vector<double> rate = {100};  // messages a second; several are measured one after the other
  std::string arrivals = "poisson";  // or "even"
  int64_t text = 100,
          text_max = 0;       // bytes of a text; text_max > text: up to that, short ones often
  double history = 0;         // reads of history a second
  double stay = 0, away = 0;  // mean seconds on line and off it; 0: nobody comes or goes
  double cut = 0.5;           // share of goings that are a cut line without goodbye
  double storm_every = 0;     // seconds between storms: everybody is cut at once; 0: none
  double storm_share = 1;     // share of devices that a storm takes
  double storm_pause = 0;     // seconds until those come back

  // -- the run ------------------------------------------------------------------------------------
  double connect_rate = 1000;  // new connections a second, at most
  double warm_up = 2, seconds = 10, drain = 20;
  bool judge = true;         // keep book of every message and say whether the promises held
  int64_t read_back = 1000;  // chats whose history is read back and judged in the end, at most

  // -- the line -----------------------------------------------------------------------------------
  std::string line = "lan";           // a preset, or a mix: "edge:0.3,3g:0.7"
  int64_t qos = 0;                    // of publishes and of the inbox, 0 or 1
  bool short_topics = true;           // s, a, r, i
  int64_t max_frame = 0;              // announced to the server; 0: nothing
  std::string encoding = "protobuf";  // or "json"
  int64_t keep_alive = 60;
};

// A named profile of the program, or a path to a file. kNotFound or kInvalidArgument with a line
// for people that names the file and the key.
Result<Profile> ReadProfile(const std::string& name_or_path);
// From TOML text; `file` is what messages call it.
Result<Profile> ParseProfile(const std::string& toml, const std::string& file);
// Sets one field from a flag's text; kInvalidArgument says what is wrong with it.
Status SetField(Profile& profile, const std::string& key, const std::string& value);
// Everything that must hold between fields; kInvalidArgument names the key.
Status Check(const Profile& profile);

// What one of `parts` load processes takes over: its share of the people and of the rates.
Profile ShareOf(const Profile& whole, int64_t part, int64_t parts);

// For --help: every key in the order above, with what it means.
struct FieldHelp {
  const char* key;
  const char* help;
};
const std::vector<FieldHelp>& Fields();
// Names of the profiles found beside the program.
std::vector<std::string> ProfileNames();
// The fields as they are, for the report.
std::vector<std::pair<std::string, std::string>> Describe(const Profile& profile);

}  // namespace nightjar::crowd
