#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/data/image.h"
#include "lib/data/synth_config.h"
#include "lib/mask/rle.h"

namespace iuq::data {

struct SceneInstance {
  int64_t category = 0;  // 0..category_count()-1, the shape
  mask::Rle mask;        // what is visible of it; masks of a scene do not overlap
};

struct Scene {
  Pixels pixels;
  std::vector<SceneInstance> instances;  // back to front
};

/// One image of the data set, a function of (config, split, index) alone.
///
/// Shapes with a shared stock of looks lie over each other on a textured ground among distractors. A pixel belongs to
/// an instance if its centre lies in the shape and no later one covers it. Every instance shows at least 25 pixels,
/// 30 % of its area and 1 - occlusion of what lies in the frame; one that cannot be placed so is left out, but there is
/// always at least one.
Scene draw_scene(const SynthConfig& config, const std::string& split, int64_t index);

}  // namespace iuq::data
