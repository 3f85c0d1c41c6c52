// Listener: a bound socket that accepts streams.
#pragma once

#include "core/net/stream.h"

namespace wrenn::net {

class Listener {
 public:
  // Binds and listens. A stale Unix socket file that nobody listens on is replaced; socket files get
  // `unix_mode`. Throws Error(already_exists) when the port is taken, with the remedy in the message;
  // SystemError otherwise.
  Listener(async::Executor executor, Address address, unsigned unix_mode = 0600);
  ~Listener();  // removes the socket file it made
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Waits for the next connection. When descriptors run out it waits and tries again instead of failing.
  Task<Stream> accept();
  void close() noexcept;
  // With the real port when 0 was asked for.
  const Address& address() const noexcept { return address_; }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  Address address_;
};

}  // namespace wrenn::net
