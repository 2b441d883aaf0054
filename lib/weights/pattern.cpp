#include "lib/weights/pattern.h"

#include <charconv>
#include <cstdint>

#include "lib/base/error.h"

namespace iuq::weights {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// factor * variable + offset
struct Linear {
  int64_t factor = 1, offset = 0;
  std::string variable;
};

Linear parse_linear(std::string_view text) {
  Linear linear;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  if (at != end && is_digit(*at)) at = std::from_chars(at, end, linear.factor).ptr;
  while (at != end && *at != '+') linear.variable.push_back(*at++);
  if (at != end) at = std::from_chars(at + 1, end, linear.offset).ptr;
  IUQ_ASSERT(at == end && !linear.variable.empty() && linear.factor > 0);
  return linear;
}

// Takes the placeholder at the front of `pattern`, without its braces.
std::string_view take_placeholder(std::string_view& pattern) {
  const size_t end = pattern.find('}');
  IUQ_ASSERT(end != std::string_view::npos);
  const std::string_view inside = pattern.substr(1, end - 1);
  pattern.remove_prefix(end + 1);
  return inside;
}

bool keep(Captures& captures, const std::string& key, const std::string& value) {
  const auto [it, is_new] = captures.emplace(key, value);
  return is_new || it->second == value;
}

bool match_number(const Linear& linear, std::string_view digits, Captures& captures) {
  int64_t value = 0;
  if (digits.empty() || digits.size() > 9 || (digits.size() > 1 && digits[0] == '0')) return false;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  value -= linear.offset;
  return value >= 0 && value % linear.factor == 0 &&
         keep(captures, linear.variable, std::to_string(value / linear.factor));
}

}  // namespace

bool match(std::string_view pattern, std::string_view name, Captures& captures) {
  while (!pattern.empty()) {
    if (pattern[0] != '{') {
      if (name.empty() || name[0] != pattern[0]) return false;
      pattern.remove_prefix(1);
      name.remove_prefix(1);
      continue;
    }
    const std::string_view inside = take_placeholder(pattern);
    size_t length = 0;
    if (inside == "**") {
      // What follows is literal, so it fits at one place only: the end.
      IUQ_ASSERT(pattern.find('{') == std::string_view::npos);
      if (name.size() <= pattern.size()) return false;
      length = name.size() - pattern.size();
    } else if (inside == "*") {
      while (length < name.size() && name[length] != '.') ++length;
    } else {
      while (length < name.size() && is_digit(name[length])) ++length;
      if (!match_number(parse_linear(inside), name.substr(0, length), captures)) return false;
    }
    const bool text = inside == "*" || inside == "**";
    if (text && (length == 0 || !keep(captures, std::string(inside), std::string(name.substr(0, length))))) return false;
    name.remove_prefix(length);
  }
  return name.empty();
}

std::string render(std::string_view pattern, const Captures& captures) {
  std::string out;
  while (!pattern.empty()) {
    if (pattern[0] != '{') {
      out.push_back(pattern[0]);
      pattern.remove_prefix(1);
      continue;
    }
    const std::string_view inside = take_placeholder(pattern);
    if (inside == "*" || inside == "**") {
      out += captures.at(std::string(inside));
      continue;
    }
    const Linear linear = parse_linear(inside);
    out += std::to_string(linear.factor * std::stoll(captures.at(linear.variable)) + linear.offset);
  }
  return out;
}

bool rewrite(std::string_view from, std::string_view to, std::string_view name, std::string& out) {
  Captures captures;
  if (!match(from, name, captures)) return false;
  out = render(to, captures);
  return true;
}

}  // namespace iuq::weights
