#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

namespace iuq::io {

/// Image ids as their file has them. Ids that are strings are numbers within the program (string_id()), from which no string
/// can be told; so whoever reads a list of images says its names here, and every message and every file that people read asks
/// here, however deep it comes from. Nothing that is computed depends on it. Any number of threads may call all of these.
///
/// An id that is a string; nothing for "", as of an id that is a number.
void remember_image_name(int64_t id, std::string_view name);
/// The string, or the digits of an id that is a number.
std::string image_text(int64_t id);
/// The same as a string or a number.
nlohmann::json image_json(int64_t id);
/// The other way, of a value that image_json() made; remembers its string. Throws nlohmann::json's type error for another type.
int64_t image_of_json(const nlohmann::json& value);

/// "4, 7, img_9, ...": the first few of many, for a message.
std::string some_images(std::span<const int64_t> ids);

}  // namespace iuq::io
