#include "lib/uniq/negatives.h"

#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/io/hdf5.h"
#include "lib/io/provenance.h"
#include "tests/support/catch.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"

using namespace iuq;
using test::TempFolder;
using uniq::HardPixel;

namespace {

uniq::NegativesTable sample(Shard shard = {}, const std::string& run = "a") {
  uniq::NegativesTable table;
  table.provenance = io::Provenance("test", {{"run", run}}).to_json().dump();
  table.shard = shard;
  table.per_instance = 3;
  table.per_image = 2;
  const int64_t base = 10 * shard.index;
  table.instances = {{base + 1, base, {{70, 7, 4, 8, 0.9f}, {71, 8, 0, 0, 0.5f}, {70, 7, 8, 8, 0.25f}}},
                     {base + 2, base, {}},
                     {base + 3, base + 5, {{70, 7, 4, 8, 0.95f}}}};
  table.images = {{base, {{70, 0.5}, {71, 0.25}}}, {base + 5, {{base, 0.125}}}};
  return table;
}

template <class T>
std::vector<T> list(std::span<const T> items) {
  return {items.begin(), items.end()};
}

}  // namespace

TEST_CASE("negatives: what is written is what is read", "[uniq][property]") {
  const TempFolder folder;
  const uniq::NegativesTable table = sample();
  uniq::write_negatives(folder / "n.h5", table);
  const uniq::NegativesTable read = uniq::read_negatives(folder / "n.h5");
  REQUIRE(read.instances.size() == table.instances.size());
  for (size_t n = 0; n < table.instances.size(); ++n) {
    CHECK(read.instances[n].instance_id == table.instances[n].instance_id);
    CHECK(read.instances[n].image_id == table.instances[n].image_id);
    CHECK((read.instances[n].pixels == table.instances[n].pixels));
  }
  const uniq::Negatives negatives = uniq::Negatives::load(folder / "n.h5");
  for (const auto& image : table.images) CHECK((list(negatives.of_image(image.image_id)) == image.images));
  CHECK(negatives.of_image(99).empty());
  CHECK(negatives.provenance() == table.provenance);
}

TEST_CASE("negatives: the other way round, a pixel has its largest score and comes once", "[uniq][property]") {
  const TempFolder folder;
  uniq::write_negatives(folder / "n.h5", sample());
  const uniq::Negatives negatives = uniq::Negatives::load(folder / "n.h5");
  CHECK((list(negatives.within_instance(7)) == std::vector<HardPixel>{{70, 7, 4, 8, 0.95f}, {70, 7, 8, 8, 0.25f}}));
  CHECK((list(negatives.within_instance(8)) == std::vector<HardPixel>{{71, 8, 0, 0, 0.5f}}));
  CHECK(negatives.within_instance(1).empty());
}

TEST_CASE("negatives: shards are read as one, and must be whole and of one run", "[uniq][error]") {
  const TempFolder folder;
  for (int64_t i = 0; i < 3; ++i) uniq::write_negatives(folder / (Shard{i, 3}.name() + ".h5"), sample({i, 3}));
  const uniq::Negatives all = uniq::Negatives::load(folder.path());
  for (int64_t i = 0; i < 3; ++i) {
    for (const auto& image : sample({i, 3}).images) CHECK((list(all.of_image(image.image_id)) == image.images));
  }
  const std::string a = folder / "shard-000-of-003.h5", b = folder / "shard-001-of-003.h5";
  CHECK(test::error_of([&] { uniq::Negatives::load({a, b}); }).find("shard-002-of-003") != std::string::npos);
  CHECK(test::error_of([&] { uniq::Negatives::load({a, a, b}); }).find("twice") != std::string::npos);
  uniq::write_negatives(folder / "other.h5", sample({2, 3}, "b"));
  CHECK(test::error_of([&] { uniq::Negatives::load({a, b, folder / "other.h5"}); }).find("other.h5") != std::string::npos);
}

TEST_CASE("negatives: damage is noticed wherever it is", "[uniq][error]") {
  const TempFolder folder;
  const uniq::NegativesTable table = sample();
  uniq::write_negatives(folder / "n.h5", table);
  const std::string bytes = test::read_bytes(folder / "n.h5");
  for (size_t length = 0; length < bytes.size(); length += 53) {
    test::write_bytes(folder / "cut.h5", bytes.substr(0, length));
    CHECK(test::error_of([&] { uniq::read_negatives(folder / "cut.h5"); }).find("cut.h5") != std::string::npos);
  }
  int noticed = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
    test::write_bytes(folder / "flip.h5", flipped);
    try {
      const uniq::NegativesTable read = uniq::read_negatives(folder / "flip.h5");
      REQUIRE(read.instances.size() == table.instances.size());
      for (size_t n = 0; n < table.instances.size(); ++n) CHECK((read.instances[n].pixels == table.instances[n].pixels));
    } catch (const Error& e) {
      CHECK(e.code() == ErrorCode::kBadData);
      ++noticed;
    }
  }
  CHECK(noticed > 500);
}

TEST_CASE("negatives: another kind of file is named as such", "[uniq][error]") {
  const TempFolder folder;
  io::Hdf5File::create(folder / "other.h5").close();
  CHECK(test::error_of([&] { uniq::read_negatives(folder / "other.h5"); }).find("no mined negatives") != std::string::npos);
}
