#include "client-sim/judge/oracle.h"

#include <utility>

#include "client-sim/judge/court.h"

namespace nightjar::client {

Oracle::Oracle(OracleOptions options) : impl_(std::make_unique<Impl>(options)) {}
Oracle::~Oracle() = default;

DeviceId Oracle::Expect(const std::string& uid, const std::string& device) {
  return impl_->Expect(uid, device);
}
void Oracle::Gone(DeviceId device, Now now) { impl_->Gone(device, now); }
void Oracle::At(DeviceId device, std::string_view broker) { impl_->At(device, broker); }
void Oracle::Took(DeviceId device, const Happening& happening, Now now) {
  impl_->Took(device, happening, now);
}
void Oracle::Disturbed(Now now, std::string what, bool sessions_may_die) {
  impl_->Disturbed(now, std::move(what), sessions_may_die);
}
void Oracle::ChatChanges(const v1::ChatChange& change) { impl_->ChatChanges(change); }
void Oracle::HistoryBegins(const std::string& chat_id) { impl_->HistoryBegins(chat_id); }
void Oracle::HistoryPage(const std::string& chat_id, const v1::History& page) {
  impl_->HistoryPage(chat_id, page);
}
void Oracle::HistoryEnds(const std::string& chat_id, Now now) { impl_->HistoryEnds(chat_id, now); }
std::vector<std::string> Oracle::Chats() const { return impl_->Chats(); }
Tally Oracle::Count() const { return impl_->Count(); }
bool Oracle::Settled() const { return impl_->Settled(); }
std::string Oracle::Outstanding() const { return impl_->Outstanding(); }
const std::vector<Violation>& Oracle::violations() const { return impl_->violations(); }
void Oracle::Finish(Now now) { impl_->Finish(now); }
std::vector<std::string> Oracle::Recipients(const std::string& chat_id, uint64_t msg_id) const {
  return impl_->Recipients(chat_id, msg_id);
}
size_t Oracle::MemoryBytes() const { return impl_->MemoryBytes(); }

}  // namespace nightjar::client
