#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "lib/train/loss.h"

namespace iuq::train {

/// What the terms do at one step, as field "diagnostics" of metrics.jsonl (README.md "Diagnostics"); keys without
/// anything to count are absent. For Step::take: `losses` are those of `forward`, with their graph, which stays.
///   foreign  the memory, filled; null without one: then foreign pixels are those of the other images of the batch
/// Randomness: that of uniq::sample_pixels, without a memory only.
nlohmann::json diagnose(model::Segmenter& segmenter, const Forward& forward, const std::vector<LossValue>& losses,
                        const ForeignPixels* foreign, const uniq::UniqConfig& config, uint64_t seed);

}  // namespace iuq::train
