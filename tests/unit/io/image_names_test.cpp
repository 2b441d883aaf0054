// Ids that are strings are numbers within the program; what people read has the string.
#include "lib/io/image_names.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "lib/io/record_rules.h"
#include "tests/support/catch.h"

using namespace iuq::io;
using nlohmann::json;

TEST_CASE("image names: an id that is a string is shown as such, one that is a number by its digits", "[io][property]") {
  const int64_t id = string_id("left/0001");
  CHECK(image_text(id) == std::to_string(id));  // nobody has said the name
  remember_image_name(id, "left/0001");
  CHECK(image_text(id) == "left/0001");
  CHECK(image_json(id) == json("left/0001"));
  remember_image_name(7, "");
  CHECK(image_text(7) == "7");
  CHECK(image_json(7) == json(7));
}

TEST_CASE("image names: what is written is read back, by a program that has not seen the name, too", "[io][property]") {
  CHECK(image_of_json(json(-3)) == -3);
  const int64_t id = image_of_json(json("never seen"));
  CHECK(id == string_id("never seen"));
  CHECK(image_text(id) == "never seen");
  CHECK(image_of_json(json("12")) != 12);
  CHECK_THROWS_AS(image_of_json(json::array()), json::type_error);
}

TEST_CASE("image names: of many the first few are shown", "[io][property]") {
  const int64_t named = image_of_json(json("e"));
  CHECK(some_images(std::vector<int64_t>{}).empty());
  CHECK(some_images(std::vector<int64_t>{4}) == "4");
  CHECK(some_images(std::vector<int64_t>{1, 2, 3, 4, named}) == "1, 2, 3, 4, e");
  CHECK(some_images(std::vector<int64_t>{1, 2, 3, 4, named, 6}) == "1, 2, 3, 4, e, ...");
}
