#include "persister/merge.h"

#include <algorithm>

namespace nightjar::storage {
namespace {

template <typename T>
void NewestWins(T& into, const T& from) {
  if (from.at_ms() > into.at_ms() ||
      (from.at_ms() == into.at_ms() && from.SerializeAsString() > into.SerializeAsString())) {
    into = from;
  }
}

}  // namespace

void Merge(ChatMeta& into, const ChatMeta& from) {
  into.set_last_change_id(std::max(into.last_change_id(), from.last_change_id()));
  if (from.first_id() != 0 && (into.first_id() == 0 || from.first_id() < into.first_id())) {
    into.set_first_id(from.first_id());
    into.set_created_ms(from.created_ms());
    into.set_created_by(from.created_by());
  }
  if (from.title_id() > into.title_id()) {
    into.set_title_id(from.title_id());
    into.set_title(from.title());
  }
}

void Merge(MemberSpan& into, const MemberSpan& from) {
  into.set_joined_id(std::max(into.joined_id(), from.joined_id()));
  into.set_left_id(std::max(into.left_id(), from.left_id()));
}

void Merge(Mark& into, const Mark& from) {
  into.set_msg_id(std::max(into.msg_id(), from.msg_id()));
}

void Merge(UserNames& into, const UserNames& from) {
  const auto newer = [](int64_t at, const std::string& value, int64_t old_at,
                        const std::string& old_value) {
    return !value.empty() && (at > old_at || (at == old_at && value > old_value));
  };
  if (newer(from.name_at_ms(), from.name(), into.name_at_ms(), into.name())) {
    into.set_name(from.name());
    into.set_name_at_ms(from.name_at_ms());
  }
  if (newer(from.email_at_ms(), from.email(), into.email_at_ms(), into.email())) {
    into.set_email(from.email());
    into.set_email_at_ms(from.email_at_ms());
  }
}

void Merge(v1::PushRegistered& into, const v1::PushRegistered& from) { NewestWins(into, from); }
void Merge(v1::Muted& into, const v1::Muted& from) { NewestWins(into, from); }

}  // namespace nightjar::storage
