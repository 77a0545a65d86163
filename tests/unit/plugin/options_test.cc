#include "plugin/options.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace nightjar::plugin {
namespace {

OptionLines Needed() {
  return {{"redis", "127.0.0.1:7000"}, {"key_file", "/k.json"}, {"wake_socket", "/run/w.sock"}};
}

Result<Options> With(const std::string& name, const std::string& value) {
  OptionLines lines = Needed();
  std::erase_if(lines, [&](const auto& line) { return line.first == name; });
  lines.emplace_back(name, value);
  return ParseOptions(lines);
}

std::string Text(const std::string& path) {
  std::ifstream file(std::string(NIGHTJAR_SOURCE_DIR) + "/" + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Options, NeededOnesAloneGiveTheDefaultsOfTheCore) {
  const auto options = ParseOptions(Needed());
  ASSERT_TRUE(options.ok()) << options.status().message();
  EXPECT_EQ(options->redis.host, "127.0.0.1");
  EXPECT_EQ(options->redis.port, 7000);
  EXPECT_EQ(options->key_file, "/k.json");
  EXPECT_EQ(options->wake_socket, "/run/w.sock");
  EXPECT_EQ(options->core.broker_id, "b1");
  EXPECT_EQ(options->core.sends_per_s, core::Config{}.sends_per_s);
  EXPECT_EQ(options->log_level, core::LogLevel::kInfo);
}

TEST(Options, EachNeededOneIsMissedByName) {
  for (const auto& [name, value] : Needed()) {
    OptionLines lines = Needed();
    std::erase_if(lines, [&](const auto& line) { return line.first == name; });
    const auto options = ParseOptions(lines);
    ASSERT_FALSE(options.ok());
    EXPECT_EQ(options.status().message(), "plugin_opt_" + name + " is missing from mosquitto.conf");
  }
}

OptionLines BySentinels(const std::string& sentinels, const std::string& durability) {
  return {{"redis_sentinels", sentinels},
          {"durability", durability},
          {"key_file", "/k.json"},
          {"wake_socket", "/run/w.sock"}};
}

TEST(Options, SentinelsStandForTheAddressOfRedis) {
  const auto options = ParseOptions(BySentinels("10.0.0.1:26379,[::1]:26380", "replica"));
  ASSERT_TRUE(options.ok()) << options.status().message();
  EXPECT_EQ(options->redis.sentinels,
            (std::vector<hub::RedisAddress>{{"10.0.0.1", 26379}, {"::1", 26380}}));
  EXPECT_EQ(options->redis.durability, hub::Durability::kReplica);
  for (const std::string wrong : {"10.0.0.1", "10.0.0.1:1,", ",a:1", "a:1,,b:2", "a:1, b:2x"}) {
    EXPECT_FALSE(ParseOptions(BySentinels(wrong, "replica")).ok()) << wrong;
  }
  EXPECT_FALSE(ParseOptions(BySentinels("a:1", "both")).ok());
  OptionLines both = BySentinels("a:1", "replica");
  both.emplace_back("redis", "127.0.0.1:7000");
  EXPECT_FALSE(ParseOptions(both).ok());
}

TEST(Options, NodesOfAClusterStandForTheAddressOfRedis) {
  OptionLines lines = {{"redis_cluster", "10.0.0.1:7000,[::1]:7001"},
                       {"durability", "replica"},
                       {"key_file", "/k.json"},
                       {"wake_socket", "/run/w.sock"}};
  const auto options = ParseOptions(lines);
  ASSERT_TRUE(options.ok()) << options.status().message();
  EXPECT_EQ(options->redis.cluster,
            (std::vector<hub::RedisAddress>{{"10.0.0.1", 7000}, {"::1", 7001}}));
  lines.emplace_back("redis_sentinels", "a:1");
  EXPECT_FALSE(ParseOptions(lines).ok());
}

TEST(Options, FsyncAloneIsRefusedWithSentinels) {
  const auto options = ParseOptions(BySentinels("a:1", "fsync"));
  ASSERT_FALSE(options.ok());
  EXPECT_NE(options.status().message().find("a failover loses"), std::string::npos)
      << options.status().message();
  EXPECT_TRUE(With("durability", "replica").ok());  // a failover by hand is one, too
}

TEST(Options, EveryNumberIsHeldToItsBounds) {
  for (const NumberOption& option : NumberOptions()) {
    const std::string name(option.name);
    const int64_t standard = option.get(*ParseOptions(Needed()));
    EXPECT_GE(standard, option.low) << name;
    EXPECT_LE(standard, option.high) << name;
    for (const int64_t value : {option.low, option.high}) {
      const auto options = With(name, std::to_string(value));
      ASSERT_TRUE(options.ok()) << options.status().message();
      EXPECT_EQ(option.get(*options), value) << name;
    }
    for (const int64_t value : {option.low - 1, option.high + 1}) {
      const auto options = With(name, std::to_string(value));
      ASSERT_FALSE(options.ok()) << name << " " << value;
      EXPECT_NE(options.status().message().find("plugin_opt_" + name + " must be a whole number"),
                std::string::npos);
    }
  }
}

TEST(Options, ABrokerBeatsSeveralTimesBeforeItCountsAsDead) {
  EXPECT_TRUE(CheckTogether(*ParseOptions(Needed())).ok());
  EXPECT_TRUE(CheckTogether(*With("broker_ttl_ms", "6000")).ok());
  EXPECT_FALSE(CheckTogether(*With("broker_ttl_ms", "5999")).ok());
}

TEST(Options, NumbersAreWholeAndNothingElse) {
  for (const char* value :
       {"", "x", "5x", " 5", "5 ", "0x10", "1.5", "+5", "99999999999999999999"}) {
    EXPECT_FALSE(With("sends_per_s", value).ok()) << value;
  }
}

TEST(Options, AMisspeltNameIsRefusedWithAGuess) {
  const auto options = With("brokerid", "b2");
  ASSERT_FALSE(options.ok());
  EXPECT_EQ(options.status().message(),
            "unknown option plugin_opt_brokerid; did you mean plugin_opt_broker_id?");
  EXPECT_EQ(With("colour_of_the_sea", "1").status().message(),
            "unknown option plugin_opt_colour_of_the_sea");
}

TEST(Options, GivenTwiceIsRefused) {
  OptionLines lines = Needed();
  lines.emplace_back("redis", "127.0.0.1:7001");
  EXPECT_EQ(ParseOptions(lines).status().message(), "plugin_opt_redis is given twice");
}

TEST(Options, WhereRedisIs) {
  EXPECT_EQ(With("redis", "/run/redis.sock")->redis.unix_path, "/run/redis.sock");
  EXPECT_EQ(With("redis", "[::1]:6379")->redis.host, "::1");
  EXPECT_EQ(With("redis", "hub.example.org:6379")->redis.host, "hub.example.org");
  for (const char* value : {"", "localhost", ":6379", "::1:6379", "h:0", "h:65536", "h:x", "h:"}) {
    EXPECT_FALSE(With("redis", value).ok()) << value;
  }
}

TEST(Options, BrokerIdWakeSocketAndLogLevelAreChecked) {
  EXPECT_EQ(With("broker_id", "eu-1")->core.broker_id, "eu-1");
  for (const char* value : {"", "a b", "a#1", "a:b"})
    EXPECT_FALSE(With("broker_id", value).ok()) << value;
  EXPECT_FALSE(With("wake_socket", "relative.sock").ok());
  EXPECT_TRUE(With("wake_socket", "/" + std::string(106, 'w')).ok());
  EXPECT_FALSE(With("wake_socket", "/" + std::string(107, 'w')).ok());
  EXPECT_EQ(With("log_level", "debug")->log_level, core::LogLevel::kDebug);
  EXPECT_FALSE(With("log_level", "loud").ok());
}

// Mosquitto gives shorter keys to nobody.
TEST(Options, NamesHaveThreeCharactersOrMore) {
  for (const NumberOption& option : NumberOptions()) EXPECT_GE(option.name.size(), 3u);
}

TEST(Options, TheDocumentationHasEveryNumberWithDefaultAndBounds) {
  const std::string text = Text("docs/configuration.md");
  ASSERT_FALSE(text.empty());
  const Options standard = *ParseOptions(Needed());
  for (const NumberOption& option : NumberOptions()) {
    std::ostringstream row;
    row << "| `" << option.name << "` | " << option.get(standard) << " | ";
    const size_t at = text.find(row.str());
    ASSERT_NE(at, std::string::npos) << row.str();
    const std::string line = text.substr(at, text.find('\n', at) - at);
    std::ostringstream bounds;
    bounds << "| " << option.low << " – " << option.high << " |";
    EXPECT_NE(line.find(bounds.str()), std::string::npos) << line << "\nlacks " << bounds.str();
  }
}

// The sample configuration's lines, commented or not, are accepted as they stand.
TEST(Options, TheSampleConfigurationIsAccepted) {
  std::istringstream text(Text("mosquitto.conf"));
  OptionLines lines;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with('#')) line.erase(0, 1);
    const std::string start = "plugin_opt_";
    if (!line.starts_with(start)) continue;
    const size_t space = line.find(' ');
    lines.emplace_back(line.substr(start.size(), space - start.size()), line.substr(space + 1));
  }
  EXPECT_GT(lines.size(), 10u);
  const auto options = ParseOptions(lines);
  ASSERT_TRUE(options.ok()) << options.status().message();
  const Options standard = *ParseOptions(Needed());
  for (const NumberOption& option : NumberOptions()) {
    EXPECT_EQ(option.get(*options), option.get(standard)) << option.name << " is not its default";
  }
}

}  // namespace
}  // namespace nightjar::plugin
