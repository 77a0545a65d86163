#include "persister/commands/rebuild.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/hub/redis/open_hub.h"
#include "persister/rebuild.h"
#include "persister/startup.h"

namespace nightjar::persist {
namespace {

constexpr int64_t kProgressEveryMs = 5'000;

void LogCounts(const char* what, const Rebuilder::Counts& counts, int64_t since_ms) {
  log::Notice("{} chats={} messages={} users={} journal={} seconds={:.1f}", what, counts.chats,
              counts.messages, counts.users, counts.records,
              static_cast<double>(SystemNow().mono_ms - since_ms) / 1000);
}

}  // namespace

int RunRebuild(ProcessOptions options, bool open_only) {
  options.redis.rebuilding = true;
  Signals signals;
  log::Notice("rebuilding redis={} store={}", hub::Where(options.redis), StoreName(options));
  // The store first: one that a persister still has open stops this before the hub is closed.
  const auto store = OpenStore(options, signals);
  if (!store) return 1;
  const auto found = FindHub(options, signals);
  if (!found) return 1;
  const auto hub = hub::OpenHub(options.redis, found->info.partitions);

  const int64_t begun = SystemNow().mono_ms;
  int64_t told = begun;
  Rebuilder::Options how;
  how.partitions = found->info.partitions;
  how.now_ms = SystemNow().unix_ms;
  how.stop = [&signals] { return signals.Wait(0); };
  Rebuilder rebuilder(how, *hub, *store, [&](const Rebuilder::Counts& counts) {
    if (SystemNow().mono_ms - told < kProgressEveryMs) return;
    told = SystemNow().mono_ms;
    LogCounts("progress", counts, begun);
  });
  const Status status = open_only ? rebuilder.Open() : rebuilder.Run();
  if (!status.ok()) {
    log::Error(
        "{}; what is closed stays closed: run this again, or with --open to open it as it is, "
        "without what is missing",
        status.message());
    return 1;
  }
  if (rebuilder.counts().bad != 0) {
    log::Warning("{} records of the journal cannot be stored; the persister lays them aside",
                 rebuilder.counts().bad);
  }
  if (!open_only && rebuilder.counts().chats == 0) {
    log::Warning("store {} has no chats: is it the right one?", StoreName(options));
  }
  LogCounts(open_only ? "opened" : "rebuilt", rebuilder.counts(), begun);
  return 0;
}

}  // namespace nightjar::persist
