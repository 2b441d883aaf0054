#include "lib/uniq/mine.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "lib/base/error.h"
#include "lib/base/progress.h"
#include "lib/base/rng.h"
#include "lib/base/signals.h"
#include "lib/cache/cache_features.h"
#include "lib/data/annotations.h"
#include "lib/model/segmenter.h"
#include "lib/uniq/instance_pixels.h"
#include "lib/uniq/mine_images.h"
#include "lib/uniq/top_pixels.h"

namespace iuq::uniq {
namespace {

constexpr int64_t kInstancesPerBlock = 256;
constexpr int64_t kPixelsPerBlock = 1 << 16;  // gathered from whole images before the queries are applied to them
constexpr int64_t kPixelsPerProduct = 2048;  // on the CPU: logits of one product stay in its cache

/// Queries of consecutive images, one per instance, with what is found for them.
struct QueryBlock {
  struct Image {
    int64_t image_id = 0;
    int64_t begin = 0, end = 0;  // its queries within the block
    std::vector<ConfusableImage> confusable;
  };
  std::vector<int64_t> indices;  // images of the dataset, in its order
  std::vector<Image> images;     // those with queries
  std::vector<int64_t> instances;  // annotation ids
  model::Queries queries;          // [Q], on the device
  std::optional<TopPixels> top;
};

// Images of the dataset that the cache has, of known size: --max-errors may have left some out.
std::vector<int64_t> cached_images(const MineJob& job) {
  std::vector<int64_t> cached = data::all_images(job.dataset);
  std::erase_if(cached, [&](int64_t i) {
    const data::Image& image = job.dataset.images()[static_cast<size_t>(i)];
    return !image.has_size() || !job.store.has(image.id);
  });
  return cached;
}

// Cuts these images into blocks; how depends on them and the annotations alone, so it is the same for every shard.
std::vector<QueryBlock> cut_blocks(const MineJob& job, const std::vector<int64_t>& images) {
  std::vector<QueryBlock> owned;
  std::vector<int64_t> indices;
  int64_t instances = 0, block = 0;
  const auto close = [&] {
    if (!indices.empty() && job.shard.owns(block)) owned.emplace_back().indices = indices;
    indices.clear();
    instances = 0;
    ++block;
  };
  for (const int64_t i : images) {
    indices.push_back(i);
    instances += job.dataset.images()[static_cast<size_t>(i)].count;
    if (instances >= kInstancesPerBlock) close();
  }
  close();
  return owned;
}

class Miner {
 public:
  explicit Miner(const MineJob& job) : job_(job), cached_(cached_images(job)), blocks_(cut_blocks(job, cached_)) {
    int64_t images = std::ssize(cached_);
    for (const QueryBlock& block : blocks_) images += std::ssize(block.indices);
    progress_.emplace(images, "image");
  }

  NegativesTable run() {
    for (QueryBlock& block : blocks_) collect_queries(block);
    stream_pixels();
    return result();
  }

 private:
  // Instance pixels of some whole images.
  struct PixelBlock {
    struct Image {
      int64_t image_id = 0;
      int64_t begin = 0, end = 0;  // its pixels within the block
    };
    std::vector<at::Tensor> embeddings, position, anchor;
    std::vector<PixelName> names;
    std::vector<Image> images;
  };

  void step() {
    throw_if_stopped("mining keeps nothing; run it again, in smaller --shard parts if its time is limited");
    progress_->update(++done_);
  }

  void collect_queries(QueryBlock& block) {
    std::vector<model::Queries> parts;
    ImageStream stream(job_, block.indices);
    int64_t count = 0;
    while (const auto image = stream.next()) {
      const EncodedImage found = encode(job_, *image);
      std::vector<int64_t> rows;
      for (size_t n = 0; n < found.best.size(); ++n) {
        if (found.best[n] < 0) continue;
        rows.push_back(found.best[n]);
        block.instances.push_back(image->scene.truth.instance_ids[n]);
      }
      step();
      if (rows.empty()) continue;
      parts.push_back(found.queries.rows(torch::tensor(rows, at::kLong).to(job_.device)));
      parts.back().targets = nullptr;  // else they would stay in memory
      block.images.push_back({image->scene.truth.image_id, count, count + std::ssize(rows), {}});
      count += std::ssize(rows);
    }
    block.top.emplace(count, job_.mine.negatives_per_instance);
    if (count == 0) return;
    block.queries = model::Queries::cat(parts);
    // They are applied to pixels of the whole data set, not to images of a batch: each is the one query of an instance.
    block.queries.image.zero_();
    block.queries.instance = at::arange(count, block.queries.label.options());
  }

