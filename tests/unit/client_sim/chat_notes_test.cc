// What a device recognises as a repeat, with one number per chat.
#include "client-sim/brain/chat_notes.h"

#include <gtest/gtest.h>

namespace nightjar::client {
namespace {

TEST(ChatNotes, WhatCameInOrderIsKnown) {
  ChatNotes chat("d:alice:bob");
  EXPECT_TRUE(chat.Learn(10));
  EXPECT_TRUE(chat.Learn(20));
  EXPECT_FALSE(chat.Learn(20));
  EXPECT_FALSE(chat.Learn(10)) << "sent again after a reconnect";
  EXPECT_TRUE(chat.Learn(21));
}

TEST(ChatNotes, ARebuildTakesHistoryAndInboxSideBySide) {
  ChatNotes chat("d:alice:bob");
  chat.Learn(10);
  chat.Rebuild();
  EXPECT_TRUE(chat.Learn(40)) << "the inbox goes on after what was passed over";
  for (const uint64_t id : {20, 30}) EXPECT_TRUE(chat.LearnFromHistory(id));
  EXPECT_FALSE(chat.LearnFromHistory(40)) << "came by the inbox";
  EXPECT_FALSE(chat.LearnFromHistory(10)) << "known from before";
  EXPECT_TRUE(chat.LearnFromHistory(50));
  chat.HistoryRead(50);
  EXPECT_TRUE(chat.LearnFromHistory(15)) << "read further back";
  EXPECT_TRUE(chat.Learn(45)) << "history may be ahead of the inbox";
  EXPECT_FALSE(chat.Learn(50));
  EXPECT_EQ(chat.floor(), 50U) << "from here on one number does again";
  EXPECT_FALSE(chat.Learn(35));
  EXPECT_TRUE(chat.Learn(60));
}

TEST(ChatNotes, ARebuildIsBounded) {
  ChatNotes chat("d:alice:bob");
  chat.Rebuild();
  for (uint64_t id = 1; id <= 3 * ChatNotes::kMostAbove; ++id)
    EXPECT_TRUE(chat.LearnFromHistory(id));
  EXPECT_GT(chat.floor(), ChatNotes::kMostAbove);
  EXPECT_FALSE(chat.LearnFromHistory(5));
}

TEST(ChatNotes, MarksMoveForwardOnly) {
  ChatNotes chat("d:alice:bob");
  EXPECT_FALSE(chat.Misses("alice"));
  EXPECT_TRUE(chat.Own(100, 5, "alice"));
  EXPECT_TRUE(chat.Misses("alice"));
  EXPECT_TRUE(chat.Mark("bob", 90));
  EXPECT_TRUE(chat.Misses("alice"));
  EXPECT_TRUE(chat.Mark("bob", 100));
  EXPECT_FALSE(chat.Mark("bob", 95));
  EXPECT_EQ(chat.MarkOf("bob"), 100U);
  EXPECT_EQ(chat.MarkOf("carol"), 0U);
  EXPECT_FALSE(chat.Misses("alice"));
}

TEST(ChatNotes, MembersKeepTheirMarks) {
  ChatNotes chat("g:aaaaaaaaaaaaaaaaaaaaaaaaaa");
  v1::Chat told;
  for (const char* uid : {"alice", "bob", "carol"}) told.add_members(uid);
  told.set_member_count(3);
  chat.SetMembers(told);
  chat.Own(7, 0, "alice");
  chat.Mark("bob", 7);
  EXPECT_TRUE(chat.Misses("alice")) << "carol has it not";
  told.mutable_members()->DeleteSubrange(2, 1);
  told.set_member_count(2);
  chat.SetMembers(told);
  EXPECT_EQ(chat.MarkOf("bob"), 7U);
  EXPECT_FALSE(chat.Misses("alice")) << "carol is gone";
  told.set_member_count(900);
  chat.SetMembers(told);
  EXPECT_EQ(chat.MarkOf("bob"), 7U) << "a part of the list changes nothing";
}

TEST(ChatNotes, ANotepadMissesNobody) {
  ChatNotes chat("d:alice:alice");
  chat.Own(7, 0, "alice");
  EXPECT_FALSE(chat.Misses("alice"));
}

}  // namespace
}  // namespace nightjar::client
