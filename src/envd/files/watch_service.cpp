#include "envd/files/watch_service.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/scope_guard.h"
#include "core/base/text.h"
#include "envd/files/paths.h"
#include "envd/limits.h"
#include "envd/rpc.h"

namespace wrenn::envd::files {

namespace wire = api::envd;
using async::Task;

// A place among limits::kWatchers.
class WatchService::Seat {
 public:
  explicit Seat(WatchService& service) : service_(service) {
    if (service_.stopping_) throw Error(ErrorCode::unavailable, "envd is stopping");
    service_.make_room();
    ++service_.open_;
  }
  ~Seat() { --service_.open_; }
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;

 private:
  WatchService& service_;
};

// A watcher and what its client has not fetched yet.
struct WatchService::Polled {
  explicit Polled(WatchService& owner) : service(owner), seat(owner), changed(owner.scope_.executor()) {}
  ~Polled() { clear(); }

  void take(const WatchBatch& batch) {
    for (const std::string& event : batch.events) {
      if (failure) return;
      const std::size_t bytes = event.size() + 1;
      if (json.size() + bytes > limits::kWatcherQueueBytes ||
          service.queued_bytes_ + bytes > limits::kAllWatcherQueueBytes) {
        failure =
            Error(ErrorCode::data_loss,
                  "file system events were lost (more than are kept between two polls): list the directory");
        return;
      }
      if (!json.empty()) json += ',';
      json += event;
      counted += bytes;
      service.queued_bytes_ += bytes;
    }
    if (batch.failure && !failure) failure = batch.failure;
  }

  void clear() noexcept {
    service.queued_bytes_ -= std::exchange(counted, 0);
    std::string().swap(json);
  }

