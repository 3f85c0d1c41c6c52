// GitHub and GitHub Enterprise (docs.github.com, "Authorizing OAuth apps").
#pragma once

#include "core/base/secret.h"
#include "core/outbound/http_request.h"
#include "cp/oauth/provider.h"

namespace wrenn::cp::oauth {

struct GithubSettings {
  std::string client_id;
  Secret client_secret;
  std::string url = "https://github.com";
  std::string api_url = "https://api.github.com";
};

class Github : public Provider {
 public:
  // `client` must outlive this.
  Github(outbound::Client& client, GithubSettings settings)
      : client_(client), settings_(std::move(settings)) {}

  std::string_view name() const noexcept override { return "github"; }
  std::string authorize_url(std::string_view state, std::string_view callback) const override;
  Task<Identity> identify(std::string code, std::string callback) override;

 private:
  Task<std::string> exchange(std::string code, std::string callback);
  Task<std::string> ask(std::string path, std::string token);

  outbound::Client& client_;
  const GithubSettings settings_;
};

}  // namespace wrenn::cp::oauth
