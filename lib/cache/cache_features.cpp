#include "lib/cache/cache_features.h"

#include <torch/nn/module.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/prefetcher.h"
#include "lib/base/progress.h"
#include "lib/base/rng.h"
#include "lib/base/signals.h"
#include "lib/cache/feature_store.h"
#include "lib/cache/feature_writer.h"
#include "lib/data/annotations.h"
#include "lib/data/image.h"
#include "lib/io/atomic_file.h"
#include "lib/io/provenance.h"
#include "lib/view/sample.h"

// Threads: one of a Prefetcher reads and resizes images; the backbone, the file and the log belong to the calling thread.

namespace iuq::cache {
namespace {

constexpr int64_t kImagesPerFlush = 64;

io::DType stored_dtype(const std::string& name) {
  return name == "float16" ? io::DType::kF16 : name == "bfloat16" ? io::DType::kBF16 : io::DType::kF32;
}

view::Size valid_size(const CacheJob& job, const data::Image& image) {
  const int64_t side = job.input.short_side.back();
  const auto [height, width] = data::fit_size(image.height, image.width, side, job.input.long_side);
  return {height, width};
}

std::array<double, 6> numbers_of(const view::ViewTransform& g) {
  return {g.x.scale, g.x.offset, g.y.scale, g.y.offset, static_cast<double>(g.size.height),
          static_cast<double>(g.size.width)};
}

// All views of an image. A drawn view that the image already has is drawn again, a few times: small canvases have few.
std::vector<std::array<double, 6>> views_of(const CacheJob& job, const Backbone& backbone, int64_t image_id,
                                            view::Size canvas) {
  constexpr int kTries = 16;
  std::vector<std::array<double, 6>> views = {numbers_of(view::ViewTransform::identity(canvas)),
                                              numbers_of(view::ViewTransform::flip_x(canvas, backbone.alignment))};
  for (int64_t v = 2; v < job.cache.views; ++v) {
    Rng rng(job.seed, "view", static_cast<uint64_t>(image_id), static_cast<uint64_t>(v));
    std::array<double, 6> drawn{};
    for (int n = 0; n < kTries; ++n) {
      drawn = numbers_of(view::draw_view(job.view, canvas, backbone.alignment, rng));
      if (std::find(views.begin(), views.end(), drawn) == views.end()) break;
    }
    views.push_back(drawn);
  }
  views.resize(static_cast<size_t>(job.cache.views));
  return views;
}

void write_image(const CacheJob& job, const Backbone& backbone, const at::Tensor& image, int64_t first,
                 FeatureWriter& writer) {
  const int64_t views = job.cache.views;
  const int64_t batch = job.cache.batch > 0 ? job.cache.batch : views;
  const at::Tensor source = image.to(backbone.device);  // [3, Hi, Wi]
  for (int64_t begin = 0; begin < views; begin += batch) {
    std::vector<at::Tensor> inputs;
    for (int64_t v = begin; v < std::min(views, begin + batch); ++v) {
      const auto transform = transform_of(writer.tables().rows[static_cast<size_t>(first + v)]);
      inputs.push_back(transform.is_identity() ? source : transform.apply_image(source));
    }
    const std::vector<at::Tensor> levels = backbone.features(at::stack(inputs));
    for (size_t n = 0; n < inputs.size(); ++n) {
      std::vector<at::Tensor> row;
      for (const at::Tensor& level : levels) row.push_back(level[static_cast<int64_t>(n)]);
      writer.write(first + begin + static_cast<int64_t>(n), row);
    }
  }
}

}  // namespace

ConfigFields CacheConfig::fields() {
  return {
      {"views", &views, "views per image: the image as it is, mirrored, then drawn from section \"view\"", Range::closed(1, 64)},
      {"dtype", &dtype, "number type of the stored features; \"bfloat16\" has the larger range",
       Range::one_of({"float16", "bfloat16", "float32"})},
      {"gzip", &gzip, "0 stores features as they are; 1..9 compresses to about half, and reads far slower",
       Range::closed(0, 9)},
      {"batch", &batch, "views that go through the backbone at once; 0: all views of an image", Range::at_least(0)},
  };
}

void CacheConfig::check() const { check_ranges(*this); }

FeatureTables plan_features(const CacheJob& job, const Backbone& backbone, const nlohmann::json& provenance) {
  FeatureTables t;
  t.provenance = provenance.dump();
  t.backbone = backbone.digest;
  t.alignment = backbone.alignment == view::Alignment::kPatch ? "patch" : "strided";
  t.dtype = stored_dtype(job.cache.dtype);
  t.views = job.cache.views;
  t.images_total = static_cast<int64_t>(job.dataset.images().size());
  t.shard = job.shard;
  t.strides = backbone.strides;
  t.channels = backbone.channels;
  std::map<std::array<int64_t, 2>, int64_t> buckets;
  std::vector<int64_t> next_row;
  for (int64_t i = 0; i < t.images_total; ++i) {
    if (job.left_out.contains(i) || !job.shard.owns(i)) continue;
    const data::Image& image = job.dataset.images()[static_cast<size_t>(i)];
    const view::Size valid = valid_size(job, image);
    const view::Size canvas = view::round_up(valid, job.input.divisor);
    const auto [bucket, is_new] = buckets.emplace(std::array{canvas.height, canvas.width}, t.canvases.size());
    if (is_new) {
      t.canvases.push_back({canvas.height, canvas.width});
      next_row.push_back(0);
    }
    const auto views = views_of(job, backbone, image.id, canvas);
    for (int64_t v = 0; v < t.views; ++v) {
      const int64_t row = next_row[static_cast<size_t>(bucket->second)]++;
      t.rows.push_back({image.id, v, bucket->second, row, valid.height, valid.width, views[static_cast<size_t>(v)], 0});
    }
  }
  return t;
}

bool is_cached(const std::string& output, const io::Provenance& wanted, bool force) {
  nlohmann::json existing;
  if (io::exists(output) && !force) {
    const FeatureTables tables = read_feature_tables(io::Hdf5File::open(output));
    check_complete(tables, output);
    existing = nlohmann::json::parse(tables.provenance);
  }
  const bool up_to_date = io::is_up_to_date(output, existing, wanted, force);
  // A partial file beside a complete one is left over from a run that was killed between its two last steps.
  if (up_to_date || force) std::filesystem::remove(FeatureWriter::partial_path(output));
  return up_to_date;
}

std::string describe_plan(const FeatureTables& plan, const std::string& output, int64_t gzip) {
  std::string there = output;  // with --dry-run its folders may still have to be made
  while (!io::exists(there)) there = io::folder_of(there);
  return cat(static_cast<int64_t>(plan.rows.size()) / plan.views, " images x ", plan.views, " views in ",
             plan.canvases.size(), " canvas sizes: ", readable_bytes(plan.feature_bytes()), " of features",
             gzip > 0 ? " before compression" : "", "; free at \"", output, "\": ",
             readable_bytes(io::free_bytes(there)));
}

void cache_features(const CacheJob& job, const Backbone& backbone, FeatureTables plan, const std::string& output,
                    bool resume) {
  const torch::NoGradGuard no_grad;
  const int64_t views = plan.views;
  FeatureWriter writer(output, std::move(plan), static_cast<int>(job.cache.gzip), resume);
  std::vector<int64_t> missing;  // positions in the plan, one per image
  const int64_t images = static_cast<int64_t>(writer.tables().rows.size()) / views;
  for (int64_t n = 0; n < images; ++n) {
    bool done = true;
    for (int64_t v = 0; v < views; ++v) done = done && writer.has(n * views + v);
    if (!done) missing.push_back(n);
  }
  const int64_t kept = images - static_cast<int64_t>(missing.size());
  if (kept > 0) log::info(cat("going on after ", kept, " of ", images, " images"));

  std::vector<int64_t> indices;  // of the missing images, in the dataset
  for (const int64_t n : missing) {
    indices.push_back(job.dataset.image_index(writer.tables().rows[static_cast<size_t>(n * views)].image_id));
  }
  Prefetcher<at::Tensor> loaded(missing.size(), [&](size_t k) {
    return view::load_image(job.dataset, indices[k], job.images, job.input, job.input.short_side.back()).image;
  });
  Progress progress(images, "image", kept);
  for (size_t k = 0; k < missing.size(); ++k) {
    write_image(job, backbone, loaded.next(), missing[k] * views, writer);
    const auto done = static_cast<int64_t>(k) + 1;
    if (done % kImagesPerFlush == 0 || stop_requested()) writer.flush();
    if (done < static_cast<int64_t>(missing.size())) throw_if_stopped("run again with --resume to go on");
    progress.update(kept + done);
  }
  writer.finish();
}

std::string weights_digest(const torch::nn::Module& module, const std::string& prefix) {
  Digest digest;
  const auto add = [&](const std::string& name, const at::Tensor& tensor) {
    if (!name.starts_with(prefix) || !tensor.is_floating_point()) return;
    const at::Tensor values = tensor.detach().to(at::kCPU).contiguous();
    digest.add(name.substr(prefix.size())).add(values.data_ptr(), values.nbytes());
  };
  for (const auto& item : module.named_parameters()) add(item.key(), item.value());
  for (const auto& item : module.named_buffers()) add(item.key(), item.value());
  return digest.hex();
}

}  // namespace iuq::cache
