// How two values of one key become one: in any order, any number of times, the same result. Newest
// by id or time wins, marks only grow; a tie goes to the greater value, so that order never
// decides.
//
// Pure functions; any thread.
#pragma once

#include "nightjar/v1/hub.pb.h"
#include "persister/storage.pb.h"

namespace nightjar::storage {

void Merge(ChatMeta& into, const ChatMeta& from);
void Merge(MemberSpan& into, const MemberSpan& from);
void Merge(Mark& into, const Mark& from);
void Merge(UserNames& into, const UserNames& from);
void Merge(v1::PushRegistered& into, const v1::PushRegistered& from);
void Merge(v1::Muted& into, const v1::Muted& from);

}  // namespace nightjar::storage
