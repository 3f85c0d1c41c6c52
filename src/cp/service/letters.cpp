#include "cp/service/letters.h"

#include <fmt/format.h>

namespace wrenn::cp::service {

namespace {

struct Content {
  std::string_view subject;
  std::string message;
  std::string_view button;  // empty: none
  std::string url;          // of the button
  std::string_view closing;
};

constexpr std::string_view kFooter = "Sent by wrenn about your account.";
constexpr std::string_view kNotYou =
    "If this was not you, reset your password at once and tell an administrator.";

// Names and addresses are the user's own words.
std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  return out;
}

std::string text_of(const Recipient& to, const Content& content) {
  auto text = fmt::format("Hello {},\n\n{}\n\n", to.name, content.message);
  if (!content.button.empty()) text += fmt::format("{}:\n{}\n\n", content.button, content.url);
  if (!content.closing.empty()) text += fmt::format("{}\n\n", content.closing);
  return text + fmt::format("-- \n{}\n", kFooter);
}

std::string paragraph(std::string_view text) {
  return fmt::format("<p style=\"margin:0 0 16px\">{}</p>\n", escape(text));
}

// Tables and inline styles: what mail programs agree on. No pictures, nothing is loaded from elsewhere.
std::string html_of(const Recipient& to, const Content& content) {
  std::string body = paragraph(fmt::format("Hello {},", to.name)) + paragraph(content.message);
  if (!content.button.empty()) {
    const auto url = escape(content.url);
    body += fmt::format(
        "<p style=\"margin:0 0 16px\"><a href=\"{}\" style=\"display:inline-block;padding:10px 20px;"
        "background:#5e8c58;color:#ffffff;border-radius:5px;text-decoration:none\">{}</a></p>\n"
        "<p style=\"margin:0 0 16px;font-size:13px\">Or open this address: {}</p>\n",
        url, escape(content.button), url);
  }
  if (!content.closing.empty()) body += paragraph(content.closing);
  return fmt::format(
      "<!doctype html>\n<html><head><meta charset=\"utf-8\"><title>{}</title></head>\n"
      "<body style=\"margin:0;padding:32px 16px;background:#f4f3f1;color:#3a3835;"
      "font-family:sans-serif;font-size:15px;line-height:1.5\">\n"
      "<table role=\"presentation\" align=\"center\" width=\"560\" style=\"max-width:100%;background:#ffffff;"
      "border:1px solid #e5e4e0;border-radius:8px\"><tr><td style=\"padding:32px\">\n{}"
      "<p style=\"margin:24px 0 0;font-size:12px;color:#8a8780\">{}</p>\n"
      "</td></tr></table>\n</body></html>\n",
      escape(content.subject), body, kFooter);
}

Letter letter(const Recipient& to, const Content& content) {
  return {to.address, to.name, std::string(content.subject), text_of(to, content), html_of(to, content)};
}

}  // namespace

Letter activation_letter(const Recipient& to, std::string_view app_url, std::string_view token) {
  return letter(
      to, {"Activate your Wrenn account",
           "an account was made for this address. Activate it to sign in; the link works for 30 minutes.",
           "Activate Account", fmt::format("{}/activate?token={}", app_url, token),
           "If you did not sign up, ignore this mail: without the link nothing happens."});
}

Letter reset_letter(const Recipient& to, std::string_view app_url, std::string_view token) {
  return letter(to, {"Reset your Wrenn password",
                     "somebody asked to reset the password of your account. The link works for 15 minutes.",
                     "Reset Password", fmt::format("{}/reset-password?token={}", app_url, token),
                     "If that was not you, ignore this mail: your password stays as it is."});
}

Letter password_changed_letter(const Recipient& to) {
  return letter(
      to, {"Your Wrenn password was changed",
           "the password of your account was changed. All other sessions have ended.", "", "", kNotYou});
}

Letter password_added_letter(const Recipient& to) {
  return letter(
      to, {"Password added to your Wrenn account",
           "your account has a password now. You can sign in with it and your address.", "", "", kNotYou});
}

Letter password_was_reset_letter(const Recipient& to, const std::vector<std::string>& providers) {
  std::string message =
      "the password of your account was reset. All sessions have ended, and the API keys that you had made "
      "are revoked.";
  if (!providers.empty())
    message += fmt::format(
        " The account can still be entered by way of: {}. If you have not connected it, disconnect it in "
        "your settings.",
        fmt::join(providers, ", "));
  return letter(to, {"Your Wrenn password was reset", std::move(message), "", "", kNotYou});
}

Letter provider_linked_letter(const Recipient& to, std::string_view provider) {
  return letter(to, {"A sign-in was added to your Wrenn account",
                     fmt::format("your account can now be entered by way of {}.", provider), "", "",
                     "If this was not you, disconnect it in your settings, reset your password at once and "
                     "tell an administrator."});
}

Letter account_deleted_letter(const Recipient& to) {
  return letter(
      to, {"Your Wrenn account has been deleted",
           "your account was deleted as you asked. What is left of it is erased for good in 15 days.", "", "",
           "If this was not you, tell an administrator before then."});
}

Letter account_purged_letter(const Recipient& to) {
  return letter(to, {"Your Wrenn account has been deleted", "your account is erased for good.", "", "", ""});
}

Letter team_created_letter(const Recipient& to, std::string_view team) {
  return letter(to,
                {"Your team has been created", fmt::format("your team \"{}\" is ready.", team), "", "", ""});
}

Letter member_added_letter(const Recipient& to, std::string_view team, std::string_view by,
                           std::string_view app_url) {
  return letter(to, {"You've been added to a team on Wrenn",
                     fmt::format("{} has added you to the team \"{}\".", by, team), "Open Wrenn",
                     std::string(app_url), ""});
}

}  // namespace wrenn::cp::service
