#include "notifier/http/transfer.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "notifier/http/public_address.h"

namespace nightjar::notify {
namespace {

constexpr size_t kHeaderBytes = 32 * 1024;

}  // namespace

Transfer::Transfer(const HttpSender::Options& options)
    : options_(options), handle_(curl_easy_init()) {}

Transfer::~Transfer() {
  curl_slist_free_all(headers_);
  curl_easy_cleanup(handle_);
}

void Transfer::Prepare(HttpRequest request, std::string host, HttpSender::Done done) {
  request_ = std::move(request);
  host_ = std::move(host);
  done_ = std::move(done);
  answer_ = {};
  header_bytes_ = 0;
  again_ = 0;
  not_public_ = false;
  curl_slist_free_all(headers_);
  headers_ = nullptr;
  for (const auto& [name, value] : request_.headers) {
    headers_ = curl_slist_append(headers_, (name + ": " + value).c_str());
  }
  // Curl would wait for a "100 Continue" before longer bodies.
  headers_ = curl_slist_append(headers_, "expect:");

  CURL* const h = handle_;
  curl_easy_reset(h);
  curl_easy_setopt(h, CURLOPT_PRIVATE, this);
  curl_easy_setopt(h, CURLOPT_URL, request_.url.c_str());
  curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(h, CURLOPT_PROXY, "");
  curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(h, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
  curl_easy_setopt(h, CURLOPT_PIPEWAIT, 1L);
  curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_ms));
  curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.answer_ms));
  if (!options_.ca_file.empty()) curl_easy_setopt(h, CURLOPT_CAINFO, options_.ca_file.c_str());
  curl_easy_setopt(h, CURLOPT_POST, 1L);
  curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
  curl_easy_setopt(h, CURLOPT_POSTFIELDS, request_.body.data());
  curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers_);
  curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, &Transfer::OnHeader);
  curl_easy_setopt(h, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
  curl_easy_setopt(h, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, &Transfer::OnSocket);
  curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, this);
}

size_t Transfer::OnHeader(char* data, size_t size, size_t count, void* self) {
  Transfer& transfer = *static_cast<Transfer*>(self);
  const std::string_view line(data, size * count);
  transfer.header_bytes_ += line.size();
  if (transfer.header_bytes_ > kHeaderBytes) return 0;
  constexpr std::string_view kName = "retry-after:";
  const bool named = line.size() > kName.size() &&
                     std::equal(kName.begin(), kName.end(), line.begin(), [](char a, char b) {
                       return a == std::tolower(static_cast<unsigned char>(b));
                     });
  if (named) {
    std::string_view value = line.substr(kName.size());
    constexpr std::string_view kBlank = " \t\r\n";
    value.remove_prefix(std::min(value.find_first_not_of(kBlank), value.size()));
    value = value.substr(0, value.find_last_not_of(kBlank) + 1);
    transfer.answer_.retry_after = value.substr(0, 64);
  }
  return line.size();
}

size_t Transfer::OnBody(char* data, size_t size, size_t count, void* self) {
  Transfer& transfer = *static_cast<Transfer*>(self);
  const size_t bytes = size * count;
  const size_t room = transfer.options_.body_bytes - transfer.answer_.body.size();
  transfer.answer_.body.append(data, std::min(bytes, room));
  return bytes <= room ? bytes : 0;  // ends the transfer
}

curl_socket_t Transfer::OnSocket(void* self, curlsocktype, curl_sockaddr* address) {
  Transfer& transfer = *static_cast<Transfer*>(self);
  const bool good = !transfer.options_.public_only ||
                    IsPublicAddress(&address->addr, static_cast<socklen_t>(address->addrlen));
  transfer.not_public_ = !good;
  if (!good) return CURL_SOCKET_BAD;
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

bool Transfer::GoesAgain(CURLcode code) {
  long status = 0;
  curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
  if (code != CURLE_HTTP2 || status != 0 || again_ == 3) return false;
  ++again_;
  curl_easy_setopt(handle_, CURLOPT_FRESH_CONNECT, 1L);
  return true;
}

Carried Transfer::Result(CURLcode code) const {
  Carried carried;
  long status = 0;
  curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
  carried.answer = answer_;
  carried.answer.status = static_cast<int>(status);
  // Of an answer whose end did not come, the status was said all the same.
  if (code == CURLE_OK || (status >= 200 && code != CURLE_OPERATION_TIMEDOUT) ||
      (status >= 200 && status < 300)) {
    carried.kind = Carried::Kind::kAnswered;
    return carried;
  }
  carried.reason = curl_easy_strerror(code);
  if (not_public_) {
    carried.kind = Carried::Kind::kRefused;
    carried.reason = "the address is not public";
  } else if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
    carried.kind = Carried::Kind::kRefused;
  }
  return carried;
}

void Transfer::Finish(Carried carried) {
  const HttpSender::Done done = std::move(done_);
  done_ = nullptr;
  request_ = {};
  done(std::move(carried));
}

}  // namespace nightjar::notify
