// Replies as hiredis reads them from the wire, for tests without a Redis.
#pragma once

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <memory>
#include <string>

namespace nightjar::hub {

struct FreeReader {
  void operator()(redisReader* reader) const { redisReaderFree(reader); }
};
struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Parsed = std::unique_ptr<redisReply, FreeReply>;

inline Parsed Parse(const std::string& bytes) {
  const std::unique_ptr<redisReader, FreeReader> reader(redisReaderCreate());
  redisReaderFeed(reader.get(), bytes.data(), bytes.size());
  void* reply = nullptr;
  EXPECT_EQ(redisReaderGetReply(reader.get(), &reply), REDIS_OK);
  EXPECT_NE(reply, nullptr);
  return Parsed(static_cast<redisReply*>(reply));
}

inline std::string Bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

}  // namespace nightjar::hub
