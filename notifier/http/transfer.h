// One request on its way: a curl handle, set up within the sender's bounds, and what has come back.
// On the sender's thread alone.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

#include "notifier/http/http_sender.h"

namespace nightjar::notify {

class Transfer {
 public:
  explicit Transfer(const HttpSender::Options& options);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // Makes the handle ready for this request; a Transfer may be used again and again. `host` is kept
  // for the owner.
  void Prepare(HttpRequest request, std::string host, HttpSender::Done done);
  CURL* handle() const { return handle_; }
  const std::string& host() const { return host_; }

  // Has curl given it to a connection that was just being closed by the other side (GOAWAY)? It was
  // not sent then, and goes again, by a new connection. Three times at most.
  bool GoesAgain(CURLcode code);
  // What became of it, once curl says `code`.
  Carried Result(CURLcode code) const;
  void Finish(Carried carried);

 private:
  static size_t OnHeader(char* data, size_t size, size_t count, void* self);
  static size_t OnBody(char* data, size_t size, size_t count, void* self);
  static curl_socket_t OnSocket(void* self, curlsocktype purpose, curl_sockaddr* address);

  const HttpSender::Options& options_;
  CURL* handle_;
  curl_slist* headers_ = nullptr;
  HttpRequest request_;
  std::string host_;
  HttpSender::Done done_;
  HttpAnswer answer_;
  size_t header_bytes_ = 0;
  int again_ = 0;
  bool not_public_ = false;  // an address was refused, and none taken
};

}  // namespace nightjar::notify
