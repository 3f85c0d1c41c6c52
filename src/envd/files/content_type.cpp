#include "envd/files/content_type.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/codec.h"
#include "core/base/text.h"

namespace wrenn::envd::files {

namespace {

using Entry = std::pair<std::string_view, std::string_view>;

// Sorted by extension.
constexpr std::array kTypes = {
    Entry{"avif", "image/avif"},
    Entry{"bmp", "image/bmp"},
    Entry{"css", "text/css; charset=utf-8"},
    Entry{"csv", "text/csv; charset=utf-8"},
    Entry{"gif", "image/gif"},
    Entry{"gz", "application/gzip"},
    Entry{"htm", "text/html; charset=utf-8"},
    Entry{"html", "text/html; charset=utf-8"},
    Entry{"ico", "image/vnd.microsoft.icon"},
    Entry{"jpeg", "image/jpeg"},
    Entry{"jpg", "image/jpeg"},
    Entry{"js", "text/javascript; charset=utf-8"},
    Entry{"json", "application/json"},
    Entry{"log", "text/plain; charset=utf-8"},
    Entry{"md", "text/markdown; charset=utf-8"},
    Entry{"mjs", "text/javascript; charset=utf-8"},
    Entry{"mp3", "audio/mpeg"},
    Entry{"mp4", "video/mp4"},
    Entry{"oga", "audio/ogg"},
    Entry{"ogv", "video/ogg"},
    Entry{"otf", "font/otf"},
    Entry{"pdf", "application/pdf"},
    Entry{"png", "image/png"},
    Entry{"py", "text/x-python; charset=utf-8"},
    Entry{"sh", "text/x-shellscript; charset=utf-8"},
    Entry{"svg", "image/svg+xml"},
    Entry{"tar", "application/x-tar"},
    Entry{"tif", "image/tiff"},
    Entry{"tiff", "image/tiff"},
    Entry{"toml", "application/toml"},
    Entry{"ts", "text/x-typescript; charset=utf-8"},
    Entry{"ttf", "font/ttf"},
    Entry{"txt", "text/plain; charset=utf-8"},
    Entry{"wasm", "application/wasm"},
    Entry{"wav", "audio/wav"},
    Entry{"webm", "video/webm"},
    Entry{"webp", "image/webp"},
    Entry{"woff", "font/woff"},
    Entry{"woff2", "font/woff2"},
    Entry{"xml", "text/xml; charset=utf-8"},
    Entry{"yaml", "application/yaml"},
    Entry{"yml", "application/yaml"},
    Entry{"zip", "application/zip"},
};
static_assert(std::is_sorted(kTypes.begin(), kTypes.end()));

}  // namespace

std::string_view content_type_of(std::string_view name) noexcept {
  constexpr std::string_view kUnknown = "application/octet-stream";
  constexpr std::size_t kLongest = 8;
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || name.size() - dot > kLongest) return kUnknown;
  const std::string extension = to_lower(name.substr(dot + 1));
  const auto found =
      std::lower_bound(kTypes.begin(), kTypes.end(), std::string_view(extension),
                       [](const Entry& entry, std::string_view key) { return entry.first < key; });
  return found != kTypes.end() && found->first == extension ? found->second : kUnknown;
}

std::string content_disposition(std::string_view name) {
  std::string quoted;
  bool is_plain = true;
  for (const char byte : name) {
    const bool printable = byte >= 0x20 && byte < 0x7f;
    is_plain = is_plain && printable && byte != '"' && byte != '\\';
    if (byte == '"' || byte == '\\') quoted += '\\';
    quoted += printable ? byte : '_';
  }
  std::string text = "inline; filename=\"" + quoted + "\"";
  if (!is_plain) text += "; filename*=UTF-8''" + percent_encode(name);
  return text;
}

}  // namespace wrenn::envd::files
