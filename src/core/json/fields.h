// One description of a struct's fields → parse and write. A type takes part by
//
//   struct Entry {
//     std::string name;
//     std::optional<std::string> symlink_target;
//     std::vector<std::string> tags;
//     static constexpr auto kFields = json::fields(json::field("name", &Entry::name, json::kRequired),
//                                                  json::field("symlink_target", &Entry::symlink_target),
//                                                  json::field("tags", &Entry::tags));
//   };
//   Entry entry = json::read<Entry>(json::parse(text));   // Error(invalid_argument) "field entries[2].name: …"
//   std::string text = json::to_json(entry);
//
// Field types: bool, integers, double, std::string, json::Bytes (base64), json::Int64Text (proto3 JSON: a decimal
// string), json::Raw (JSON text, kept as it is), std::optional of these, std::vector, std::map<std::string, T>, json::Value, described structs, and enums
// with `std::string_view to_string(E)` and `std::optional<E> from_string(std::string_view, E*)` found by ADL.
// Reading: unknown members are ignored, null counts as absent, absent members keep the struct's default.
// Writing: absent optionals are left out, everything else is written (field option kOmitEmpty: empty strings, maps,
// vectors, zero numbers and false are left out).
#pragma once

#include <concepts>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/json/reader.h"
#include "core/json/value.h"
#include "core/json/writer.h"

