#include "lib/cache/feature_store.h"

#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/cache/cache_features.h"
#include "lib/cache/feature_writer.h"
#include "lib/data/annotations.h"
#include "lib/io/atomic_file.h"
#include "lib/io/provenance.h"
#include "lib/view/sample.h"
#include "tests/support/catch.h"
#include "tests/support/error_of.h"
#include "tests/support/file_limit.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_dataset.h"

using namespace iuq;
using test::TempFolder;

namespace {

// Means over s x s pixels, their channels mixed: 2, 3, 4 and 5 channels at strides 4, 8, 16 and 32.
std::vector<at::Tensor> fake_features(const at::Tensor& images) {
  std::vector<at::Tensor> levels;
  for (int64_t l = 0; l < 4; ++l) {
    const at::Tensor mix = at::linspace(-1, 1, (2 + l) * 3, at::kFloat).view({2 + l, 3, 1, 1});
    const int64_t s = 4 << l;
    levels.push_back(at::conv2d(at::avg_pool2d(images, {s, s}), mix));
  }
  return levels;
}

cache::Backbone fake_backbone() {
  cache::Backbone backbone;
  backbone.features = fake_features;
  backbone.channels = {2, 3, 4, 5};
  backbone.digest = "backbone";
  return backbone;
}

struct Fixture {
  TempFolder folder;
  data::Dataset dataset;
  cache::CacheConfig config;
  view::InputConfig input;
  uint64_t seed = 5;

  explicit Fixture(const std::vector<std::pair<int64_t, int64_t>>& sizes = {{40, 60}, {64, 64}, {33, 90}, {60, 40}, {40, 60}})
      : dataset(make(folder.path(), sizes)) {
    input.short_side = {48};
    input.long_side = 96;
    config.views = 3;
    log::set_up("test", log::Level::kQuiet);
  }
  static data::Dataset make(const std::string& path, const std::vector<std::pair<int64_t, int64_t>>& sizes) {
    test::write_tiny_dataset(path, sizes);
    return data::Dataset::load(path + "/annotations.json");
  }
  cache::CacheJob job(Shard shard = {}) const {
    return {dataset, folder.path(), input, view::ViewConfig(), config, seed, shard};
  }
  cache::FeatureTables plan(const cache::Backbone& backbone = fake_backbone(), Shard shard = {}) const {
    io::Provenance provenance("test", {{"cache", config}, {"seed", seed}});
    return cache::plan_features(job(shard), backbone, provenance.to_json());
  }
  std::string run(const std::string& name, Shard shard = {}, bool resume = false,
                  const cache::Backbone& backbone = fake_backbone()) const {
    cache::cache_features(job(shard), backbone, plan(backbone, shard), folder / name, resume);
    return folder / name;
  }
};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string digest_of(const std::string& path) { return cache::FeatureStore::open({path}).content_digest(); }

std::vector<std::pair<int64_t, int64_t>> many_small() { return std::vector<std::pair<int64_t, int64_t>>(150, {32, 32}); }

}  // namespace

