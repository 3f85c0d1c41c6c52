// A Reply that keeps what a handler streams.
#pragma once

#include "core/base/error.h"
#include "core/http/reply.h"
#include "core/http/websocket.h"

namespace wrenn::test {

class ReplyDouble final : public http::Reply {
 public:
  int status = 0;
  http::Headers fields;
  std::vector<std::string> writes;
  bool finished = false;

  async::Task<> send(http::Response) override { throw Error(ErrorCode::internal, "not in these tests"); }
  async::Task<std::unique_ptr<http::BodyWriter>> stream(int code, http::Headers head,
                                                        std::optional<std::uint64_t>) override {
    status = code;
    fields = std::move(head);
    co_return std::make_unique<Writer>(*this);
  }
  async::Task<http::WebSocket> accept_websocket(const http::WebSocketOptions&) override {
    throw Error(ErrorCode::internal, "not in these tests");
  }
  net::Stream hijack(std::string&) override { throw Error(ErrorCode::internal, "not in these tests"); }
  async::Task<> client_gone() override { throw Error(ErrorCode::internal, "not in these tests"); }
  bool started() const noexcept override { return status != 0; }

  std::string text() const {
    std::string out;
    for (const auto& piece : writes) out += piece;
    return out;
  }

 private:
  struct Writer final : http::BodyWriter {
    explicit Writer(ReplyDouble& to) : reply(to) {}
    async::Task<> write(std::string_view data) override {
      reply.writes.emplace_back(data);
      co_return;
    }
    async::Task<> finish() override {
      reply.finished = true;
      co_return;
    }
    ReplyDouble& reply;
  };
};

}  // namespace wrenn::test