namespace wrenn::json {

struct Bytes {
  std::string data;
  bool operator==(const Bytes&) const = default;
};
struct Int64Text {
  std::int64_t value = 0;
  bool operator==(const Int64Text&) const = default;
};

struct Raw {
  std::string text;  // one JSON value; "" and "{}" count as empty
  bool operator==(const Raw&) const = default;
};

enum FieldOption : unsigned { kPlain = 0, kRequired = 1, kOmitEmpty = 2 };

template <typename Struct, typename Member>
struct Field {
  std::string_view name;
  Member Struct::*member;
  unsigned options;
};

template <typename Struct, typename Member>
constexpr Field<Struct, Member> field(std::string_view name, Member Struct::*member, unsigned options = kPlain) {
  return {name, member, options};
}

template <typename... Fields>
constexpr std::tuple<Fields...> fields(Fields... all) {
  return {all...};
}

template <typename T>
concept Described = requires { T::kFields; };

template <typename T>
concept NamedEnum = std::is_enum_v<T> && requires(T value, std::string_view text) {
  { to_string(value) } -> std::convertible_to<std::string_view>;
  { from_string(text, static_cast<T*>(nullptr)) } -> std::same_as<std::optional<T>>;
};

namespace detail {

template <typename T>
struct IsOptional : std::false_type {};
template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <typename T>
struct IsVector : std::false_type {};
template <typename T>
struct IsVector<std::vector<T>> : std::true_type {};
template <typename T>
struct IsStringMap : std::false_type {};
template <typename T, typename C>
struct IsStringMap<std::map<std::string, T, C>> : std::true_type {};

[[noreturn]] inline void bad(std::string_view path, std::string_view expected) {
  throw_error(ErrorCode::invalid_argument, "field {}: must be {}", path.empty() ? "(the whole body)" : path, expected);
}

inline std::string join_path(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

template <typename T>
void read_into(T& out, const Value& value, std::string_view path) {
  if constexpr (IsOptional<T>::value) {
    if (value.is_null()) {
      out.reset();
      return;
    }
    typename T::value_type inner{};
    read_into(inner, value, path);
    out = std::move(inner);
  } else if constexpr (std::is_same_v<T, Value>) {
    out = value;
  } else if constexpr (std::is_same_v<T, Raw>) {
    out.text.clear();
    Writer(out.text).value(value);
  } else if constexpr (std::is_same_v<T, bool>) {
    const auto flag = value.as_bool();
    if (!flag) bad(path, "true or false");
    out = *flag;
  } else if constexpr (std::is_integral_v<T>) {
    const auto number = value.as_int64();
    if (!number || !std::in_range<T>(*number))
      bad(path, fmt::format("an integer from {} to {}", std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    out = static_cast<T>(*number);
  } else if constexpr (std::is_same_v<T, double>) {
    const auto number = value.as_double();
    if (!number) bad(path, "a number");
    out = *number;
  } else if constexpr (std::is_same_v<T, std::string>) {
    const auto* text = value.as_string();
    if (text == nullptr) bad(path, "a string");
    out = *text;
  } else if constexpr (std::is_same_v<T, Bytes>) {
    const auto* text = value.as_string();
    auto bytes = text ? base64_decode(*text) : std::nullopt;
    if (!bytes) bad(path, "a base64 string");
    out.data = std::move(*bytes);
  } else if constexpr (std::is_same_v<T, Int64Text>) {
    auto number = value.as_int64();
    if (const auto* text = value.as_string()) number = parse_int<std::int64_t>(*text);
    if (!number) bad(path, "an integer, as a number or a decimal string");
    out.value = *number;
  } else if constexpr (IsVector<T>::value) {
    const auto* array = value.as_array();
    if (array == nullptr) bad(path, "an array");
    out.clear();
    out.reserve(array->size());
    for (std::size_t i = 0; i < array->size(); ++i)
      read_into(out.emplace_back(), (*array)[i], fmt::format("{}[{}]", path, i));
  } else if constexpr (IsStringMap<T>::value) {
    const auto* object = value.as_object();
    if (object == nullptr) bad(path, "an object");
    out.clear();
    for (const auto& [name, item] : *object) read_into(out[name], item, join_path(path, name));
  } else if constexpr (NamedEnum<T>) {
    const auto* text = value.as_string();
    const auto known = text ? from_string(*text, static_cast<T*>(nullptr)) : std::nullopt;
    if (!known) bad(path, text ? fmt::format("a known name, not \"{}\"", sanitize_utf8(*text)) : "a string");
    out = *known;
  } else {
    static_assert(Described<T>, "describe the type with kFields");
    if (!value.is_object()) bad(path, "an object");
    std::apply(
        [&](const auto&... described) {
          (..., [&](const auto& one) {
            const Value* member = value.find(one.name);
            if (member == nullptr || member->is_null()) {
              if (one.options & kRequired)
                throw_error(ErrorCode::invalid_argument, "field {} is required", join_path(path, one.name));
              return;
            }
            read_into(out.*(one.member), *member, join_path(path, one.name));
          }(described));
        },
        T::kFields);
  }
}

template <typename T>
bool is_empty(const T& value) {
  if constexpr (requires { value.empty(); }) {
    return value.empty();
  } else if constexpr (std::is_arithmetic_v<T>) {
    return value == T{};
  } else if constexpr (std::is_same_v<T, Bytes>) {
    return value.data.empty();
  } else if constexpr (std::is_same_v<T, Int64Text>) {
    return value.value == 0;
  } else if constexpr (std::is_same_v<T, Raw>) {
    return value.text.empty() || value.text == "{}";
  } else {
    return false;
  }
}

}  // namespace detail

template <typename T>
void write(Writer& writer, const T& value) {
  using namespace detail;
  if constexpr (IsOptional<T>::value) {
    if (value) {
      write(writer, *value);
    } else {
      writer.null();
    }
  } else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, double> || std::is_same_v<T, std::string> ||
                       std::is_same_v<T, Value>) {
    writer.value(value);
  } else if constexpr (std::is_integral_v<T>) {
    if constexpr (std::is_signed_v<T>) {
      writer.value(static_cast<std::int64_t>(value));
    } else {
      writer.value(static_cast<std::uint64_t>(value));
    }
  } else if constexpr (std::is_same_v<T, Bytes>) {
    writer.base64(value.data);
  } else if constexpr (std::is_same_v<T, Raw>) {
    writer.raw(value.text.empty() ? std::string_view("null") : std::string_view(value.text));
  } else if constexpr (std::is_same_v<T, Int64Text>) {
    writer.value(std::string_view(fmt::format_int(value.value).c_str()));
  } else if constexpr (IsVector<T>::value) {
    writer.begin_array();
    for (const auto& item : value) write(writer, item);
    writer.end_array();
  } else if constexpr (IsStringMap<T>::value) {
    writer.begin_object();
    for (const auto& [name, item] : value) {
      writer.key(name);
      write(writer, item);
    }
    writer.end_object();
  } else if constexpr (NamedEnum<T>) {
    writer.value(std::string_view(to_string(value)));
  } else {
    static_assert(Described<T>, "describe the type with kFields");
    writer.begin_object();
    std::apply(
        [&](const auto&... described) {
          (..., [&](const auto& one) {
            const auto& member = value.*(one.member);
            using Member = std::decay_t<decltype(member)>;
            if constexpr (IsOptional<Member>::value) {
              if (!member) return;
            }
            if ((one.options & kOmitEmpty) && is_empty(member)) return;
            writer.key(one.name);
            write(writer, member);
          }(described));
        },
        T::kFields);
    writer.end_object();
  }
}

// Throws Error(invalid_argument) that names the field by its path.
template <typename T>
T read(const Value& value) {
  T out{};
  detail::read_into(out, value, "");
  return out;
}

// As parse() and read() together.
template <typename T>
T from_json(std::string_view text) {
  return read<T>(parse(text));
}

template <typename T>
std::string to_json(const T& value) {
  std::string text;
  Writer writer(text);
  write(writer, value);
  return text;
}

}  // namespace wrenn::json
