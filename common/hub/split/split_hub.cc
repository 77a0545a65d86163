#include "common/hub/split/split_hub.h"

#include <algorithm>
#include <atomic>
#include <optional>

#include "common/hub/split/parts.h"

namespace nightjar::hub {
namespace {

// The replies to several calls, and what is done when all are there. The lower hub's callbacks come
// one at a time, but for those from within its Submit.
class Replies {
 public:
  using Then = std::function<void(std::vector<Reply>)>;
  Replies(size_t count, Then then) : open_(count), replies_(count), then_(std::move(then)) {}

  static std::vector<Callback> Of(size_t count, Then then) {
    auto all = std::make_shared<Replies>(count, std::move(then));
    std::vector<Callback> callbacks;
    for (size_t i = 0; i < count; ++i) {
      callbacks.push_back([all, i](Reply reply) { all->Put(i, std::move(reply)); });
    }
    return callbacks;
  }

 private:
  void Put(size_t i, Reply reply) {
    replies_[i] = std::move(reply);
    if (open_.fetch_sub(1, std::memory_order_acq_rel) == 1) then_(std::move(replies_));
  }

  std::atomic<size_t> open_;
  std::vector<Reply> replies_;
  Then then_;
};

std::optional<Reply> FirstFailure(std::vector<Reply>& replies) {
  for (Reply& reply : replies) {
    if (std::holds_alternative<Failure>(reply)) return std::move(reply);
  }
  return std::nullopt;
}

}  // namespace

struct SplitHub::Item {
  std::optional<Sent> sent;        // nothing: it only kept its place
  std::vector<std::string> names;  // in whose queues it is
  size_t at_front = 0;             // of how many of them
  bool ready = true;  // false: it waits for something else than what is before it, or is gone
};

struct SplitHub::Acking {
  Ack ack;
  Callback done;
  std::shared_ptr<Item> cursor;
  std::vector<AckReply::Moved> moved;
  std::vector<Reply> marks;  // replies to them
};

size_t SplitHub::held() const {
  std::lock_guard lock(mutex_);
  return held_;
}

void SplitHub::Submit(Call call, Callback done) {
  Ack* ack = std::get_if<Ack>(&call);
  if (ack != nullptr && !ack->marks.empty()) return SubmitAck(std::move(*ack), std::move(done));

  Parts parts = Split(std::move(call), partitions_);
  std::vector<Callback> callbacks;
  Callback whole = done;
  if (parts.calls.size() == 1) {
    callbacks.push_back(std::move(done));
  } else {
    callbacks = Replies::Of(
        parts.calls.size(),
        [join = std::move(parts.join), done = std::move(done)](std::vector<Reply> replies) {
          std::optional<Reply> failure = FirstFailure(replies);
          done(failure ? std::move(*failure) : join(std::move(replies)));
        });
  }
  std::vector<std::shared_ptr<Item>> items;
  for (size_t i = 0; i < parts.calls.size(); ++i) {
    auto item = std::make_shared<Item>();
    item->names = NamesOf(parts.calls[i]);
    item->sent.emplace(std::move(parts.calls[i]), std::move(callbacks[i]));
    items.push_back(std::move(item));
  }
  std::unique_lock lock(mutex_);
  if (MayHold(items)) {
    Enter(items);
  } else {
    refused_.push_back(std::move(whole));
  }
  Flush(lock);
}

void SplitHub::SubmitAck(Ack ack, Callback done) {
  auto acking = std::make_shared<Acking>();
  std::vector<Call> marks = MarksOf(ack);
  std::vector<Callback> callbacks =
      Replies::Of(marks.size(), [this, acking](std::vector<Reply> replies) {
        acking->marks = std::move(replies);
        OnMarks(acking);
      });
  std::vector<std::shared_ptr<Item>> items;
  for (size_t i = 0; i < marks.size(); ++i) {
    auto item = std::make_shared<Item>();
    item->names = NamesOf(marks[i]);
    item->sent.emplace(std::move(marks[i]), std::move(callbacks[i]));
    items.push_back(std::move(item));
  }
  auto cursor = std::make_shared<Item>();
  cursor->names = {ack.uid};
  cursor->ready = false;
  items.push_back(cursor);
  acking->ack = std::move(ack);
  acking->done = std::move(done);
  acking->cursor = std::move(cursor);

  std::unique_lock lock(mutex_);
  if (MayHold(items)) {
    Enter(items);
  } else {
    refused_.push_back(std::move(acking->done));
  }
  Flush(lock);
}

void SplitHub::OnMarks(const std::shared_ptr<Acking>& acking) {
  std::optional<Reply> failure = FirstFailure(acking->marks);
  std::vector<Callback> refused;
  {
    std::unique_lock lock(mutex_);
    const std::shared_ptr<Item> cursor = std::move(acking->cursor);
    if (!failure) {
      acking->moved = MovedOf(acking->marks);
      Ack alone = acking->ack;
      alone.marks.clear();
      cursor->sent.emplace(std::move(alone),
                           [this, acking](Reply reply) { OnAcked(acking, std::move(reply)); });
    }
    cursor->ready = true;
    Release(cursor);
    refused.swap(refused_);
    Flush(lock);
  }
  if (failure) acking->done(std::move(*failure));
  for (Callback& done : refused) {
    done(Failure{Failure::Kind::kFull, "too many calls wait for acknowledgements before them"});
  }
}

void SplitHub::OnAcked(const std::shared_ptr<Acking>& acking, Reply reply) {
  AckReply* acked = std::get_if<AckReply>(&reply);
  if (acked == nullptr || acked->outcome != AckReply::Outcome::kDone) {
    return acking->done(std::move(reply));
  }
  acked->moved = acking->moved;
  std::vector<Call> tells = TellsOf(acking->ack, acking->moved);
  if (tells.empty()) return acking->done(std::move(reply));
  // What a lost relay may lose, a telling that failed may: no failure is looked at.
  std::vector<Callback> callbacks = Replies::Of(
      tells.size(), [acking, reply = std::move(reply)](const std::vector<Reply>&) mutable {
        acking->done(std::move(reply));
      });
  std::unique_lock lock(mutex_);
  for (size_t i = 0; i < tells.size(); ++i) {
    ready_.emplace_back(std::move(tells[i]), std::move(callbacks[i]));
  }
  Flush(lock);
}

// ---- order -------------------------------------------------------------------------------------

bool SplitHub::MayHold(const std::vector<std::shared_ptr<Item>>& items) const {
  if (held_ == 0 || held_ + items.size() <= kHeldMost) return true;
  return std::all_of(items.begin(), items.end(), [this](const auto& item) {
    return item->ready && std::none_of(item->names.begin(), item->names.end(),
                                       [this](const auto& name) { return queues_.count(name); });
  });
}

void SplitHub::Enter(const std::vector<std::shared_ptr<Item>>& items) {
  for (const auto& item : items) Enter(item);
}

void SplitHub::Enter(const std::shared_ptr<Item>& item) {
  const bool behind = std::any_of(item->names.begin(), item->names.end(),
                                  [this](const auto& name) { return queues_.count(name) > 0; });
  if (item->ready && !behind) {
    ready_.push_back(std::move(*item->sent));
    return;
  }
  ++held_;
  for (const std::string& name : item->names) {
    auto& queue = queues_[name];
    queue.push_back(item);
    if (queue.size() == 1) ++item->at_front;
  }
}

void SplitHub::Release(std::shared_ptr<Item> item) {
  std::deque<std::shared_ptr<Item>> look = {std::move(item)};
  for (; !look.empty(); look.pop_front()) {
    Item& first = *look.front();
    if (!first.ready || first.at_front != first.names.size()) continue;
    first.ready = false;
    --held_;
    if (first.sent) ready_.push_back(std::move(*first.sent));
    for (const std::string& name : first.names) {
      const auto queue = queues_.find(name);
      queue->second.pop_front();
      if (queue->second.empty()) {
        queues_.erase(queue);
        continue;
      }
      ++queue->second.front()->at_front;
      look.push_back(queue->second.front());
    }
  }
}

// Whoever is at it does it for all: what another thread, or a callback from within the lower hub's
// Submit, adds meanwhile follows.
void SplitHub::Flush(std::unique_lock<std::mutex>& lock) {
  if (flushing_) return;
  flushing_ = true;
  while (!ready_.empty()) {
    Sent sent = std::move(ready_.front());
    ready_.pop_front();
    lock.unlock();
    lower_.Submit(std::move(sent.first), std::move(sent.second));
    lock.lock();
  }
  flushing_ = false;
}

}  // namespace nightjar::hub
