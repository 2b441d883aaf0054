#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/data/scene.h"

namespace iuq::data {

/// What is kept of a scene once its pixels are written.
struct SceneLabels {
  std::vector<SceneInstance> instances;  // those that are labelled
  std::vector<int64_t> negative;         // lvis, category indices
  std::vector<int64_t> not_exhaustive;
};

/// Draws the federated labels of one LVIS image: which absent categories are stated as absent, and whether an instance
/// stays unlabelled.
void make_federated(const SynthConfig& config, const std::string& split, int64_t index, SceneLabels& labels);

/// Image id of the index-th image of a split, and its file below images/.
int64_t scene_image_id(const std::string& split, int64_t index);
std::string scene_file_name(const std::string& split, int64_t index);

/// The annotation file of a split. LVIS categories carry the counts of the training split.
nlohmann::json lookalikes_json(const SynthConfig& config, const std::string& split,
                               const std::vector<SceneLabels>& scenes, const std::vector<SceneLabels>& train);

}  // namespace iuq::data
