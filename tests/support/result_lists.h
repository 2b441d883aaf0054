#pragma once
// Results lists in which plain records and odd ones stand side by side, for readers that have a way for each.

#include <nlohmann/json.hpp>
#include <string>

#include "lib/base/rng.h"
#include "lib/mask/rle.h"
#include "tests/support/box_mask.h"

namespace iuq::test {

inline constexpr int64_t kResultImages = 20, kResultSide = 64;

/// Images 1 .. 20 of 64 x 64 pixels, categories 1 .. 3, one annotation.
inline std::string result_annotations() {
  nlohmann::json out = {{"images", nlohmann::json::array()}, {"categories", nlohmann::json::array()}};
  for (int64_t id = 1; id <= kResultImages; ++id) {
    out["images"].push_back({{"id", id}, {"height", kResultSide}, {"width", kResultSide}, {"neg_category_ids", {1, 2, 3}},
                             {"not_exhaustive_category_ids", nlohmann::json::array()}});
  }
  for (int64_t id = 1; id <= 3; ++id) out["categories"].push_back({{"id", id}, {"name", "c"}, {"frequency", "f"}});
  out["annotations"] = {{{"id", 1}, {"image_id", 1}, {"category_id", 1}, {"area", 100}, {"iscrowd", 0},
                         {"bbox", {5, 5, 10, 10}}, {"segmentation", {{5, 5, 15, 5, 15, 15, 5, 15}}}}};
  return out.dump();
}

/// One record as a detector writes it, or, once in `odd_every`, one that is sound but unusual.
inline std::string random_result(Rng& rng, int64_t odd_every) {
  const double x = rng.uniform(0, 40), y = rng.uniform(0, 40), w = rng.uniform(1, 20), h = rng.uniform(1, 20);
  const mask::Rle rle = box_mask({x, y, w, h}, kResultSide, kResultSide);
  const int64_t image = 1 + rng.below(kResultImages), category = 1 + rng.below(3);
  nlohmann::json mask = {{"size", {kResultSide, kResultSide}}, {"counts", mask::to_string(rle)}};
  nlohmann::json record = {{"image_id", image}, {"category_id", category}, {"score", rng.uniform()}, {"bbox", {x, y, w, h}}};
  switch (rng.below(odd_every) == 0 ? rng.below(10) : -1) {
    case 0: mask = {{x, y, x + w, y, x + w, y + h}}; break;                       // a polygon
    case 1: mask["counts"] = rle.counts; break;                                   // counts as a list
    case 2: record["image_id"] = static_cast<double>(image); break;               // 3.0
    case 3: record["extra"] = {{"a", {1, {{"b", nullptr}}}}, {"text", "}, {"}}; break;
    case 4: record["text"] = "\xc3\xa9 \n}, {\"image_id\": 1, \"x\": [{"; break;
    case 5: record["list"] = {{{"image_id", 1}}, {{"image_id", 2}}, {{"image_id", 3}}}; break;
    case 6: record["category_id"] = 99; break;                                    // not listed
    case 7: record["category_id"] = 99, mask = "anything"; break;                 // so nobody looks at it
    case 8: return "{\"score\": \"first\", \"image_id\": 77, " + record.dump().substr(1, record.dump().size() - 2) +
                   ", \"segmentation\": " + mask.dump() + ", \"image_id\": " + std::to_string(image) + "}";  // the last holds
    case 9: record["score"] = rng.below(2); break;
    default: break;
  }
  record["segmentation"] = mask;
  return record.dump(rng.below(30) ? -1 : 2);
}

}  // namespace iuq::test
