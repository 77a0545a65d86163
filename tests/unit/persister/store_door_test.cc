// Asking the process that has the store open.
#include "persister/store_door.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>

namespace nightjar::persist {
namespace {

class StoreDoorTest : public testing::Test {
 protected:
  StoreDoorTest() {
    std::string name = (std::filesystem::temp_directory_path() / "nightjar-XXXXXX").string();
    dir_ = mkdtemp(name.data());
  }
  ~StoreDoorTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }
  std::unique_ptr<StoreDoor> Open(StoreDoor::Answer answer) {
    auto door = StoreDoor::Open(dir_, std::move(answer));
    EXPECT_TRUE(door.ok()) << door.status().message();
    return door.ok() ? std::move(door).value() : nullptr;
  }
  std::string dir_;
  bool gone_ = false;
};

std::string Echo(const std::string& question, const std::function<bool()>&) {
  return "to " + question;
}

TEST_F(StoreDoorTest, EachIsAnsweredInTurn) {
  const auto door = Open(Echo);
  std::vector<std::future<std::optional<std::string>>> asked;
  for (int i = 0; i < 4; ++i) {
    asked.push_back(std::async(std::launch::async, [&, i] {
      bool gone = false;
      return AskAtDoor(dir_, std::to_string(i), gone);
    }));
  }
  for (int i = 0; i < 4; ++i) EXPECT_EQ(asked[i].get(), "to " + std::to_string(i));
}

TEST_F(StoreDoorTest, NobodyIsThere) {
  EXPECT_FALSE(AskAtDoor(dir_, "?", gone_));
  EXPECT_FALSE(gone_);
  EXPECT_FALSE(AskAtDoor(dir_ + "/no", "?", gone_));
  Open(Echo).reset();
  EXPECT_FALSE(AskAtDoor(dir_, "?", gone_));
  EXPECT_FALSE(gone_);
  EXPECT_TRUE(std::filesystem::is_empty(dir_));
}

TEST_F(StoreDoorTest, WhatADeadOneLeftIsReplaced) {
  std::ofstream(dir_ + "/door") << "left behind";
  EXPECT_FALSE(AskAtDoor(dir_, "?", gone_));
  const auto door = Open(Echo);
  EXPECT_EQ(AskAtDoor(dir_, "?", gone_), "to ?");
  struct stat found;
  ASSERT_EQ(stat((dir_ + "/door").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
}

TEST_F(StoreDoorTest, AFolderWithALongName) {
  dir_ += "/" + std::string(200, 'x');
  std::filesystem::create_directories(dir_);
  const auto door = Open(Echo);
  EXPECT_EQ(AskAtDoor(dir_, "?", gone_), "to ?");
}

TEST_F(StoreDoorTest, WhoeverAnswersIsToldThatItCloses) {
  std::promise<void> begun;
  auto door = Open([&](const std::string&, const std::function<bool()>& closing) {
    begun.set_value();
    while (!closing()) std::this_thread::yield();
    return std::string("given up");
  });
  auto asked = std::async(std::launch::async, [&] { return AskAtDoor(dir_, "?", gone_); });
  begun.get_future().wait();
  door.reset();
  EXPECT_EQ(asked.get(), "given up");
}

}  // namespace
}  // namespace nightjar::persist
