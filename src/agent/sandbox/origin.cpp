#include "agent/sandbox/origin.h"

#include "agent/sandbox/host.h"

namespace wrenn::agent::sandbox {

std::vector<std::string> layers_of(const snapshot::Manifest& manifest) {
  std::vector<std::string> layers = manifest.disk.layers;
  if (!manifest.memory_base.empty()) layers.push_back(manifest.memory_base);
  return layers;
}

Task<> give_up(Host& host, snapshot::Draft& draft) {
  auto drop = [&draft] { const auto useless = std::move(draft); };
  co_await async::offload(host.sys, std::move(drop));
}

Task<> use_up(Host& host, snapshot::Draft& draft, Task<> work) {
  std::exception_ptr failure;
  try {
    co_await std::move(work);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) {
    async::dispose(host.sys, std::move(draft));
    co_return;
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await give_up(host, draft);
  std::rethrow_exception(failure);
}

std::shared_ptr<Origin> make_origin(Host& host) {
  const auto let_go = [&host](Origin* origin) {
    async::dispose(host.sys, std::move(origin->snapshot));
    delete origin;
  };
  return {new Origin, let_go};
}

Task<std::shared_ptr<const Origin>> make_origin(Host& host, snapshot::Snapshot snapshot) {
  auto origin = make_origin(host);
  origin->pin = host.layers.pin(layers_of(snapshot.manifest));
  origin->base = co_await host.bases.get(snapshot.manifest.memory_base, snapshot.manifest.memory_mib);
  origin->snapshot = std::move(snapshot);
  co_return origin;
}

}  // namespace wrenn::agent::sandbox
