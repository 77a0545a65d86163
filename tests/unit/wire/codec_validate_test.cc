#include <gtest/gtest.h>

#include <functional>

#include "common/wire/codec.h"
#include "common/wire/limits.h"

namespace nightjar {
namespace {

const char* const kGroup = "g:abcdefghijklmnopqrstuvwxyz";

v1::Send GoodSend() {
  v1::Send send;
  send.set_to("bob");
  send.set_text("hi");
  return send;
}

// A send or request is fine before `change` and refused after it.
template <typename Message, typename Change>
Status After(Message message, Change change) {
  change(message);
  if constexpr (std::is_same_v<Message, v1::Send>) {
    return ValidateSend(message);
  } else {
    return ValidateRequest(message);
  }
}

TEST(ValidateSend, TakesWhatIsWithinItsLimits) {
  v1::Send send = GoodSend();
  EXPECT_TRUE(ValidateSend(send).ok());
  send.set_client_msg_id(limits::kMaxClientMsgId);
  send.set_text(std::string(limits::kText, 'x'));
  send.set_content_url(std::string(limits::kContentUrl, 'x'));
  send.set_content_type(std::string(limits::kContentType, 'x'));
  EXPECT_TRUE(ValidateSend(send).ok());
  send.clear_text();
  EXPECT_TRUE(ValidateSend(send).ok()) << "a picture without words";
  send.set_chat_id(kGroup);
  EXPECT_TRUE(ValidateSend(send).ok());
}

TEST(ValidateSend, RefusesEachThingBeyondThem) {
  using Send = v1::Send;
  const std::function<void(Send&)> changes[] = {
      [](Send& s) { s.clear_target(); },
      [](Send& s) { s.set_to(""); },
      [](Send& s) { s.set_to("not a uid"); },
      [](Send& s) { s.set_chat_id(""); },
      [](Send& s) { s.set_chat_id("d:bob:alice"); },
      [](Send& s) { s.clear_text(); },
      [](Send& s) { s.clear_text(), s.set_content_type("image/png"); },
      [](Send& s) { s.set_text(std::string(limits::kText + 1, 'x')); },
      [](Send& s) { s.set_content_url(std::string(limits::kContentUrl + 1, 'x')); },
      [](Send& s) { s.set_content_type(std::string(limits::kContentType + 1, 'x')); },
      [](Send& s) { s.set_client_msg_id(limits::kMaxClientMsgId + 1); },
      [](Send& s) { s.set_client_msg_id(~uint64_t{0}); },
  };
  for (size_t i = 0; i < std::size(changes); ++i) {
    EXPECT_EQ(After(GoodSend(), changes[i]).code(), Code::kInvalidArgument) << "change " << i;
  }
}

v1::Request GoodRequest() {
  v1::Request request;
  request.set_request_id("r1");
  return request;
}

v1::RegisterPush::WebPush GoodWebPush() {
  v1::RegisterPush::WebPush push;
  push.set_endpoint("https://push.example/1");
  push.set_p256dh("\x04" + std::string(64, 'k'));
  push.set_auth(std::string(16, 'a'));
  return push;
}

TEST(ValidateRequest, TakesEveryRequest) {
  using Request = v1::Request;
  const std::function<void(Request&)> bodies[] = {
      [](Request& r) { r.mutable_open_chat()->set_to("bob"); },
      [](Request& r) { r.mutable_open_chat()->set_chat_id(kGroup), r.mutable_open_chat()->set_limit(~0u); },
      [](Request& r) { r.mutable_create_chat(); },
      [](Request& r) {
        r.mutable_create_chat()->set_title(std::string(limits::kTitle, 't'));
        for (size_t i = 0; i < limits::kChangeUids; ++i) r.mutable_create_chat()->add_members("bob");
      },
      [](Request& r) { r.mutable_update_chat()->set_chat_id(kGroup), r.mutable_update_chat()->set_title(""); },
      [](Request& r) { r.mutable_update_chat()->set_chat_id(kGroup), r.mutable_update_chat()->add_remove("a"); },
      [](Request& r) { r.mutable_list_chats(); },
      [](Request& r) { r.mutable_history()->set_chat_id("d:alice:bob"); },
      [](Request& r) {
        for (size_t i = 0; i < limits::kReceiptChats; ++i) r.mutable_receipts()->add_chat_ids(kGroup);
      },
      [](Request& r) {
        for (size_t i = 0; i < limits::kPresenceUids; ++i) r.mutable_get_presence()->add_uids("bob");
      },
      [](Request& r) { *r.mutable_register_push()->mutable_web_push() = GoodWebPush(); },
      [](Request& r) {
        r.mutable_register_push()->mutable_fcm()->set_token(std::string(limits::kPushToken, 't'));
        r.mutable_register_push()->set_language(std::string(limits::kLanguage, 'l'));
      },
      [](Request& r) { r.mutable_register_push()->mutable_apns()->set_token("t"); },
      [](Request& r) { r.mutable_unregister_push(); },
      [](Request& r) { r.mutable_whoami(); },
      [](Request& r) { r.mutable_mute_chat(); },
      [](Request& r) { r.mutable_mute_chat()->set_chat_id(kGroup), r.mutable_mute_chat()->set_until_ms(-1); },
      [](Request& r) { r.mutable_list_members()->set_chat_id(kGroup), r.mutable_list_members()->set_after("a"); },
  };
  for (size_t i = 0; i < std::size(bodies); ++i) {
    const Status status = After(GoodRequest(), bodies[i]);
    EXPECT_TRUE(status.ok()) << "body " << i << ": " << status.message();
  }
}

TEST(ValidateRequest, RefusesEachThingBeyondTheLimits) {
  using Request = v1::Request;
  const auto push = [](auto change) {
    return [change](Request& r) {
      auto* web = r.mutable_register_push()->mutable_web_push();
      *web = GoodWebPush();
      change(*web);
    };
  };
  using WebPush = v1::RegisterPush::WebPush;
  const std::function<void(Request&)> changes[] = {
      [](Request& r) { r.clear_body(); },
      [](Request& r) { r.mutable_whoami(), r.clear_request_id(); },
      [](Request& r) { r.mutable_whoami(), r.set_request_id(std::string(37, 'r')); },
      [](Request& r) { r.mutable_open_chat(); },
      [](Request& r) { r.mutable_open_chat()->set_to("a b"); },
      [](Request& r) { r.mutable_open_chat()->set_chat_id("g:short"); },
      [](Request& r) { r.mutable_create_chat()->set_title(std::string(limits::kTitle + 1, 't')); },
      [](Request& r) { r.mutable_create_chat()->add_members(""); },
      [](Request& r) {
        for (size_t i = 0; i <= limits::kChangeUids; ++i) r.mutable_create_chat()->add_members("b");
      },
      [](Request& r) { r.mutable_update_chat()->set_title("t"); },
      [](Request& r) { r.mutable_update_chat()->set_chat_id(kGroup); },  // nothing to change
      [](Request& r) {
        r.mutable_update_chat()->set_chat_id(kGroup);
        r.mutable_update_chat()->set_title(std::string(limits::kTitle + 1, 't'));
      },
      [](Request& r) { r.mutable_update_chat()->set_chat_id(kGroup), r.mutable_update_chat()->add_add("+"); },
      [](Request& r) { r.mutable_update_chat()->set_chat_id(kGroup), r.mutable_update_chat()->add_remove("+"); },
      [](Request& r) {  // together too many
        r.mutable_update_chat()->set_chat_id(kGroup);
        for (size_t i = 0; i < limits::kChangeUids; ++i) r.mutable_update_chat()->add_add("b");
        r.mutable_update_chat()->add_remove("c");
      },
      [](Request& r) { r.mutable_history(); },
      [](Request& r) { r.mutable_receipts()->add_chat_ids("x"); },
      [](Request& r) {
        for (size_t i = 0; i <= limits::kReceiptChats; ++i) r.mutable_receipts()->add_chat_ids(kGroup);
      },
      [](Request& r) { r.mutable_get_presence()->add_uids("a/b"); },
      [](Request& r) {
        for (size_t i = 0; i <= limits::kPresenceUids; ++i) r.mutable_get_presence()->add_uids("b");
      },
      [](Request& r) { r.mutable_register_push(); },
      [](Request& r) { r.mutable_register_push()->mutable_fcm(); },
      [](Request& r) { r.mutable_register_push()->mutable_apns(); },
      [](Request& r) {
        r.mutable_register_push()->mutable_apns()->set_token("t");
        r.mutable_register_push()->mutable_apns()->set_topic(std::string(257, 't'));
      },
      [](Request& r) {
        r.mutable_register_push()->mutable_fcm()->set_token(std::string(limits::kPushToken + 1, 't'));
      },
      [](Request& r) {
        r.mutable_register_push()->mutable_fcm()->set_token("t");
        r.mutable_register_push()->set_language(std::string(limits::kLanguage + 1, 'l'));
      },
      push([](WebPush& p) { p.set_endpoint("http://push.example/1"); }),
      push([](WebPush& p) { p.set_endpoint("https://" + std::string(limits::kPushEndpoint, 'x')); }),
      push([](WebPush& p) { p.set_p256dh(std::string(65, '\x02')); }),
      push([](WebPush& p) { p.set_p256dh("\x04" + std::string(63, 'k')); }),
      push([](WebPush& p) { p.set_auth(std::string(15, 'a')); }),
      [](Request& r) { r.mutable_mute_chat()->set_chat_id("x"); },
      [](Request& r) { r.mutable_mute_chat()->set_until_ms(-2); },
      [](Request& r) { r.mutable_list_members(); },
      [](Request& r) { r.mutable_list_members()->set_chat_id(kGroup), r.mutable_list_members()->set_after("?"); },
  };
  for (size_t i = 0; i < std::size(changes); ++i) {
    EXPECT_EQ(After(GoodRequest(), changes[i]).code(), Code::kInvalidArgument) << "change " << i;
  }
}

}  // namespace
}  // namespace nightjar