  WatchService& service;
  Seat seat;
  std::unique_ptr<Watcher> watcher;
  std::string json;  // events, with commas between them
  std::size_t counted = 0;
  // Told once those before it have been fetched. Meanwhile nothing more is kept, for the client must look
  // anew.
  std::optional<Error> failure;
  bool over = false;  // nothing more will come, and the failure stays
  bool removed = false;
  SteadyTime asked = SteadyClock::now();
  async::Event changed;
};

WatchService::WatchService(async::Executor executor, async::ThreadPool& threads, const Defaults& defaults)
    : threads_(threads), defaults_(defaults), scope_(std::move(executor), "watchers") {}

WatchService::~WatchService() = default;

void WatchService::add_routes(http::Router& router) {
  router.add("POST", "/filesystem.Filesystem/WatchDir", rpc::streaming(this, &WatchService::watch_dir));
  router.add("POST", "/filesystem.Filesystem/CreateWatcher", rpc::unary(this, &WatchService::create));
  router.add("POST", "/filesystem.Filesystem/GetWatcherEvents", rpc::unary(this, &WatchService::events));
  router.add("POST", "/filesystem.Filesystem/RemoveWatcher", rpc::unary(this, &WatchService::remove));
}

Task<> WatchService::stop() {
  stopping_ = true;
  for (Watcher* stream : streams_) stream->interrupt();
  while (!polled_.empty()) end(*polled_.begin()->second);
  co_await scope_.join();
}

WatchOptions WatchService::options_of(const wire::WatchRequest& message, Call call) const {
  WatchOptions options;
  options.path = resolve(message.path, user_of(call, defaults_).home, defaults_.workdir);
  options.recursive = message.recursive;
  options.with_entries = message.include_entry;
  options.network_mounts = message.allow_network_mounts;
  return options;
}

// For one more. Clients that poll may have gone without a word.
void WatchService::make_room() {
  if (open_ < limits::kWatchers) return;
  const auto oldest = std::min_element(polled_.begin(), polled_.end(), [](const auto& a, const auto& b) {
    return a.second->asked < b.second->asked;
  });
  if (oldest == polled_.end() || SteadyClock::now() - oldest->second->asked < limits::kWatcherIdle)
    throw_error(ErrorCode::resource_exhausted,
                "{} directories are being watched, no more are possible: end a watch", limits::kWatchers);
  end(*oldest->second);
}

void WatchService::end(Polled& polled) {
  polled.removed = true;
  polled.changed.notify_all();
  if (polled.watcher) polled.watcher->interrupt();
  std::erase_if(polled_, [&polled](const auto& item) { return item.second.get() == &polled; });
}

// --- a stream ---

Task<> WatchService::watch_dir(http::Request& request, http::Reply& reply, http::ConnectStream& stream) {
  const std::string body = co_await rpc::read_message(request);
  const auto message = json::from_json<wire::WatchRequest>(body);
  auto options = options_of(message, request);
  const Seat seat(*this);
  const auto watcher = co_await Watcher::open(threads_, std::move(options), budget_);
  streams_.insert(watcher.get());
  const ScopeGuard leave([this, &watcher] { streams_.erase(watcher.get()); });
  auto work = forward(stream, *watcher, rpc::keepalive_of(request));
  co_await rpc::while_connected(reply, rpc::timeout_of(request), std::move(work));
}

Task<> WatchService::forward(http::ConnectStream& stream, Watcher& watcher, SteadyClock::duration keepalive) {
  co_await stream.send(R"({"start":{}})");
  for (;;) {
    const auto batch = co_await watcher.next(SteadyClock::now() + keepalive);
    if (stopping_) throw Error(ErrorCode::unavailable, "envd is stopping");
    if (!batch) {
      co_await stream.send(R"({"keepalive":{}})");
      continue;
    }
    for (const std::string& event : batch->events) {
      const std::string text = R"({"filesystem":)" + event + "}";
      co_await stream.send(text);
    }
    if (batch->failure) throw *batch->failure;
  }
}

// --- watchers that are polled ---

Task<wire::WatcherMessage> WatchService::create(wire::WatchRequest message, Call call) {
  auto options = options_of(message, call);
  const auto polled = std::make_shared<Polled>(*this);
  polled->watcher = co_await Watcher::open(threads_, std::move(options), budget_);
  if (stopping_) throw Error(ErrorCode::unavailable, "envd is stopping");
  wire::WatcherMessage answer{"w-" + random_hex(8)};
  polled_.emplace(answer.watcher_id, polled);
  scope_.spawn(collect(polled));
  co_return answer;
}

Task<> WatchService::collect(std::shared_ptr<Polled> polled) {
  while (!polled->removed) {
    const auto batch = co_await polled->watcher->next(SteadyTime::max());
    if (!batch) break;  // removed
    polled->take(*batch);
    if (batch->failure) {
      try {
        co_await polled->watcher->reopen();
      } catch (const Error& error) {
        if (error.code() == ErrorCode::canceled) throw;
        polled->failure = error;
        polled->over = true;
      }
    }
    polled->changed.notify_all();
    if (polled->over) break;
  }
}

Task<std::string> WatchService::events(wire::WatcherMessage message, Call) {
  const auto found = polled_.find(message.watcher_id);
  if (found == polled_.end())
    throw_error(ErrorCode::not_found, "watcher '{}' does not exist",
                sanitize_utf8(message.watcher_id.substr(0, 100)));
  const auto polled = found->second;
  polled->asked = SteadyClock::now();
  // What has happened before this call belongs into its answer, also when everything is so busy that reading
  // it takes time; for what happens meanwhile nobody waits.
  const auto news_end = polled->watcher->end_of_news();
  const auto until = polled->asked + limits::kWatcherSettle;
  while (!polled->over && !polled->removed && polled->watcher->has_news() &&
         polled->watcher->returned() < news_end && SteadyClock::now() < until)
    co_await polled->changed.wait_for(until - SteadyClock::now());
  if (polled->json.empty() && polled->failure) {
    Error failure = *polled->failure;
    if (!polled->over) polled->failure.reset();
    throw failure;
  }
  std::string json = R"({"events":[)" + polled->json + "]}";
  polled->clear();
  co_return json;
}

// One that does not exist is removed already.
Task<wire::Empty> WatchService::remove(wire::WatcherMessage message, Call) {
  const auto found = polled_.find(message.watcher_id);
  if (found != polled_.end()) end(*found->second);
  co_return wire::Empty{};
}

}  // namespace wrenn::envd::files
