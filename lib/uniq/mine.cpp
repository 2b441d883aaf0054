#include "lib/uniq/mine.h"

#include <torch/types.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "lib/base/error.h"
#include "lib/base/progress.h"
#include "lib/base/rng.h"
#include "lib/base/signals.h"
#include "lib/cache/cache_features.h"
#include "lib/data/annotations.h"
#include "lib/uniq/mine_images.h"
#include "lib/uniq/top_pixels.h"

namespace iuq::uniq {
namespace {

constexpr int64_t kInstancesPerBlock = 256;
constexpr int64_t kPixelsPerPass = 1 << 16;  // gathered from whole images before the queries meet them
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

// Cuts the dataset's images into blocks; how depends on the annotations alone, so it is the same for every shard.
std::vector<QueryBlock> cut_blocks(const MineJob& job) {
  std::vector<QueryBlock> owned;
  std::vector<int64_t> indices;
  int64_t instances = 0, block = 0;
  const auto close = [&] {
    if (!indices.empty() && job.shard.owns(block)) owned.emplace_back().indices = indices;
    indices.clear();
    instances = 0;
    ++block;
  };
  const auto& images = job.dataset.images();
  for (size_t i = 0; i < images.size(); ++i) {
    indices.push_back(static_cast<int64_t>(i));
    instances += images[i].count;
    if (instances >= kInstancesPerBlock) close();
  }
  close();
  return owned;
}

class Miner {
 public:
  explicit Miner(const MineJob& job) : job_(job), blocks_(cut_blocks(job)) {
    int64_t images = std::ssize(job.dataset.images());
    for (const QueryBlock& block : blocks_) images += std::ssize(block.indices);
    progress_.emplace(images, "image");
  }

  NegativesTable run() {
    for (QueryBlock& block : blocks_) collect_queries(block);
    stream_pixels();
    return result();
  }

 private:
  // Pixels of some whole images.
  struct Pass {
    struct Segment {
      int64_t image_id = 0;
      int64_t begin = 0, end = 0;  // columns
    };
    std::vector<at::Tensor> embeddings, position, place;
    std::vector<PixelName> names;
    std::vector<Segment> segments;
  };

  void step() {
    throw_if_stopped("mining keeps nothing; run it again, in smaller --shard parts if its time is limited");
    progress_->update(++done_);
  }

  void collect_queries(QueryBlock& block) {
    std::vector<at::Tensor> vectors, label, score, place;
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
      const at::Tensor chosen = torch::tensor(rows, at::kLong).to(job_.device);
      vectors.push_back(found.queries.vectors.index_select(0, chosen));
      label.push_back(found.queries.label.index_select(0, chosen));
      score.push_back(found.queries.score.index_select(0, chosen));
      place.push_back(found.queries.place.index_select(0, chosen));
      block.images.push_back({image->scene.truth.image_id, count, count + std::ssize(rows), {}});
      count += std::ssize(rows);
    }
    block.top.emplace(count, job_.mine.negatives_per_instance);
    if (count == 0) return;
    model::Queries& queries = block.queries;
    queries.vectors = at::cat(vectors);  // [Q, Dq]
    queries.label = at::cat(label);
    queries.score = at::cat(score);
    queries.place = at::cat(place);
    queries.image = at::zeros_like(queries.label);  // the pixels are of no image of theirs
    queries.instance = at::arange(count, queries.label.options());
  }

