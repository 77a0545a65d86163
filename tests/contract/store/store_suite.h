// What is asked of every store is asked in a suite of this.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/contract/store/store_under_test.h"

namespace nightjar {

inline constexpr char kDirect[] = "d:alice:bob";

struct StoreKind {
  const char* name;
  std::unique_ptr<StoreUnderTest> (*make)();
};

class StoreSuite : public testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override {
    under_test_ = GetParam().make();
    if (!under_test_) GTEST_SKIP() << "no HBase: ./nj test starts one";
  }
  // What a test handed to the store, such as a clock, is there until it is closed.
  void TearDown() override { under_test_.reset(); }
  StoreUnderTest& under_test() { return *under_test_; }
  Store& store() { return under_test_->store(); }
  void Put(const std::vector<v1::JournalRecord>& records) {
    const Status status = store().Put(records);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  // Of kDirect.
  std::vector<MsgId> Ids(MsgId before, MsgId after, uint32_t limit, bool* more = nullptr) {
    const auto page = store().History({kDirect, before, after, limit});
    EXPECT_TRUE(page.ok()) << page.status().message();
    std::vector<MsgId> ids;
    if (!page.ok()) return ids;
    for (const auto& m : page->messages) ids.push_back(m.msg_id());
    if (more != nullptr) *more = page->more;
    return ids;
  }

 private:
  std::unique_ptr<StoreUnderTest> under_test_;
};

inline auto AllStores() {
  return testing::Values(StoreKind{"Memory", MakeMemory}, StoreKind{"RocksDb", MakeRocksDb},
                         StoreKind{"Hbase", MakeHbase});
}
inline std::string NameOfStore(const testing::TestParamInfo<StoreKind>& test) {
  return test.param.name;
}

}  // namespace nightjar
