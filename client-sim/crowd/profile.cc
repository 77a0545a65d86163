#include "client-sim/crowd/profile.h"

#include <unistd.h>

#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <utility>
#include <variant>

namespace nightjar::crowd {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFile = 1 << 20;
constexpr size_t kMostRates = 100;

using Member = std::variant<int64_t Profile::*, double Profile::*, bool Profile::*,
                            std::string Profile::*, std::vector<double> Profile::*>;
struct Field {
  const char* key;
  Member member;
  double least, most;  // of numbers; of texts: of their length
  const char* help;
};

const std::vector<Field>& Table() {
  static const std::vector<Field> table = {
      {"users", &Profile::users, 1, 1'000'000, "users"},
      {"devices", &Profile::devices, 1, 4, "mean devices of a user"},
      {"online", &Profile::online, 0, 1, "share of devices on line at the beginning"},
      {"contacts", &Profile::contacts, 0, 100, "mean direct chats of a user; 1: disjoint pairs"},
      {"groups", &Profile::groups, 0, 100'000, "groups"},
      {"group_min", &Profile::group_min, 2, 100000, "members of the smallest group"},
      {"group_max", &Profile::group_max, 2, 100000, "members of the largest; small ones more often"},
      {"group_share", &Profile::group_share, 0, 1, "share of messages that goes to groups"},
      {"zipf", &Profile::zipf, 0, 3, "popularity of chats: 0 all alike, 1 the common law"},
      {"watches", &Profile::watches, 0, 50, "presences that each device follows"},
      {"rate", &Profile::rate, 0, 200'000, "messages a second; several: 500,2000"},
      {"arrivals", &Profile::arrivals, 0, 16, "poisson or even"},
      {"text", &Profile::text, 16, 16'000, "bytes of a text (the first 16 are a time stamp)"},
      {"text_max", &Profile::text_max, 0, 16'000, "above text: sizes up to this, short ones often"},
      {"history", &Profile::history, 0, 10'000, "reads of history a second"},
      {"stay", &Profile::stay, 0, 100'000, "mean seconds on line; 0: nobody comes or goes"},
      {"away", &Profile::away, 0, 100'000, "mean seconds off line"},
      {"cut", &Profile::cut, 0, 1, "share of goings that are a cut line, without goodbye"},
      {"storm_every", &Profile::storm_every, 0, 100'000, "seconds between storms; 0: none"},
      {"storm_share", &Profile::storm_share, 0, 1, "share of devices that a storm cuts"},
      {"storm_pause", &Profile::storm_pause, 0, 1000, "seconds until those come back, all at once"},
      {"connect_rate", &Profile::connect_rate, 1, 100'000, "new connections a second, at most"},
      {"warm_up", &Profile::warm_up, 0, 600, "seconds of talk that are not measured"},
      {"seconds", &Profile::seconds, 0, 86'400, "measured seconds of each rate"},
      {"drain", &Profile::drain, 0, 3600, "seconds that what is under way gets in the end"},
      {"judge", &Profile::judge, 0, 0, "say whether every promise was kept: yes or no"},
      {"read_back", &Profile::read_back, 0, 1'000'000,
       "chats whose history is read back and judged"},
      {"line", &Profile::line, 1, 200, "lan, gprs, edge, 3g, lte ..., or a mix: edge:0.3,3g:0.7"},
      {"qos", &Profile::qos, 0, 1, "MQTT QoS of both directions"},
      {"short_topics", &Profile::short_topics, 0, 0, "s, a, r and i for the long topics"},
      {"max_frame", &Profile::max_frame, 0, 65'536, "largest frame announced, bytes; 0: none"},
      {"encoding", &Profile::encoding, 0, 16, "protobuf or json"},
      {"keep_alive", &Profile::keep_alive, 2, 65'535, "MQTT keep-alive, seconds"},
  };
  return table;
}

Status Wrong(const std::string& key, const std::string& what) {
  return {Code::kInvalidArgument, key + ": " + what};
}

std::string Plain(double value) {
  std::ostringstream out;
  out.precision(15);
  out << value;
  return out.str();
}

const Field* Find(std::string_view key) {
  for (const auto& field : Table()) {
    if (key == field.key) return &field;
  }
  return nullptr;
}

Status InRange(const Field& field, double value) {
  if (value >= field.least && value <= field.most) return Status::Ok();
  return Wrong(field.key, Plain(value) + " is not between " + Plain(field.least) + " and " +
                              Plain(field.most));
}

Status SetNumber(Profile& profile, const Field& field, double value) {
  if (auto good = InRange(field, value); !good.ok()) return good;
  if (const auto* whole = std::get_if<int64_t Profile::*>(&field.member)) {
    if (value != std::floor(value)) return Wrong(field.key, Plain(value) + " is not whole");
    profile.*(*whole) = static_cast<int64_t>(value);
  } else if (const auto* real = std::get_if<double Profile::*>(&field.member)) {
    profile.*(*real) = value;
  } else if (const auto* list = std::get_if<std::vector<double> Profile::*>(&field.member)) {
    profile.*(*list) = {value};
  } else {
    return Wrong(field.key, "is not a number");
  }
  return Status::Ok();
}

bool ParseNumber(std::string_view text, double& value) {
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && at == end && std::isfinite(value);
}

Status SetList(Profile& profile, const Field& field, const std::vector<double>& values) {
  const auto* list = std::get_if<std::vector<double> Profile::*>(&field.member);
  if (list == nullptr) return Wrong(field.key, "is not a list");
  if (values.empty() || values.size() > kMostRates)
    return Wrong(field.key, "wants 1 to 100 numbers");
  for (const double value : values) {
    if (auto good = InRange(field, value); !good.ok()) return good;
  }
  profile.*(*list) = values;
  return Status::Ok();
}

Status SetToml(Profile& profile, const Field& field, const toml::node& node) {
  const bool number = node.is_number();
  if (const auto* flag = std::get_if<bool Profile::*>(&field.member)) {
    if (!node.is_boolean()) return Wrong(field.key, "wants true or false");
    profile.*(*flag) = *node.value<bool>();
    return Status::Ok();
  }
  if (const auto* text = std::get_if<std::string Profile::*>(&field.member)) {
    if (!node.is_string()) return Wrong(field.key, "wants a text");
    profile.*(*text) = *node.value<std::string>();
    return Status::Ok();
  }
  if (const auto* array = node.as_array()) {
    std::vector<double> values;
    for (const auto& one : *array) {
      if (!one.is_number()) return Wrong(field.key, "wants numbers");
      values.push_back(*one.value<double>());
    }
    return SetList(profile, field, values);
  }
  if (!number) return Wrong(field.key, "wants a number");
  return SetNumber(profile, field, *node.value<double>());
}

// Folders in which named profiles are looked for: beside the program, or where it is installed.
std::vector<fs::path> Folders() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const fs::path folder = program.parent_path();
  return {folder / "profiles", folder.parent_path() / "share" / "nightjar" / "profiles"};
}

Status CheckLine(const std::string& line) {
  // A preset's name has no colon; the presets themselves are known to the line.
  std::istringstream parts(line);
  std::string part;
  double sum = 0;
  bool mixed = false;
  while (std::getline(parts, part, ',')) {
    const size_t colon = part.find(':');
    if (colon == std::string::npos) continue;
    double share = 0;
    mixed = true;
    if (!ParseNumber(std::string_view(part).substr(colon + 1), share) || share < 0 || share > 1) {
      return Wrong("line", "'" + part + "' wants NAME:SHARE, a share between 0 and 1");
    }
    sum += share;
  }
  if (mixed && sum > 1.000001) return Wrong("line", "the shares are more than 1 in sum");
  if (!mixed && line.find(',') != std::string::npos) return Wrong("line", "a mix wants shares");
  return Status::Ok();
}

}  // namespace

Status SetField(Profile& profile, const std::string& key, const std::string& value) {
  const Field* field = Find(key);
  if (field == nullptr) return Wrong(key, "no such key");
  if (const auto* flag = std::get_if<bool Profile::*>(&field->member)) {
    const bool yes = value == "yes" || value == "true" || value == "on";
    if (!yes && value != "no" && value != "false" && value != "off") {
      return Wrong(key, "'" + value + "' is neither yes nor no");
    }
    profile.*(*flag) = yes;
    return Status::Ok();
  }
  if (const auto* text = std::get_if<std::string Profile::*>(&field->member)) {
    profile.*(*text) = value;
    return Status::Ok();
  }
  std::vector<double> values;
  std::istringstream parts(value);
  std::string part;
  while (std::getline(parts, part, ',')) {
    values.push_back(0);
    if (!ParseNumber(part, values.back())) return Wrong(key, "'" + part + "' is not a number");
  }
  if (std::holds_alternative<std::vector<double> Profile::*>(field->member)) {
    return SetList(profile, *field, values);
  }
  if (values.size() != 1) return Wrong(key, "'" + value + "' is not a number");
  return SetNumber(profile, *field, values.front());
}

Status Check(const Profile& p) {
  if (p.group_max < p.group_min) return Wrong("group_max", "is below group_min");
  if (p.groups > 0 && p.group_max > p.users) return Wrong("group_max", "is above users");
  if (p.groups == 0 && p.group_share > 0) return Wrong("group_share", "there are no groups");
  if (p.contacts == 0 && p.groups == 0 && p.rate.front() > 0) {
    return Wrong("contacts", "nobody has a chat: no contacts and no groups");
  }
  if (p.contacts == 0 && p.group_share < 1 && p.groups > 0 && p.rate.front() > 0) {
    return Wrong("group_share", "must be 1 where nobody has contacts");
  }
  if (p.contacts > 0 && p.users < 2) return Wrong("users", "contacts need two users");
  if (p.contacts > 0 && p.contacts > static_cast<double>(p.users - 1)) {
    return Wrong("contacts", "more than there are other users");
  }
  if (p.contacts == 1 && p.users % 2 != 0) return Wrong("users", "pairs need an even number");
  if (p.arrivals != "poisson" && p.arrivals != "even") {
    return Wrong("arrivals", "'" + p.arrivals + "' is neither poisson nor even");
  }
  if (p.text_max != 0 && p.text_max < p.text) return Wrong("text_max", "is below text");
  if (p.encoding != "protobuf" && p.encoding != "json") {
    return Wrong("encoding", "'" + p.encoding + "' is neither protobuf nor json");
  }
  if (p.encoding == "json" && p.short_topics) return Wrong("short_topics", "JSON has none");
  if ((p.stay > 0) != (p.away > 0)) return Wrong("stay", "stay and away go together");
  if (p.max_frame != 0 && p.max_frame < 256) return Wrong("max_frame", "is below 256");
  return CheckLine(p.line);
}

Result<Profile> ParseProfile(const std::string& text, const std::string& file) {
  toml::table table;
  try {
    table = toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    return Status(Code::kInvalidArgument, file + ", line " +
                                              std::to_string(error.source().begin.line) + ": " +
                                              std::string(error.description()));
  }
  Profile profile;
  profile.name = fs::path(file).stem().string();
  for (const auto& [key, node] : table) {
    const Field* field = Find(key.str());
    const Status set = field == nullptr ? Wrong(std::string(key.str()), "no such key")
                                        : SetToml(profile, *field, node);
    if (!set.ok()) {
      return Status(
          Code::kInvalidArgument,
          file + ", line " + std::to_string(key.source().begin.line) + ": " + set.message());
    }
  }
  return profile;
}

Result<Profile> ReadProfile(const std::string& name_or_path) {
  fs::path path = name_or_path;
  if (name_or_path.find('/') == std::string::npos && path.extension() != ".toml") {
    path.clear();
    for (const auto& folder : Folders()) {
      std::error_code error;
      const fs::path candidate = folder / (name_or_path + ".toml");
      if (fs::exists(candidate, error)) path = candidate;
      if (!path.empty()) break;
    }
    if (path.empty()) {
      std::string names;
      for (const auto& name : ProfileNames()) names += (names.empty() ? "" : ", ") + name;
      return Status(Code::kNotFound, "no profile '" + name_or_path + "' (there are: " +
                                         (names.empty() ? "none" : names) + "; or give a path)");
    }
  }
  std::ifstream file(path);
  std::ostringstream text;
  std::error_code error;
  if (!file || fs::is_directory(path, error)) {
    return Status(Code::kNotFound, "cannot read " + path.string());
  }
  if (const auto size = fs::file_size(path, error); !error && size > kMostFile) {
    return Status(Code::kInvalidArgument, path.string() + " is too large for a profile");
  }
  text << file.rdbuf();
  return ParseProfile(text.str(), path.string());
}

const std::vector<FieldHelp>& Fields() {
  static const std::vector<FieldHelp> fields = [] {
    std::vector<FieldHelp> all;
    for (const auto& field : Table()) all.push_back({field.key, field.help});
    return all;
  }();
  return fields;
}

std::vector<std::string> ProfileNames() {
  std::vector<std::string> names;
  for (const auto& folder : Folders()) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::vector<std::pair<std::string, std::string>> Describe(const Profile& profile) {
  std::vector<std::pair<std::string, std::string>> all = {{"profile", profile.name}};
  for (const auto& field : Table()) {
    all.emplace_back(field.key, std::visit(
                                    [&](auto member) -> std::string {
                                      const auto& value = profile.*member;
                                      using T = std::decay_t<decltype(value)>;
                                      if constexpr (std::is_same_v<T, bool>)
                                        return value ? "yes" : "no";
                                      else if constexpr (std::is_same_v<T, std::string>)
                                        return value;
                                      else if constexpr (std::is_same_v<T, std::vector<double>>) {
                                        std::string list;
                                        for (const double one : value)
                                          list += (list.empty() ? "" : ",") + Plain(one);
                                        return list;
                                      } else
                                        return Plain(static_cast<double>(value));
                                    },
                                    field.member));
  }
  return all;
}

Profile ShareOf(const Profile& whole, int64_t part, int64_t parts) {
  Profile share = whole;
  const auto split = [&](int64_t number) {
    return number / parts + (part < number % parts ? 1 : 0);
  };
  // Pairs stay whole.
  share.users = whole.contacts == 1 ? 2 * split(whole.users / 2) : split(whole.users);
  share.groups = split(whole.groups);
  share.read_back = split(whole.read_back);
  const auto n = static_cast<double>(parts);
  for (double& rate : share.rate) rate /= n;
  share.history /= n;
  share.connect_rate = std::max(1.0, whole.connect_rate / n);
  return share;
}

}  // namespace nightjar::crowd
