#include "notifier/core/preview.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/base/dice.h"

namespace nightjar::notify {
namespace {

TEST(Preview, WhatFitsStaysAsItIs) {
  EXPECT_EQ(CutForJson("hello", 5), "hello");
  EXPECT_EQ(CutForJson("", 0), "");
}

TEST(Preview, WhatDoesNotFitEndsInAnEllipsis) {
  EXPECT_EQ(CutForJson("hello there", 8), "hello…");
  EXPECT_EQ(CutForJson("hello", 4), "h…");
  EXPECT_EQ(CutForJson("hello", 3), "") << "an ellipsis alone says nothing";
}

TEST(Preview, ACharacterIsNeverCut) {
  EXPECT_EQ(CutForJson("äöü and so on", 7), "äö…");
  EXPECT_EQ(CutForJson("äöü and so on", 8), "äö…");
  // e with a combining acute; thumbs up with a skin tone; a family of three joined by U+200D.
  EXPECT_EQ(CutForJson("ae\xcc\x81 longer", 5), "a…");
  EXPECT_EQ(CutForJson("a\U0001F44D\U0001F3FD longer", 11), "a…");
  EXPECT_EQ(CutForJson("a\U0001F468\u200D\U0001F469\u200D\U0001F467 longer", 20), "a…");
}

TEST(Preview, QuotesAndLineBreaksCountAsWhatJsonMakesOfThem) {
  EXPECT_EQ(JsonBytes("\"\\\n"), 6u);
  EXPECT_EQ(CutForJson("\"\"\"\"\"", 9), "\"\"\"…");
}

TEST(Preview, ControlCharactersAreLeftOut) {
  EXPECT_EQ(CutForJson("a\x07\x1b\tb\nc", 100), "ab\nc");
}

TEST(Preview, BytesThatAreNoTextBecomeReplacementCharacters) {
  EXPECT_EQ(CutForJson("a\xff\xc0z", 100), "a\ufffd\ufffdz");
  EXPECT_EQ(CutForJson("\xed\xa0\x80", 100), "\ufffd\ufffd\ufffd") << "surrogates";
  EXPECT_EQ(CutForJson("x\xe2\x82", 100), "x\ufffd\ufffd") << "cut short";
}

// Whatever the bytes: the result is valid text, takes no more than allowed inside JSON, and the
// bytes are counted as the JSON library writes them.
TEST(Preview, HoldsForAnyBytes) {
  Dice dice(7);
  const std::string parts[] = {"a",    "\"",       "\n",   "ä",      "€",      "\U0001F44D",
                               "\xff", "\xe2\x82", "\x01", "\u0301", "\u200d", "\\"};
  for (int i = 0; i < 5000; ++i) {
    std::string text;
    for (uint64_t n = dice.Below(30); n > 0; --n) text += parts[dice.Below(std::size(parts))];
    const size_t most = dice.Below(60);
    const std::string cut = CutForJson(text, most);
    const std::string json = nlohmann::json(cut).dump();  // throws if it is no UTF-8
    EXPECT_EQ(json.size() - 2, JsonBytes(cut));
    EXPECT_LE(json.size() - 2, most);
  }
}

TEST(Preview, GenericTextSpeaksTheLanguage) {
  EXPECT_EQ(GenericText("en-GB", 1), "New message");
  EXPECT_EQ(GenericText("de-AT", 3), "3 neue Nachrichten");
  EXPECT_EQ(GenericText("FR", 1), "Nouveau message");
  EXPECT_EQ(GenericText("", 2), "2 new messages");
  EXPECT_EQ(GenericText("xx", 2), "2 new messages");
}

}  // namespace
}  // namespace nightjar::notify
