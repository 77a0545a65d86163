#include "persister/journal_worker.h"

#include <algorithm>
#include <utility>

#include "common/base/clock.h"

namespace nightjar::persist {

// The consumer has at most two calls under way.
constexpr size_t kAnswersMost = 16;

JournalWorker::JournalWorker(JournalConsumer::Options options, hub::Hub& hub, Store& store,
                             HotChats* hot, std::function<void(const Say&)> say)
    : consumer_(std::move(options)),
      hub_(hub),
      store_(store),
      hot_(hot),
      say_(std::move(say)),
      answers_(std::make_shared<Mailbox<Answer>>(kAnswersMost)),
      puts_(1) {}

JournalWorker::~JournalWorker() { Stop(0); }

void JournalWorker::Start() {
  storing_ = std::thread([this] { StoreAll(); });
  thread_ = std::thread([this] { Run(); });
}

bool JournalWorker::Stop(int64_t most_ms) {
  if (!thread_.joinable()) return stopped_cleanly_;
  stop_at_ms_ = SystemNow().mono_ms + most_ms;
  (void)answers_->TryPush({});  // tag 0: only wakes; full: it is awake
  thread_.join();
  puts_.Close();
  storing_.join();
  answers_->Close();
  return stopped_cleanly_;
}

JournalConsumer::Counters JournalWorker::counters() const {
  std::lock_guard lock(counters_mutex_);
  return counters_;
}

void JournalWorker::Share(std::vector<bool> mine) {
  std::lock_guard lock(share_mutex_);
  share_ = std::move(mine);
}

void JournalWorker::TakeShare() {
  std::lock_guard lock(share_mutex_);
  if (share_) consumer_.Share(*std::exchange(share_, std::nullopt));
}

std::vector<uint32_t> JournalWorker::held() const {
  std::lock_guard lock(counters_mutex_);
  return held_;
}

void JournalWorker::Publish() {
  leased_once_ = consumer_.leased_once();
  leasing_ = consumer_.leasing(SystemNow().mono_ms);
  std::lock_guard lock(counters_mutex_);
  counters_ = consumer_.counters();
  held_ = consumer_.HeldPartitions(SystemNow().mono_ms);
}

void JournalWorker::Run() {
  bool stopping = false;
  while (!consumer_.stopped()) {
    const int64_t now = SystemNow().mono_ms;
    const int64_t give_up = stop_at_ms_;
    if (give_up >= 0 && now >= give_up && stopping) break;
    TakeShare();
    Actions actions;
    if (give_up >= 0 && !stopping) {
      stopping = true;
      consumer_.Stop(now, actions);
    } else {
      consumer_.Tick(now, actions);
    }
    const bool idle = actions.empty();
    Do(std::move(actions));
    Publish();
    if (!idle) continue;  // time has passed
    const int64_t until =
        stopping ? std::min(give_up, consumer_.NextWakeMs()) : consumer_.NextWakeMs();
    const int64_t wait = std::clamp<int64_t>(until - now, stopping ? 1 : 0, 1000);
    if (auto answer = answers_->Take(wait)) {
      Actions more;
      if (answer->stored) {
        consumer_.OnStored(*answer->stored, SystemNow().mono_ms, more);
      } else {
        consumer_.OnHubReply(answer->tag, std::move(answer->reply), SystemNow().mono_ms, more);
      }
      Do(std::move(more));
    }
  }
  Publish();
  stopped_cleanly_ = consumer_.stopped();
}

void JournalWorker::StoreAll() {
  while (auto put = puts_.Take(-1)) {
    Answer answer;
    answer.stored = store_.Put(*put->records);
    put.reset();
    (void)answers_->TryPush(std::move(answer));
  }
}

void JournalWorker::Do(Actions actions) {
  for (Action& action : actions) {
    if (auto* ask = std::get_if<AskHub>(&action)) {
      if (auto* dead = std::get_if<hub::PutDeadLetter>(&ask->call)) {
        dead->now_ms = SystemNow().unix_ms;
      }
      hub_.Submit(std::move(ask->call), [answers = answers_, tag = ask->tag](hub::Reply reply) {
        (void)answers->TryPush({tag, std::move(reply), {}});  // closed: nobody waits any more
      });
    } else if (auto* put = std::get_if<PutRecords>(&action)) {
      (void)puts_.TryPush(std::move(*put));  // at most one is under way
    } else if (auto* remember = std::get_if<Remember>(&action)) {
      if (hot_ == nullptr) continue;
      if (!remember->leases.empty()) hot_->SetLeases(remember->leases);
      for (const HotChats::Round& round : remember->rounds) hot_->Stored(round);
    } else {
      say_(std::get<Say>(action));
    }
  }
}

}  // namespace nightjar::persist
