// The mails that wrenn sends: what they say, as text and as HTML (spec/data-model.md §9).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace wrenn::cp::service {

struct Letter {
  std::string to_address, to_name;
  std::string subject;
  std::string text, html;
};

struct Recipient {
  std::string address, name;
};

// `app_url` is where the dashboard is, without a slash at its end.
Letter activation_letter(const Recipient& to, std::string_view app_url, std::string_view token);
Letter reset_letter(const Recipient& to, std::string_view app_url, std::string_view token);
Letter password_changed_letter(const Recipient& to);
Letter password_added_letter(const Recipient& to);
// `providers`: by which the account can be entered, too.
Letter password_was_reset_letter(const Recipient& to, const std::vector<std::string>& providers);
Letter provider_linked_letter(const Recipient& to, std::string_view provider);
Letter account_deleted_letter(const Recipient& to);
Letter account_purged_letter(const Recipient& to);
Letter team_created_letter(const Recipient& to, std::string_view team);
Letter member_added_letter(const Recipient& to, std::string_view team, std::string_view by,
                           std::string_view app_url);

}  // namespace wrenn::cp::service
