#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/data/image.h"
#include "lib/mask/rle.h"

namespace iuq::data {

/// An instance as it is drawn: its mask in the image's size, a colour number and a short label.
struct DrawnInstance {
  mask::Rle mask;
  int64_t colour = 0;  // any number; equal numbers look equal
  std::string label;
};

/// Lays the masks over the image, translucent with an outline, first ones below, labels at the top of each mask.
/// Error(kBadData) if a mask has another size than the image.
void draw_instances(Pixels& image, const std::vector<DrawnInstance>& instances);

/// Puts images side by side: `columns` per row, each scaled to fit a tile, under a title each.
Pixels contact_sheet(const std::vector<Pixels>& images, const std::vector<std::string>& titles, int64_t columns,
                     int64_t tile);

}  // namespace iuq::data