TEST_CASE("cache: a stored view is the backbone of the transformed image", "[cache][property]") {
  Fixture f;
  f.config.dtype = GENERATE("float32", "float16", "bfloat16");
  f.config.gzip = GENERATE(0, 2);
  f.config.batch = GENERATE(0, 2);
  const double tolerance = f.config.dtype == "float32" ? 1e-5 : f.config.dtype == "float16" ? 2e-3 : 2e-2;
  const auto store = cache::FeatureStore::open({f.run("f.h5")});
  CHECK_FALSE(io::exists(f.folder / "f.h5.partial"));
  CHECK(store.views() == 3);
  CHECK(store.image_count() == 5);
  CHECK(store.channels() == std::vector<int64_t>{2, 3, 4, 5});
  CHECK(store.strides() == std::vector<int64_t>{4, 8, 16, 32});
  CHECK(store.backbone_digest() == "backbone");
  for (int64_t i = 0; i < 5; ++i) {
    const int64_t id = f.dataset.images()[size_t(i)].id;
    const view::Sample scene = view::load_image(f.dataset, i, f.folder.path(), f.input, 48);
    for (int64_t v = 0; v < 3; ++v) {
      const cache::StoredView stored = store.read(id, v);
      CHECK(stored.valid == scene.valid);
      CHECK(stored.canvas == view::round_up(scene.valid, 32));
      CHECK(stored.canvas == store.canvas(id));
      CHECK(stored.transform.is_identity() == (v == 0));
      const auto expected = fake_features(stored.transform.apply_image(scene.image).unsqueeze(0));
      REQUIRE(stored.levels.size() == 4);
      for (size_t l = 0; l < 4; ++l) {
        CHECK(stored.levels[l].scalar_type() == at::kFloat);
        REQUIRE(stored.levels[l].sizes() == expected[l][0].sizes());
        CHECK(at::allclose(stored.levels[l], expected[l][0], tolerance, tolerance));
      }
    }
  }
}

TEST_CASE("cache: views beyond the mirrored one are drawn per image and differ", "[cache][property]") {
  Fixture f;
  f.config.views = 4;
  const cache::FeatureTables plan = f.plan();
  REQUIRE(plan.rows.size() == 20);
  CHECK(plan.rows[1].transform[0] == -1);
  int distinct = 0;
  for (size_t n = 0; n < 20; n += 4) distinct += plan.rows[n + 2].transform != plan.rows[n + 3].transform;
  CHECK(distinct >= 3);
  f.seed = 6;
  const cache::FeatureTables other = f.plan();
  CHECK(other.rows[1].transform == plan.rows[1].transform);
  bool differs = false;
  for (size_t n = 0; n < 20; ++n) differs = differs || other.rows[n].transform != plan.rows[n].transform;
  CHECK(differs);
}

TEST_CASE("cache: shards are the one run, whatever their number", "[cache][property]") {
  const Fixture f;
  const auto whole = cache::FeatureStore::open({f.run("whole.h5")});
  const int64_t count = GENERATE(2, 3, 7);
  for (int64_t i = count - 1; i >= 0; --i) f.run(Shard{i, count}.name() + ".h5", {i, count});
  std::filesystem::create_directory(f.folder / "shards");
  for (int64_t i = 0; i < count; ++i) {
    const std::string name = Shard{i, count}.name() + ".h5";
    std::filesystem::rename(f.folder / name, f.folder / ("shards/" + name));
  }
  const auto shards = cache::FeatureStore::open({f.folder / "shards"});
  CHECK(shards.content_digest() == whole.content_digest());
  CHECK(shards.image_count() == whole.image_count());
  for (const data::Image& image : f.dataset.images()) {
    for (int64_t v = 0; v < 3; ++v) {
      CHECK(at::equal(shards.read(image.id, v).levels[0], whole.read(image.id, v).levels[0]));
    }
  }
}

TEST_CASE("cache: shards that are missing, foreign or given twice are named", "[cache][error]") {
  Fixture f;
  const std::string a = f.run("a.h5", {0, 3}), b = f.run("b.h5", {1, 3}), c = f.run("c.h5", {2, 3});
  CHECK_NOTHROW(cache::FeatureStore::open({c, a, b}));
  const std::string missing = test::error_of([&] { cache::FeatureStore::open({a, c}); }, ErrorCode::kBadData);
  CHECK(contains(missing, "shard-001-of-003.h5"));
  CHECK(contains(test::error_of([&] { cache::FeatureStore::open({a, b, b}); }, ErrorCode::kBadData), "twice"));
  f.seed = 6;
  const std::string other = f.run("other.h5", {1, 3});
  CHECK(contains(test::error_of([&] { cache::FeatureStore::open({a, other, c}); }, ErrorCode::kBadData), "other.h5"));
}