  void stream_pixels() {
    ImageStream stream(job_, cached_);
    PixelBlock pixels;
    while (const auto image = stream.next()) {
      gather(*image, pixels);
      if (std::ssize(pixels.names) >= kPixelsPerBlock) {
        apply_queries(pixels);
        pixels = {};
      }
      step();
    }
    if (!pixels.names.empty()) apply_queries(pixels);
  }

  void gather(const LoadedImage& image, PixelBlock& block) {
    const view::Instances& truth = image.scene.truth;
    if (truth.count() == 0) return;
    const EncodedImage found = encode(job_, image);
    const int64_t stride = job_.segmenter.mask_stride();
    const at::Tensor& map = found.encoded.mask_features;  // [1, D, H, W]
    const int64_t width = map.size(3);
    const at::Tensor cells = job_.segmenter.instance_cells(truth).flatten(1).to(at::kCPU).contiguous();  // [N, H*W]
    std::vector<int64_t> rows;
    std::vector<float> position, anchor;
    const InstanceAnchors anchors(found.queries);
    const auto begin = std::ssize(block.names);
    for (int64_t n = 0; n < truth.count(); ++n) {
      const int64_t id = truth.instance_ids[static_cast<size_t>(n)];
      const std::vector<int64_t> own = candidates(cells, n, id);
      const Anchor own_anchor = anchors.of(found.best[static_cast<size_t>(n)], own, width, stride);
      for (const int64_t cell : own) {
        const int64_t x = cell % width * stride;
        const int64_t y = cell / width * stride;
        rows.push_back(cell);
        position.insert(position.end(), {static_cast<float>(x), static_cast<float>(y)});
        anchor.insert(anchor.end(), own_anchor.begin(), own_anchor.end());
        block.names.push_back({truth.image_id, id, x, y});
      }
    }
    if (rows.empty()) return;
    const at::Tensor chosen = torch::tensor(rows, at::kLong).to(job_.device);
    block.embeddings.push_back(map[0].flatten(1).index_select(1, chosen).t().contiguous());  // [P, D]
    block.position.push_back(torch::tensor(position).view({-1, 2}).to(job_.device));
    block.anchor.push_back(torch::tensor(anchor).view({-1, 3}).to(job_.device));
    block.images.push_back({truth.image_id, begin, std::ssize(block.names)});
  }

  // Cells of instance n, ascending.
  std::vector<int64_t> candidates(const at::Tensor& cells, int64_t n, int64_t instance_id) const {
    const std::vector<int64_t> own = cells_of(cells, n);
    const int64_t limit = job_.mine.pixels_per_instance;
    if (limit == 0 || std::ssize(own) <= limit) return own;
    Rng rng(job_.seed, "mine", static_cast<uint64_t>(instance_id));
    std::vector<int64_t> some;
    for (const int64_t i : rng.sample(std::ssize(own), limit)) some.push_back(own[static_cast<size_t>(i)]);
    std::sort(some.begin(), some.end());
    return some;
  }

  void apply_queries(const PixelBlock& pixels) {
    const model::PixelSet all{at::cat(pixels.embeddings), at::cat(pixels.position), at::cat(pixels.anchor)};
    const auto count = std::ssize(pixels.names);
    const int64_t columns = job_.device.is_cpu() ? kPixelsPerProduct : count;
    for (QueryBlock& block : blocks_) {
      if (block.images.empty()) continue;
      at::Tensor largest = at::full({block.queries.count(), std::ssize(pixels.images)}, lowest(),
                                    at::TensorOptions(at::kFloat).device(job_.device));  // [Q, images]
      for (int64_t first = 0; first < count; first += columns) {
        const int64_t last = std::min<int64_t>(count, first + columns);
        const at::Tensor logits = job_.segmenter.pixel_logits(block.queries, all.slice(first, last)).contiguous();  // [Q, P]
        for (size_t i = 0; i < pixels.images.size(); ++i) {
          const int64_t from = std::max(first, pixels.images[i].begin) - first;
          const int64_t to = std::min(last, pixels.images[i].end) - first;
          if (from >= to) continue;
          const at::Tensor part = logits.slice(1, from, to);
          for (const auto& image : block.images) {
            if (image.image_id == pixels.images[i].image_id) part.slice(0, image.begin, image.end).fill_(lowest());
          }
          at::Tensor column = largest.select(1, static_cast<int64_t>(i));
          column.copy_(at::maximum(column, part.amax(1)));
        }
        block.top->add(0, logits, std::span(pixels.names).subspan(static_cast<size_t>(first), static_cast<size_t>(last - first)));
      }
      add_confusable(block, largest.to(at::kCPU).contiguous(), pixels);
    }
  }

