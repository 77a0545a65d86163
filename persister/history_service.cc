#include "persister/history_service.h"

#include "common/base/clock.h"
#include "common/wire/names.h"

namespace nightjar::persist {
namespace {

constexpr std::string_view kReplyTopics = "svc/reply/";
constexpr size_t kReplyTopicMost = 256;

bool GoodReplyTopic(std::string_view topic) {
  return topic.starts_with(kReplyTopics) && topic.size() > kReplyTopics.size() &&
         topic.size() <= kReplyTopicMost && topic.find_first_of("+#") == std::string_view::npos &&
         topic.find('\0') == std::string_view::npos;
}

v1::Response ErrorResponse(const v1::StoreRequest& request, Code code, const char* message,
                           uint32_t retry_after_ms) {
  v1::Response response;
  response.set_request_id(request.request().request_id());
  response.mutable_error()->set_code(static_cast<v1::Code>(code));
  response.mutable_error()->set_message(message);
  response.mutable_error()->set_retry_after_ms(retry_after_ms);
  return response;
}

}  // namespace

HistoryService::HistoryService(Options options, ChatReader& reader)
    : options_(options), reader_(reader), jobs_(options.queue) {
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { Run(); });
}

HistoryService::~HistoryService() { Stop(); }

void HistoryService::Stop() {
  jobs_.Close();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

HistoryService::Counters HistoryService::counters() const {
  return {taken_, answered_, failed_, refused_, bad_, too_old_, repeated_};
}

HistoryService::Key HistoryService::KeyOf(const v1::StoreRequest& request) {
  return {request.reply_topic(), request.attempt()};
}

bool HistoryService::Enter(const Key& key) {
  std::lock_guard lock(inside_mutex_);
  return inside_.insert(key).second;
}

void HistoryService::Leave(const Key& key) {
  std::lock_guard lock(inside_mutex_);
  inside_.erase(key);
}

void HistoryService::Take(std::string_view payload, bool repeat, const ReplyFn& reply) {
  ++taken_;
  Job job;
  if (!job.request.ParseFromArray(payload.data(), static_cast<int>(payload.size())) ||
      !GoodReplyTopic(job.request.reply_topic()) || !ValidUid(job.request.uid())) {
    ++bad_;  // whom to tell cannot be trusted either
    return;
  }
  if (repeat) ++repeated_;
  const Key key = KeyOf(job.request);
  if (!Enter(key)) return;
  job.reply = reply;
  job.taken_ms = SystemNow().mono_ms;
  job.repeat = repeat;
  if (jobs_.TryPush(std::move(job))) return;
  Leave(key);
  ++refused_;  // the job is untouched
  if (repeat) return;
  Answer(job.request,
         ErrorResponse(job.request, Code::kResourceExhausted, "too many requests for history",
                       options_.retry_after_ms),
         job.reply);
}

void HistoryService::Run() {
  while (auto job = jobs_.Take(-1)) {
    const Key key = KeyOf(job->request);
    if (SystemNow().mono_ms - job->taken_ms > options_.too_old_ms) {
      ++too_old_;
      Leave(key);
      continue;
    }
    v1::Response response = reader_.Answer(job->request.uid(), job->request.request());
    const bool failed = response.has_error() && (response.error().code() == v1::UNAVAILABLE ||
                                                 response.error().code() == v1::INTERNAL);
    ++(failed ? failed_ : answered_);
    Leave(key);
    if (!failed || !job->repeat) Answer(job->request, std::move(response), job->reply);
  }
}

void HistoryService::Answer(const v1::StoreRequest& request, v1::Response response,
                            const ReplyFn& reply) {
  v1::StoreReply out;
  out.set_session(request.session());
  out.set_attempt(request.attempt());
  *out.mutable_response() = std::move(response);
  reply(request.reply_topic(), out.SerializeAsString());
}

}  // namespace nightjar::persist