TEST_CASE("cache: a run killed at any moment is resumed to the same content", "[cache][property]") {
  Fixture f(many_small());
  f.config.views = 2;
  f.input.short_side = {32};
  const std::string expected = digest_of(f.run("whole.h5"));
  const int at_call = GENERATE(1, 2, 64, 65, 66, 128, 129, 150);
  // What lies on the disk when the backbone is called is what a kill at this moment would leave.
  cache::Backbone killed = fake_backbone();
  int calls = 0;
  killed.features = [&](const at::Tensor& images) {
    if (++calls == at_call) std::filesystem::copy_file(f.folder / "f.h5.partial", f.folder / "left");
    return fake_features(images);
  };
  f.run("f.h5", {}, false, killed);
  std::filesystem::remove(f.folder / "f.h5");
  std::filesystem::rename(f.folder / "left", f.folder / "f.h5.partial");
  CHECK(contains(test::error_of([&] { cache::FeatureStore::open({f.folder / "f.h5.partial"}); }, ErrorCode::kBadData),
                 "not complete"));
  CHECK(contains(test::error_of([&] { f.run("f.h5"); }, ErrorCode::kCannotCreate), "--resume"));
  cache::Backbone counting = fake_backbone();
  int again = 0;
  counting.features = [&](const at::Tensor& images) {
    ++again;
    return fake_features(images);
  };
  CHECK(digest_of(f.run("f.h5", {}, true, counting)) == expected);
  CHECK(again == 150 - (at_call - 1) / 64 * 64);
}

TEST_CASE("cache: an error about one image keeps those before it", "[cache][error]") {
  Fixture f(many_small());
  f.input.short_side = {32};
  const std::string expected = digest_of(f.run("whole.h5"));
  cache::Backbone failing = fake_backbone();
  int calls = 0;
  failing.features = [&](const at::Tensor& images) {
    if (++calls == 40) throw Error(ErrorCode::kIo, "no more");
    return fake_features(images);
  };
  test::error_of([&] { f.run("f.h5", {}, false, failing); }, ErrorCode::kIo);
  calls = 100;
  CHECK(digest_of(f.run("f.h5", {}, true, failing)) == expected);
  CHECK(calls == 100 + 150 - 39);
}

TEST_CASE("cache: a partial file of another run is not gone on with", "[cache][error]") {
  Fixture f;
  cache::Backbone failing = fake_backbone();
  failing.features = [](const at::Tensor&) -> std::vector<at::Tensor> { throw Error(ErrorCode::kIo, "no more"); };
  test::error_of([&] { f.run("f.h5", {}, false, failing); }, ErrorCode::kIo);
  f.seed = 6;
  CHECK(contains(test::error_of([&] { f.run("f.h5", {}, true); }, ErrorCode::kCannotCreate), "another config"));
}

TEST_CASE("cache: a full disk in the middle is an error that says how to go on", "[cache][error]") {
  Fixture f(many_small());
  f.input.short_side = {32};
  cache::Backbone filling = fake_backbone();
  std::unique_ptr<test::FileLimit> limit;
  int calls = 0;
  filling.features = [&](const at::Tensor& images) {
    if (++calls == 30) limit = std::make_unique<test::FileLimit>(1000);
    return fake_features(images);
  };
  const std::string message = test::error_of([&] { f.run("f.h5", {}, false, filling); }, ErrorCode::kIo);
  limit.reset();
  CHECK(contains(message, "f.h5.partial"));
  CHECK(contains(message, "--resume"));
  CHECK(digest_of(f.run("f.h5", {}, true)) == digest_of(f.run("whole.h5")));
}

