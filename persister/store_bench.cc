// CPU per message of bringing journal records into a store: decoding, folding, the safe write, and
// whatever the store does in this process's background. No hub.
//   nightjar-store-bench DIR | hbase:HOST:PORT [messages] [chats]
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "persister/batcher.h"
#include "persister/bench_store.h"

namespace {

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// A message of 100 bytes and, as in a live chat, the mark of its delivery.
void AddMessage(uint64_t n, uint64_t chats, nightjar::hub::LogSlice& slice) {
  const std::string pair = std::to_string(n % chats);
  const nightjar::MsgId id = nightjar::MakeMsgId(1'700'000'000'000 + static_cast<int64_t>(n), 0);
  nightjar::v1::JournalRecord record;
  nightjar::v1::Message& message = *record.mutable_message();
  message.set_msg_id(id);
  message.set_chat_id("d:a" + pair + ":b" + pair);
  message.set_author("a" + pair);
  message.set_device("phone");
  message.set_client_msg_id(n + 1);
  message.set_text(std::string(100, static_cast<char>('a' + n % 26)));
  slice.records.push_back(record.SerializeAsString());
  record.mutable_mark()->set_chat_id("d:a" + pair + ":b" + pair);
  record.mutable_mark()->set_uid("b" + pair);
  record.mutable_mark()->set_msg_id(id);
  slice.records.push_back(record.SerializeAsString());
}

bool Measure(nightjar::Store& store, uint64_t messages, uint64_t chats, uint64_t batch,
             uint64_t& n) {
  double cpu = 0;
  double wall = 0;
  for (uint64_t done = 0; done < messages;) {
    nightjar::hub::LogSlice slice;
    for (uint64_t i = 0; i < batch && done < messages; ++i, ++done) AddMessage(n++, chats, slice);
    slice.end = slice.records.size();
    const double cpu_before = CpuSeconds();
    const auto before = std::chrono::steady_clock::now();
    nightjar::persist::Batch read({std::move(slice)});
    const nightjar::Status status = store.Put(*read.Next());
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.message().c_str());
      return false;
    }
    read.Stored();
    cpu += CpuSeconds() - cpu_before;
    wall += std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
  }
  std::printf("batch=%llu messages=%llu cpu_us_per_message=%.2f wall_us_per_message=%.2f\n",
              static_cast<unsigned long long>(batch), static_cast<unsigned long long>(messages),
              cpu * 1e6 / static_cast<double>(messages),
              wall * 1e6 / static_cast<double>(messages));
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: nightjar-store-bench DIR|hbase:HOST:PORT [messages] [chats]\n");
    return 2;
  }
  const uint64_t messages = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 200'000;
  const uint64_t chats = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 500;
  const auto store = nightjar::OpenForBench(argv[1]);
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", store.status().message().c_str());
    return 1;
  }
  uint64_t n = 0;
  for (const uint64_t batch : {75, 300, 3000}) {
    if (!Measure(**store, messages, chats, batch, n)) return 1;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("rss_mib=%ld\n", usage.ru_maxrss / 1024);
  return 0;
}