  // largest [Q, images]: the largest logit of each query in each image of the pixel block.
  void add_confusable(QueryBlock& block, const at::Tensor& largest, const PixelBlock& pixels) {
    const auto others = static_cast<int64_t>(pixels.images.size());
    const float* const values = largest.data_ptr<float>();
    for (auto& image : block.images) {
      for (int64_t i = 0; i < others; ++i) {
        const int64_t other = pixels.images[static_cast<size_t>(i)].image_id;
        if (other == image.image_id) continue;
        double sum = 0;
        for (int64_t q = image.begin; q < image.end; ++q) sum += sigmoid(values[q * others + i]);
        image.confusable.push_back({other, sum / static_cast<double>(image.end - image.begin)});
      }
      keep_most_confusable(image.confusable);
    }
  }

  void keep_most_confusable(std::vector<ConfusableImage>& images) const {
    std::sort(images.begin(), images.end(), [](const ConfusableImage& a, const ConfusableImage& b) {
      return a.score != b.score ? a.score > b.score : a.image_id < b.image_id;
    });
    if (std::ssize(images) > job_.mine.scenes_per_image) images.resize(static_cast<size_t>(job_.mine.scenes_per_image));
  }

  NegativesTable result() const {
    NegativesTable table;
    table.shard = job_.shard;
    table.per_instance = job_.mine.negatives_per_instance;
    table.per_image = job_.mine.scenes_per_image;
    for (const QueryBlock& block : blocks_) {
      for (const auto& image : block.images) {
        for (int64_t q = image.begin; q < image.end; ++q) {
          auto& instance = table.instances.emplace_back();
          instance.instance_id = block.instances[static_cast<size_t>(q)];
          instance.image_id = image.image_id;
          for (const Hit& hit : block.top->sorted(q)) {
            const PixelName& p = hit.pixel;
            instance.pixels.push_back({p.image_id, p.instance_id, p.x, p.y, static_cast<float>(sigmoid(hit.logit))});
          }
        }
        table.images.push_back({image.image_id, image.confusable});
      }
    }
    return table;
  }

  static float lowest() { return -std::numeric_limits<float>::infinity(); }
  static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

  const MineJob& job_;
  std::vector<int64_t> cached_;  // images of the dataset
  std::vector<QueryBlock> blocks_;
  std::optional<Progress> progress_;
  int64_t done_ = 0;
};

}  // namespace

ConfigFields MineConfig::fields() {
  return {
      {"negatives_per_instance", &negatives_per_instance, "K, foreign pixels kept for each instance",
       Range::closed(1, 4096)},
      {"scenes_per_image", &scenes_per_image, "S, confusable images kept for each image", Range::closed(1, 4096)},
      {"pixels_per_instance", &pixels_per_instance, "candidates drawn from each instance; 0: all its pixels",
       Range::at_least(0)},
  };
}

void MineConfig::check() const { check_ranges(*this); }

data::UsableImages check_mine_job(const MineJob& job) {
  auto usable = job.store.usable_images(job.dataset, data::all_images(job.dataset), job.max_errors);
  if (cache::weights_digest(job.segmenter, job.segmenter.backbone_prefix()) != job.store.backbone_digest()) {
    throw Error(ErrorCode::kBadData, "the cache was made with another backbone than the model has; cache again with "
                                     "this model, or mine with a model that was trained on this cache");
  }
  return usable;
}

NegativesTable mine_negatives(const MineJob& job) {
  const at::NoGradGuard no_grad;
  return Miner(job).run();
}

}  // namespace iuq::uniq