TEST_CASE("cache: what cannot fit on the disk is refused before it is begun", "[cache][error]") {
  const Fixture f;
  cache::Backbone huge = fake_backbone();
  huge.channels = {int64_t{1} << 40, 3, 4, 5};
  const std::string message = test::error_of([&] { f.run("f.h5", {}, false, huge); }, ErrorCode::kIo);
  CHECK(contains(message, "needs"));
  CHECK(contains(message, "free"));
  CHECK_FALSE(io::exists(f.folder / "f.h5.partial"));
}

TEST_CASE("cache: values that float16 cannot hold are refused with a way out", "[cache][error]") {
  Fixture f;
  cache::Backbone large = fake_backbone();
  large.features = [](const at::Tensor& images) {
    auto levels = fake_features(images);
    levels[2] = levels[2] + 1e6;
    return levels;
  };
  CHECK(contains(test::error_of([&] { f.run("f.h5", {}, false, large); }, ErrorCode::kBadData), "bfloat16"));
  f.config.dtype = "bfloat16";
  CHECK_NOTHROW(f.run("g.h5", {}, false, large));
}

TEST_CASE("cache: a truncated file is an error at every length", "[cache][error]") {
  const Fixture f;
  const std::string bytes = test::read_bytes(f.run("f.h5"));
  for (size_t length = 0; length < bytes.size(); length += bytes.size() / 97) {
    test::write_bytes(f.folder / "cut.h5", bytes.substr(0, length));
    CHECK(contains(test::error_of([&] { cache::FeatureStore::open({f.folder / "cut.h5"}); }, ErrorCode::kBadData), "cut.h5"));
  }
}

TEST_CASE("cache: a damaged row names file, image and view", "[cache][error]") {
  const Fixture f;
  const std::string path = f.run("f.h5");
  const io::Hdf5File file = io::Hdf5File::open(path);
  const cache::FeatureTables tables = cache::read_feature_tables(file);
  const cache::FeatureRow& row = tables.rows[7];
  const io::Hdf5File::ByteRange range = file.byte_range(cache::level_name(tables, row.bucket, 1));
  const auto shape = tables.level_shape(row.bucket, 1);
  std::string bytes = test::read_bytes(path);
  char& byte = bytes[size_t(range.offset + row.row * shape[0] * shape[1] * shape[2] * 2 + 3)];
  byte = static_cast<char>(byte ^ 1);
  test::write_bytes(f.folder / "bad.h5", bytes);
  const auto store = cache::FeatureStore::open({f.folder / "bad.h5"});
  const std::string message = test::error_of([&] { store.read(row.image_id, row.view); }, ErrorCode::kBadData);
  CHECK(contains(message, "bad.h5"));
  CHECK(contains(message, cat("image ", row.image_id, ", view ", row.view)));
  CHECK_NOTHROW(store.read(row.image_id, 0));
}

TEST_CASE("cache: images whose ids are strings are left out and named by them", "[cache][property]") {
  Fixture f;
  test::name_images(f.folder / "annotations.json");
  f.dataset = data::Dataset::load(f.folder / "annotations.json");
  cache::CacheJob job = f.job();
  job.left_out = {1};
  data::UsableImages usable;
  usable.left = {{1, f.dataset.images()[1].id, "missing"}};
  const nlohmann::json provenance = io::Provenance("test", {{"left_out", usable.left_out()}}).to_json();
  CHECK(provenance.at("entries")[0].at("config").at("left_out")[0].at("id") == "shot_109");
  cache::cache_features(job, fake_backbone(), cache::plan_features(job, fake_backbone(), provenance), f.folder / "f.h5", false);
  const auto store = cache::FeatureStore::open({f.folder / "f.h5"});
  const auto all = data::all_images(f.dataset);
  CHECK(contains(test::error_of([&] { store.usable_images(f.dataset, all, 0); }, ErrorCode::kBadData), "left out (shot_109)"));
  CHECK(store.usable_images(f.dataset, all, 1).images == std::vector<int64_t>{0, 2, 3, 4});
  const auto absent = [&] { store.read(f.dataset.images()[1].id, 0); };
  CHECK(contains(test::error_of(absent, ErrorCode::kBadData), "image shot_109"));
}

