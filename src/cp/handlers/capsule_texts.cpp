#include "cp/handlers/capsule_texts.h"

#include "cp/handlers/views.h"
#include "cp/limits.h"

namespace wrenn::cp::handlers {

namespace {

struct Fresh {
  model::SandboxId id;
  store::RowVersion version;
  std::string text;
};

std::vector<Fresh> render(db::Connection& connection, const std::vector<model::SandboxId>& ids) {
  std::vector<Fresh> fresh;
  fresh.reserve(ids.size());
  api::Capsule view;
  for (const auto& id : ids) {
    const auto row = store::find_sandbox(connection, id);
    if (!row) continue;
    fill(view, *row);
    fresh.push_back({id, {row->revision, row->last_updated}, json::to_json(view)});
  }
  return fresh;
}

}  // namespace

CapsuleTexts::Text CapsuleTexts::find(const store::ListedSandbox& listed) const {
  const auto found = known_.find(listed.id);
  return found != known_.end() && found->second.version == listed.version ? found->second.text : nullptr;
}

async::Task<std::string> CapsuleTexts::list(model::TeamId team, store::Labels labels) {
  auto ask = [&](db::Connection& connection) {
    auto all = store::listed_sandboxes(connection, team);
    if (labels.empty()) return all;
    const auto wanted = store::sandboxes_labelled(connection, team, labels);
    std::erase_if(all, [&wanted](const auto& one) { return !wanted.contains(one.id); });
    return all;
  };
  const auto listed = co_await database_.read(ask);

  std::vector<Text> texts;
  std::vector<model::SandboxId> missing;
  texts.reserve(listed.size());
  for (const auto& one : listed)
    if (!texts.emplace_back(find(one))) missing.push_back(one.id);

  if (!missing.empty()) {
    auto look_up = [&missing](db::Connection& connection) { return render(connection, missing); };
    auto fresh = co_await database_.read(look_up);
    if (known_.size() + fresh.size() > limits::kCapsuleTexts) known_.clear();
    std::unordered_map<model::SandboxId, Text> found;
    for (auto& one : fresh) {
      auto text = std::make_shared<const std::string>(std::move(one.text));
      found[one.id] = text;
      known_[one.id] = {one.version, std::move(text)};
    }
    for (std::size_t i = 0; i < listed.size(); ++i)
      if (!texts[i]) texts[i] = found[listed[i].id];
  }

  std::string out = "[";
  std::size_t bytes = 2;
  for (const auto& text : texts)
    if (text) bytes += text->size() + 1;
  out.reserve(bytes + 1);  // and the newline that ends an answer
  for (const auto& text : texts) {
    if (!text) continue;
    if (out.size() > 1) out += ',';
    out += *text;
  }
  out += ']';
  co_return out;
}

}  // namespace wrenn::cp::handlers
