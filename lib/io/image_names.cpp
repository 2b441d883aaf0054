#include "lib/io/image_names.h"

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <shared_mutex>
#include <unordered_map>

#include "lib/base/error.h"
#include "lib/io/record_rules.h"

namespace iuq::io {
namespace {

constexpr size_t kImagesShown = 5;

// Threads: `mutex` guards `name_of`.
struct Names {
  std::shared_mutex mutex;
  std::unordered_map<int64_t, std::string> name_of;
};

Names& names() {
  static Names all;
  return all;
}

std::string name_or_nothing(int64_t id) {
  Names& all = names();
  const std::shared_lock lock(all.mutex);
  const auto it = all.name_of.find(id);
  return it == all.name_of.end() ? "" : it->second;
}

}  // namespace

void remember_image_name(int64_t id, std::string_view name) {
  if (name.empty()) return;
  Names& all = names();
  const std::unique_lock lock(all.mutex);
  all.name_of.try_emplace(id, name);
}

std::string image_text(int64_t id) {
  const std::string name = name_or_nothing(id);
  return name.empty() ? std::to_string(id) : name;
}

nlohmann::json image_json(int64_t id) {
  const std::string name = name_or_nothing(id);
  return name.empty() ? nlohmann::json(id) : nlohmann::json(name);
}

int64_t image_of_json(const nlohmann::json& value) {
  if (!value.is_string()) return value.get<int64_t>();
  const auto name = value.get<std::string>();
  const int64_t id = string_id(name);
  remember_image_name(id, name);
  return id;
}

std::string some_images(std::span<const int64_t> ids) {
  std::string text;
  for (size_t i = 0; i < std::min(ids.size(), kImagesShown); ++i) text += cat(i == 0 ? "" : ", ", image_text(ids[i]));
  return ids.size() > kImagesShown ? text + ", ..." : text;
}

}  // namespace iuq::io
