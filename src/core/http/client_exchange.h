// The client's side of one request and its answer, on a connection of its own for that time.
#pragma once

#include <memory>
#include <string>

#include "core/http/client.h"
#include "core/http/connection_reader.h"

namespace wrenn::http {

// A connection with what has been read from it; kept alive between exchanges.
struct ClientConnection {
  explicit ClientConnection(net::Stream connected) : stream(std::move(connected)), reader(stream) {}
  net::Stream stream;
  ConnectionReader reader;
  bool reused = false;
};

// Takes connections back; shared, so that an exchange may outlive its client.
class ClientPool {
 public:
  virtual ~ClientPool() = default;
  virtual void put(std::unique_ptr<ClientConnection> connection) noexcept = 0;
};

class ClientExchange final : public Exchange {
 public:
  ClientExchange(std::shared_ptr<ClientPool> pool, std::unique_ptr<ClientConnection> connection,
                 std::string method, Client::BodyKind kind, std::uint64_t length);
  ~ClientExchange() override;

  // The head, and the whole body behind it when there is one (kind sized).
  Task<> start(std::string head, std::string_view body);

  Task<> write(std::string_view data) override;
  Task<> finish_body() override;
  Task<> read_head(std::chrono::steady_clock::duration timeout) override;
  int status() const noexcept override { return head_.status; }
  const Headers& headers() const noexcept override { return head_.headers; }
  Body& body() noexcept override { return body_; }
  net::Stream take_stream(std::string& unread) override;
  void set_stall_limit(std::chrono::seconds limit) noexcept override;

  // What a retry depends on.
  bool reused() const noexcept { return connection_->reused; }
  bool head_sent() const noexcept { return head_sent_; }
  bool answer_begun() const noexcept { return answer_begun_; }
  bool has_head() const noexcept { return has_head_; }
  // Headers of the answer, moved out.
  Headers take_headers() noexcept { return std::move(head_.headers); }
  // Waits for the head without a deadline of its own.
  Task<> read_head_unlimited();

 private:
  std::shared_ptr<ClientPool> pool_;
  std::unique_ptr<ClientConnection> connection_;
  const std::string method_;
  const Client::BodyKind kind_;
  std::uint64_t left_;  // of a sized request body
  bool body_finished_;  // of the request
  bool head_sent_ = false;
  bool answer_begun_ = false;
  bool has_head_ = false;
  int interim_answers_ = 0;
  ResponseParser parser_;
  ResponseHead head_;
  FramedBody body_;
  std::string chunk_;
};

}  // namespace wrenn::http