  void stream_pixels() {
    std::vector<int64_t> all(job_.dataset.images().size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
    ImageStream stream(job_, all);
    Pass pass;
    while (const auto image = stream.next()) {
      gather(*image, pass);
      if (std::ssize(pass.names) >= kPixelsPerPass) {
        meet(pass);
        pass = {};
      }
      step();
    }
    if (!pass.names.empty()) meet(pass);
  }

  void gather(const LoadedImage& image, Pass& pass) {
    const view::GroundTruth& truth = image.scene.truth;
    if (truth.count() == 0) return;
    const EncodedImage found = encode(job_, image);
    const int64_t stride = job_.segmenter.mask_stride();
    const at::Tensor& map = found.encoded.mask_features;  // [1, D, H, W]
    const int64_t width = map.size(3);
    const at::Tensor cells = job_.segmenter.instance_cells(truth).flatten(1).to(at::kCPU).contiguous();  // [N, H*W]
    std::vector<int64_t> rows;
    std::vector<float> position, place;
    const at::Tensor places = found.queries.place.to(at::kCPU).contiguous();
    const auto begin = std::ssize(pass.names);
    for (int64_t n = 0; n < truth.count(); ++n) {
      const int64_t id = truth.instance_ids[static_cast<size_t>(n)];
      const std::vector<int64_t> own = candidates(cells, n, id);
      const std::array<float, 3> at_place = place_of(own, found.best[static_cast<size_t>(n)], places, width, stride);
      for (const int64_t cell : own) {
        const int64_t x = cell % width * stride;
        const int64_t y = cell / width * stride;
        rows.push_back(cell);
        position.insert(position.end(), {static_cast<float>(x), static_cast<float>(y)});
        place.insert(place.end(), at_place.begin(), at_place.end());
        pass.names.push_back({truth.image_id, id, x, y});
      }
    }
    if (rows.empty()) return;
    const at::Tensor chosen = torch::tensor(rows, at::kLong).to(job_.device);
    pass.embeddings.push_back(map[0].flatten(1).index_select(1, chosen).t().contiguous());  // [P, D]
    pass.position.push_back(torch::tensor(position).view({-1, 2}).to(job_.device));
    pass.place.push_back(torch::tensor(place).view({-1, 3}).to(job_.device));
    pass.segments.push_back({truth.image_id, begin, std::ssize(pass.names)});
  }

  // Cells of instance n, ascending.
  std::vector<int64_t> candidates(const at::Tensor& cells, int64_t n, int64_t instance_id) const {
    std::vector<int64_t> own;
    const bool* const bits = cells.data_ptr<bool>() + n * cells.size(1);
    for (int64_t c = 0; c < cells.size(1); ++c) {
      if (bits[c]) own.push_back(c);
    }
    const int64_t limit = job_.mine.pixels_per_instance;
    if (limit == 0 || std::ssize(own) <= limit) return own;
    Rng rng(job_.seed, "mine", static_cast<uint64_t>(instance_id));
    std::vector<int64_t> some;
    for (const int64_t i : rng.sample(std::ssize(own), limit)) some.push_back(own[static_cast<size_t>(i)]);
    std::sort(some.begin(), some.end());
    return some;
  }

  // That of the instance's query; without one, the middle of its cells, at level 0.
  static std::array<float, 3> place_of(const std::vector<int64_t>& own, int64_t query, const at::Tensor& places,
                                       int64_t width, int64_t stride) {
    if (query >= 0) {
      const float* const p = places.data_ptr<float>() + 3 * query;
      return {p[0], p[1], p[2]};
    }
    double x = 0, y = 0;
    for (const int64_t cell : own) {
      x += static_cast<double>(cell % width * stride);
      y += static_cast<double>(cell / width * stride);
    }
    const double count = std::max(1.0, static_cast<double>(own.size()));
    return {static_cast<float>(x / count), static_cast<float>(y / count), 0};
  }

  void meet(const Pass& pass) {
    const model::PixelSet pixels{at::cat(pass.embeddings), at::cat(pass.position), at::cat(pass.place)};
    const auto count = std::ssize(pass.names);
    const int64_t columns = job_.device.is_cpu() ? kPixelsPerProduct : count;
    for (QueryBlock& block : blocks_) {
      if (block.images.empty()) continue;
      at::Tensor largest = at::full({block.queries.count(), std::ssize(pass.segments)}, lowest(),
                                    at::TensorOptions(at::kFloat).device(job_.device));  // [Q, images]
      for (int64_t first = 0; first < count; first += columns) {
        const int64_t last = std::min<int64_t>(count, first + columns);
        const model::PixelSet some{pixels.embeddings.slice(0, first, last), pixels.position.slice(0, first, last),
                                   pixels.place.slice(0, first, last)};
        const at::Tensor logits = job_.segmenter.pixel_logits(block.queries, some).contiguous();  // [Q, P]
        for (size_t s = 0; s < pass.segments.size(); ++s) {
          const int64_t from = std::max(first, pass.segments[s].begin) - first;
          const int64_t to = std::min(last, pass.segments[s].end) - first;
          if (from >= to) continue;
          const at::Tensor part = logits.slice(1, from, to);
          for (const auto& image : block.images) {
            if (image.image_id == pass.segments[s].image_id) part.slice(0, image.begin, image.end).fill_(lowest());
          }
          at::Tensor column = largest.select(1, static_cast<int64_t>(s));
          column.copy_(at::maximum(column, part.amax(1)));
        }
        block.top->add(0, logits, std::span(pass.names).subspan(static_cast<size_t>(first), static_cast<size_t>(last - first)));
      }
      confuse(block, largest.to(at::kCPU).contiguous(), pass);
    }
  }

  void confuse(QueryBlock& block, const at::Tensor& largest, const Pass& pass) {
    const auto scenes = static_cast<int64_t>(pass.segments.size());
    const float* const values = largest.data_ptr<float>();
    for (auto& image : block.images) {
      for (int64_t s = 0; s < scenes; ++s) {
        const int64_t other = pass.segments[static_cast<size_t>(s)].image_id;
        if (other == image.image_id) continue;
        double sum = 0;
        for (int64_t q = image.begin; q < image.end; ++q) sum += sigmoid(values[q * scenes + s]);
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

void check_mine_job(const MineJob& job) {
  for (const auto& image : job.dataset.images()) {
    if (!job.store.has(image.id)) {
      throw Error(ErrorCode::kBadData, cat("the cache has no features of image ", image.id, " of \"",
                                           job.dataset.path(), "\"; it was made from other annotations"));
    }
  }
  if (cache::weights_digest(job.segmenter, job.segmenter.backbone_prefix()) != job.store.backbone_digest()) {
    throw Error(ErrorCode::kBadData, "the cache was made with another backbone than the model has; cache again with "
                                     "this model, or mine with a model that was trained on this cache");
  }
}

NegativesTable mine_negatives(const MineJob& job) {
  const at::NoGradGuard no_grad;
  check_mine_job(job);
  return Miner(job).run();
}

}  // namespace iuq::uniq
