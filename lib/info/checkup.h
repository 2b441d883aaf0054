#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/data/annotations.h"

namespace iuq::info {

struct CheckupOptions {
  std::string images = {};      // folder of the image files; "": they are not looked at
  int threads = 0;              // 0: as many as this process may use
  int64_t min_pixels = 16;      // objects of a smaller area are pointed out; train.min_pixels by default
  int64_t detections = 100;     // of an image, that an evaluation counts by default; more objects than that are pointed out
};

/// All of a kind that was found.
struct Finding {
  std::string kind;      // "no_mask", "image_missing": as in JSON
  bool is_fault = true;  // else it is read as it is, and worth knowing
  int64_t count = 0;
  std::string text = {};  // one line, with the count and the first ids
  nlohmann::json cases = nlohmann::json::array();  // every one: {"id"} and, where they are known, {"index", "image_id", "what"}
};

/// Objects of a category, crowds not among them. Sizes as COCO's: by area, up to 32 and 96 pixels squared.
struct CategoryCount {
  int64_t category = 0;  // index in the data set
  int64_t images = 0, objects = 0, crowds = 0;
  int64_t small = 0, medium = 0, large = 0;
  double median_side = 0;  // root of the area, in pixels; 0 without objects
};

/// What an annotation file and its images are like, and all that is wrong with them.
struct Checkup {
  data::Dataset dataset;                  // without what had to be left out
  std::vector<Finding> findings;          // faults first
  std::vector<int64_t> unusable_images;   // indices, ascending
  std::vector<int64_t> left_out;          // indices of annotations that are there twice or cover nothing, ascending
  std::vector<CategoryCount> categories;  // most objects first
  int64_t median_objects = 0, most_objects = 0;  // of an image

  bool has_faults() const { return !findings.empty() && findings.front().is_fault; }
};

/// Looks at every record and, with `images`, at every file, in parallel; what it says does not depend on the threads. Faults are what
/// training would refuse, leave out or mend (lib/data/FORMAT.md), annotations that are there twice or whose mask covers nothing,
/// and image files that cannot be used.
/// Errors: kNoInput, kIo; kBadData for what is wrong with the file as a whole: no JSON, a list missing, a category's id twice.
Checkup check_up(const std::string& path, const CheckupOptions& options);

/// Several lines for people: findings and a table of the categories.
std::string to_text(const Checkup& checkup);
nlohmann::ordered_json to_json(const Checkup& checkup);

}  // namespace iuq::info
