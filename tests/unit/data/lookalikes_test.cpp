#include "lib/data/lookalikes.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/log.h"
#include "lib/data/annotations.h"
#include "lib/data/look.h"
#include "lib/data/scene.h"
#include "lib/data/shapes.h"
#include "lib/io/atomic_file.h"
#include "lib/io/json_file.h"
#include "tests/unit/data/temp_folder.h"

namespace {

using namespace iuq::data;
using iuq::ErrorCode;
using iuq::test::fails_with;
using iuq::test::read_bytes;
using iuq::test::TempFolder;
using nlohmann::json;

SynthConfig small(const std::string& format = "coco") {
  SynthConfig config;
  config.images = 12;
  config.val_images = 4;
  config.height = 72;
  config.width = 96;
  config.format = format;
  config.seed = 5;
  return config;
}

/// Relative path -> bytes of every file but the provenance.
std::map<std::string, std::string> files_of(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string name = std::filesystem::relative(entry.path(), folder).string();
    if (entry.is_regular_file() && name != "provenance.json") files[name] = read_bytes(entry.path().string());
  }
  return files;
}

size_t entries_in(const std::string& folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE("lookalikes: same config, same bytes, for any number of threads", "[data][property]") {
  const TempFolder folder;
  write_lookalikes(small("lvis"), folder / "one", 1, false);
  write_lookalikes(small("lvis"), folder / "four/", 4, false);
  const auto one = files_of(folder / "one");
  CHECK(one.size() == 12 + 4 + 2);
  CHECK(one.count("images/train/000000000012.png") == 1);
  CHECK(one == files_of(folder / "four"));
  SynthConfig other = small("lvis");
  other.seed = 6;
  write_lookalikes(other, folder / "other", 2, false);
  CHECK(files_of(folder / "other").at("images/train/000000000001.png") != one.at("images/train/000000000001.png"));
  CHECK(entries_in(folder.path()) == 3);  // nothing is left aside
}

TEST_CASE("lookalikes: areas and boxes are those of the masks, and masks do not overlap", "[data][property]") {
  const TempFolder folder;
  write_lookalikes(small(), folder / "set", 2, false);
  const Dataset set = Dataset::load(folder / "set/annotations/instances_train.json");
  REQUIRE(set.images().size() == 12);
  CHECK_FALSE(set.is_lvis());
  CHECK(set.categories().size() == 6);
  for (const Image& image : set.images()) {
    std::vector<int> owners(static_cast<size_t>(image.height * image.width), 0);
    std::vector<uint8_t> bits(owners.size());
    for (int64_t i = image.first; i < image.first + image.count; ++i) {
      const Annotation& a = set.annotations()[static_cast<size_t>(i)];
      // Area and box by plain loops over the decoded mask.
      iuq::mask::decode(set.mask(i), bits.data());
      int64_t area = 0, left = image.width, right = -1, top = image.height, bottom = -1;
      for (int64_t y = 0; y < image.height; ++y) {
        for (int64_t x = 0; x < image.width; ++x) {
          const auto pixel = static_cast<size_t>(y * image.width + x);
          if (!bits[pixel]) continue;
          ++area;
          ++owners[pixel];
          left = std::min(left, x);
          right = std::max(right, x);
          top = std::min(top, y);
          bottom = std::max(bottom, y);
        }
      }
      CHECK(area >= 25);
      CHECK(a.area == static_cast<double>(area));
      CHECK(a.box == std::array<double, 4>{double(left), double(top), double(right - left + 1), double(bottom - top + 1)});
    }
    CHECK(*std::max_element(owners.begin(), owners.end()) == 1);
    const Pixels pixels = read_image(folder / ("set/images/" + image.file_name), image.height, image.width);
    CHECK(pixels.bgr == draw_scene(small(), "train", image.id - 1).pixels.bgr);
  }
}

TEST_CASE("lookalikes: a scene does not depend on the number of images, and splits differ", "[data][property]") {
  SynthConfig more = small();
  more.images = 500;
  CHECK(draw_scene(more, "train", 3).pixels.bgr == draw_scene(small(), "train", 3).pixels.bgr);
  CHECK(draw_scene(more, "val", 3).pixels.bgr != draw_scene(small(), "train", 3).pixels.bgr);
}

TEST_CASE("lookalikes: instances stand out from the ground around them", "[data][property]") {
  // Learnable: the mean colour of an instance differs from that of the unowned pixels of its image.
  SynthConfig config;
  double sum = 0;
  int64_t count = 0, pixels_wide = 0;
  for (int64_t index = 0; index < 20; ++index) {
    const Scene scene = draw_scene(config, "train", index);
    CHECK(scene.instances.size() >= 1);
    std::vector<uint8_t> owned(static_cast<size_t>(config.height * config.width), 0), bits(owned.size());
    const auto mean = [&](const std::vector<uint8_t>& where, uint8_t value) {
      Colour total;
      double n = 0;
      for (size_t i = 0; i < where.size(); ++i) {
        if (where[i] != value) continue;
        total = {total.b + scene.pixels.bgr[3 * i], total.g + scene.pixels.bgr[3 * i + 1], total.r + scene.pixels.bgr[3 * i + 2]};
        ++n;
      }
      return total * (1 / (255 * n));
    };
    for (const SceneInstance& instance : scene.instances) {
      iuq::mask::decode(instance.mask, bits.data());
      for (size_t i = 0; i < bits.size(); ++i) owned[i] |= bits[i];
    }
    const Colour ground = mean(owned, 0);
    for (const SceneInstance& instance : scene.instances) {
      iuq::mask::decode(instance.mask, bits.data());
      sum += distance(mean(bits, 1), ground);
      const auto box = iuq::mask::to_box(instance.mask);
      pixels_wide += std::max(box[2], box[3]) >= 14;
      ++count;
    }
  }
  CHECK(sum / static_cast<double>(count) > 0.3);
  CHECK(static_cast<double>(pixels_wide) > 0.9 * static_cast<double>(count));
}

TEST_CASE("lookalikes: the LVIS form has counts, frequencies and federated labels that agree", "[data][property]") {
  const TempFolder folder;
  SynthConfig config = small("lvis");
  config.images = 60;
  write_lookalikes(config, folder / "set", 2, false);
  const Dataset set = Dataset::load(folder / "set/annotations/instances_train.json");
  CHECK(set.is_lvis());
  REQUIRE(set.categories().size() == 12);
  std::vector<int64_t> images_with(12, 0);
  int64_t not_exhaustive = 0;
  for (const Image& image : set.images()) {
    std::vector<bool> present(12, false);
    for (const Annotation& a : set.annotations_of(image)) present[static_cast<size_t>(a.category)] = true;
    for (size_t k = 0; k < 12; ++k) images_with[k] += present[k];
    CHECK(image.negative.size() == 2);
    for (const int64_t k : image.negative) CHECK_FALSE(present[static_cast<size_t>(k)]);
    for (const int64_t k : image.not_exhaustive) CHECK(present[static_cast<size_t>(k)]);
    not_exhaustive += !image.not_exhaustive.empty();
  }
  CHECK(not_exhaustive > 0);
  CHECK(images_with[0] > 3 * images_with[6]);
  for (size_t k = 0; k < 12; ++k) {
    CHECK(set.categories()[k].image_count == images_with[k]);
    CHECK(set.categories()[k].frequency == (images_with[k] <= 10 ? "r" : images_with[k] <= 100 ? "c" : "f"));
  }
  const Dataset val = Dataset::load(folder / "set/annotations/instances_val.json");
  CHECK(val.categories()[0].image_count == images_with[0]);
  CHECK(val.images()[0].id == 1000001);
}

TEST_CASE("lookalikes: an existing output is kept, refused or replaced, but never a stranger's folder", "[data][error]") {
  const TempFolder folder;
  SynthConfig config = small();
  config.images = 2;
  config.val_images = 1;
  write_lookalikes(config, folder / "set", 1, false);
  const std::string image = folder / "set/images/train/000000000001.png";
  const auto before = std::filesystem::last_write_time(image);
  write_lookalikes(config, folder / "set", 1, false);
  CHECK(std::filesystem::last_write_time(image) == before);
  config.seed = 77;
  CHECK(fails_with(ErrorCode::kCannotCreate, {"set", "--force"}, [&] { write_lookalikes(config, folder / "set", 1, false); }));
  const std::string old = read_bytes(image);
  write_lookalikes(config, folder / "set", 1, true);
  CHECK(read_bytes(image) != old);
  std::filesystem::create_directories(folder / "mine");
  folder.write("mine/thesis.tex", "precious");
  CHECK(fails_with(ErrorCode::kCannotCreate, {"mine", "not made by iuq-synth"},
                   [&] { write_lookalikes(config, folder / "mine", 1, true); }));
  CHECK(read_bytes(folder / "mine/thesis.tex") == "precious");
  CHECK(fails_with(ErrorCode::kUsage, {"folder"}, [&] { write_lookalikes(config, "-", 1, false); }));
  CHECK(entries_in(folder.path()) == 2);
}

TEST_CASE("lookalikes: crowded and tiny settings still give valid scenes", "[data][property]") {
  for (const auto& [side, low, high, least] : {std::tuple(int64_t{32}, 0.01, 0.02, int64_t{1}),
                                               std::tuple(int64_t{64}, 0.9, 1.0, int64_t{50}),
                                               std::tuple(int64_t{64}, 0.1, 0.2, int64_t{100})}) {
    SynthConfig config;
    config.height = config.width = side;
    config.min_size = low;
    config.max_size = high;
    config.min_instances = least;
    config.max_instances = 100;
    config.check();
    const Scene scene = draw_scene(config, "train", 0);
    CHECK(scene.instances.size() >= 1);
    for (const SceneInstance& instance : scene.instances) CHECK(iuq::mask::area(instance.mask) >= 25);
  }
}

TEST_CASE("lookalikes: config fields out of range or unknown are named", "[data][error]") {
  const auto bad = [](const json& section, const std::string& part) {
    return fails_with(ErrorCode::kConfig, {part}, [&] { section.get<SynthConfig>(); });
  };
  CHECK(bad({{"imags", 3}}, "synth.imags"));
  CHECK(bad({{"images", 0}}, "synth.images"));
  CHECK(bad({{"images", "many"}}, "synth.images"));
  CHECK(bad({{"height", 16}}, "synth.height"));
  CHECK(bad({{"categories", 13}}, "synth.categories"));
  CHECK(bad({{"min_instances", 9}}, "synth.max_instances"));
  CHECK(bad({{"max_size", 0.05}}, "synth.max_size"));
  CHECK(bad({{"occlusion", 0.9}}, "synth.occlusion"));
  CHECK(bad({{"format", "voc"}}, "synth.format"));
  const json section = small("lvis");
  CHECK(json(section.get<SynthConfig>()) == section);
}

TEST_CASE("shapes: each lies within its reach and fills a fair part of its disc", "[data][property]") {
  for (int64_t shape = 0; shape < kShapeCount; ++shape) {
    CAPTURE(shape_name(shape));
    double inside = 0, farthest = 0;
    for (int i = -150; i <= 150; ++i) {
      for (int j = -150; j <= 150; ++j) {
        if (!inside_shape(shape, i / 100.0, j / 100.0)) continue;
        inside += 1e-4;
        farthest = std::max(farthest, std::hypot(i, j) / 100);
      }
    }
    CHECK(farthest <= kShapeReach);
    CHECK(farthest > 0.85);
    CHECK(inside > 1.0);  // of pi
  }
}