TEST_CASE("cache: an image of unknown size is left out under --max-errors, as one that is not in the cache", "[cache][property]") {
  Fixture f;
  const auto store = cache::FeatureStore::open({f.run("f.h5")});
  nlohmann::json set = nlohmann::json::parse(test::read_bytes(f.folder / "annotations.json"));
  set["images"][2].erase("height");
  test::write_bytes(f.folder / "annotations.json", set.dump());
  test::write_bytes(f.folder / "106.png", "no image");
  const auto read = data::Dataset::load(f.folder / "annotations.json", {.images = f.folder.path()});
  const auto all = data::all_images(read);
  const std::string message = test::error_of([&] { store.usable_images(read, all, 0); }, ErrorCode::kBadData);
  CHECK(contains(message, "of 1 of 5 images neither"));
  CHECK(contains(message, "(106); mend them, or leave them out here too with --max-errors 1"));
  CHECK(store.usable_images(read, all, 1).images == std::vector<int64_t>{0, 1, 3, 4});
}

TEST_CASE("cache: no flipped byte changes a feature or a transform unnoticed", "[cache][error]") {
  Fixture f({{32, 32}, {32, 64}});
  f.input.short_side = {32};
  f.config.views = 2;
  const std::string path = f.run("f.h5");
  const auto all_of = [&](const std::string& name) {
    const auto store = cache::FeatureStore::open({name});
    std::string all;
    for (const data::Image& image : f.dataset.images()) {
      for (int64_t v = 0; v < 2; ++v) {
        const cache::StoredView stored = store.read(image.id, v);
        for (const at::Tensor& level : stored.levels) all += std::string(static_cast<char*>(level.data_ptr()), level.nbytes());
        all += nlohmann::json(stored.transform).dump();
      }
    }
    return all;
  };
  const std::string original = all_of(path), bytes = test::read_bytes(path);
  int noticed = 0;
  for (size_t at = 0; at < bytes.size(); at += 5) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
    test::write_bytes(f.folder / "flip.h5", flipped);
    try {
      const std::string read = all_of(f.folder / "flip.h5");  // outside of CHECK, which would take the error
      CHECK((read == original));
    } catch (const Error& e) {
      CHECK(e.code() == ErrorCode::kBadData);
      ++noticed;
    }
  }
  CHECK(noticed > 300);
}

TEST_CASE("cache: files that are something else are named as such", "[cache][error]") {
  const TempFolder folder;
  io::Hdf5File::create(folder / "other.h5").close();
  CHECK(contains(test::error_of([&] { cache::FeatureStore::open({folder / "other.h5"}); }, ErrorCode::kBadData),
                 "not a feature cache"));
  test::error_of([&] { cache::FeatureStore::open({folder / "none.h5"}); }, ErrorCode::kNoInput);
}

TEST_CASE("cache: many threads read what one reads", "[cache][property]") {
  Fixture f;
  f.config.gzip = GENERATE(0, 1);
  const auto store = cache::FeatureStore::open({f.run("f.h5")});
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t n = 0; n < 15; ++n) {
        const int64_t id = f.dataset.images()[size_t((n + t) % 5)].id;
        wrong += store.read(id, n % 3).levels[3].size(0) != 5;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("cache: the digest of weights sees values and names below the prefix only", "[cache][property]") {
  const auto make = [](float value, float head) {
    torch::nn::Sequential module;
    module->push_back("backbone", torch::nn::Linear(2, 2));
    module->push_back("head", torch::nn::Linear(2, 2));
    const torch::NoGradGuard no_grad;
    for (auto& item : module->named_parameters()) item.value().fill_(item.key().starts_with("head") ? head : value);
    return cache::weights_digest(*module, "backbone.");
  };
  CHECK(make(1, 1) == make(1, 2));
  CHECK(make(1, 1) != make(2, 1));
}
