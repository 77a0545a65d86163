#include "tests/contract/store/store_under_test.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <random>
#include <sstream>

#include "persister/hbase_store.h"
#include "persister/rocksdb_store.h"
#include "tests/fakes/memory_store.h"

namespace nightjar {
namespace {

class Memory : public StoreUnderTest {
 public:
  Store& store() override { return store_; }
  // Nothing to lose: it stands for a store that is always open.
  void Reopen(const Retention& retention) override { store_.Keep(retention); }

 private:
  fakes::MemoryStore store_;
};

class RocksDb : public StoreUnderTest {
 public:
  RocksDb() { Open(Retention()); }
  Store& store() override { return *store_; }
  void Reopen(const Retention& retention) override {
    store_.reset();
    Open(retention);
  }
  void Compact() override {
    const Status status = store_->Compact();
    ASSERT_TRUE(status.ok()) << status.message();
  }

 private:
  void Open(const Retention& retention) {
    RocksDbStore::Options options;
    options.retention = retention;
    options.dir = dir_.path() + "/store";
    options.write_buffer_bytes = 4 << 20;
    auto opened = RocksDbStore::Open(options);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    store_ = std::move(opened).value();
  }
  TempDir dir_;
  std::unique_ptr<RocksDbStore> store_;
};

class Hbase : public StoreUnderTest {
 public:
  explicit Hbase(HbaseStore::Options options) : options_(std::move(options)) {
    Reopen(Retention());
  }
  Store& store() override { return *store_; }
  void Reopen(const Retention& retention) override {
    options_.retention = retention;
    auto opened = HbaseStore::Open(options_);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    store_ = std::move(opened).value();
  }

 private:
  HbaseStore::Options options_;
  std::unique_ptr<HbaseStore> store_;
};

}  // namespace

std::optional<HbaseStore::Options> HbaseForTests(const char* variable) {
  const char* address = std::getenv(variable);
  if (address == nullptr) return std::nullopt;
  const std::string text(address);
  const size_t colon = text.rfind(':');
  HbaseStore::Options options;
  options.link.servers.push_back(
      {text.substr(0, colon), static_cast<uint16_t>(std::stoi(text.substr(colon + 1)))});
  options.link.timeout_ms = 30'000;  // a small machine may be busy
  options.tables.name_space = "tests";
  options.tables.prefix = "t" + std::to_string(std::random_device()()) + "_";
  options.tables.regions = 2;
  options.tables.compression = "none";  // others take several tries, each of a second
  return options;
}

std::unique_ptr<StoreUnderTest> MakeHbase() {
  auto options = HbaseForTests(kHbaseVariable);
  return options ? std::make_unique<Hbase>(*options) : nullptr;
}

std::unique_ptr<StoreUnderTest> MakeHbaseFramedCompact() {
  auto options = HbaseForTests(kHbaseFramedCompactVariable);
  if (!options) return nullptr;
  options->link.framed = options->link.compact = true;
  options->tables.compression = "auto";
  return std::make_unique<Hbase>(*options);
}

std::unique_ptr<StoreUnderTest> MakeMemory() { return std::make_unique<Memory>(); }
std::unique_ptr<StoreUnderTest> MakeRocksDb() { return std::make_unique<RocksDb>(); }

TempDir::TempDir() {
  std::string name = (std::filesystem::temp_directory_path() / "nightjar-XXXXXX").string();
  path_ = mkdtemp(name.data());
}
TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

v1::JournalRecord MessageRecord(const std::string& chat, MsgId id, const std::string& author,
                                const std::string& text) {
  v1::JournalRecord record;
  v1::Message& message = *record.mutable_message();
  message.set_chat_id(chat);
  message.set_msg_id(id);
  message.set_author(author);
  message.set_text(text);
  message.set_client_msg_id(id + 7);
  message.set_device("phone");
  return record;
}

v1::JournalRecord ChangeRecord(const std::string& chat, MsgId id, v1::ChatChange::Kind kind,
                               const std::vector<std::string>& added,
                               const std::vector<std::string>& removed, const std::string& title) {
  v1::JournalRecord record;
  v1::ChatChange& change = *record.mutable_chat_change();
  change.set_msg_id(id);
  change.set_kind(kind);
  change.set_by("creator");
  change.mutable_chat()->set_chat_id(chat);
  change.mutable_chat()->set_kind(v1::Chat::GROUP);
  change.mutable_chat()->set_title(title);
  change.mutable_chat()->set_created_by("creator");
  if (kind != v1::ChatChange::CREATED) change.mutable_chat()->set_created_ms(12345);
  for (const auto& uid : added) change.add_added(uid);
  for (const auto& uid : removed) change.add_removed(uid);
  return record;
}

v1::JournalRecord MarkRecord(const std::string& chat, const std::string& uid, MsgId id) {
  v1::JournalRecord record;
  record.mutable_mark()->set_chat_id(chat);
  record.mutable_mark()->set_uid(uid);
  record.mutable_mark()->set_msg_id(id);
  return record;
}

std::string Describe(Store& store, const std::vector<std::string>& chats,
                     const std::vector<std::string>& uids) {
  std::ostringstream out;
  for (const std::string& id : chats) {
    out << "chat " << id << ":";
    const auto chat = store.ReadChat(id);
    if (!chat.ok()) return "failed: " + chat.status().message();
    if (chat.value()) {
      const StoredChat& c = *chat.value();
      out << c.chat_id << (c.direct ? " direct '" : " group '") << c.title << "' " << c.created_ms
          << " " << c.created_by << " last " << c.last_msg_id;
      for (const auto& m : c.members) out << " " << m.uid << "=" << m.joined << ".." << m.left;
      for (const auto& [uid, mark] : c.delivered) out << " delivered " << uid << "=" << mark;
    }
    const auto history = store.History({id, 0, 0, 100'000});
    if (!history.ok()) return "failed: " + history.status().message();
    for (const auto& m : history->messages) out << "\n  " << m.ShortDebugString();
    out << "\n";
  }
  for (const std::string& uid : uids) {
    out << "user " << uid << ":";
    const auto in = store.ChatsOf(uid);
    if (!in.ok()) return "failed: " + in.status().message();
    for (const auto& [chat, newest] : *in) out << " " << chat << "=" << newest;
    const auto user = store.ReadUser(uid);
    if (!user.ok()) return "failed: " + user.status().message();
    out << " '" << user->name << "' '" << user->email << "'";
    for (const auto& push : user->push) out << "\n  push " << push.ShortDebugString();
    for (const auto& mute : user->mutes) out << "\n  mute " << mute.ShortDebugString();
    out << "\n";
  }
  return out.str();
}

}  // namespace nightjar
