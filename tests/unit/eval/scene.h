#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "lib/eval/evaluate.h"
#include "tests/support/box_mask.h"
#include "tests/support/temp_folder.h"

namespace iuq::test {

/// Annotations and results as files of a folder that goes away.
class Scene {
 public:
  Scene() {
    gt = {{"images", nlohmann::json::array()},
          {"categories", {{{"id", 1}, {"name", "one"}}}},
          {"annotations", nlohmann::json::array()}};
    dt = nlohmann::json::array();
  }
  void add_image(int64_t id, int64_t height = 100, int64_t width = 100) {
    gt["images"].push_back({{"id", id}, {"height", height}, {"width", width}});
  }
  void add_truth(int64_t image, mask::Box box, bool crowd = false, int64_t category = 1) {
    gt["annotations"].push_back({{"id", gt["annotations"].size() + 1}, {"image_id", image}, {"category_id", category},
                                 {"bbox", box}, {"area", box[2] * box[3]}, {"iscrowd", int(crowd)},
                                 {"segmentation", segmentation(box)}});
  }
  void add_result(int64_t image, mask::Box box, double score, int64_t category = 1) {
    dt.push_back({{"image_id", image}, {"category_id", category}, {"score", score}, {"bbox", box}});
  }

  std::string gt_path() const { return write("gt.json", gt.dump()); }
  std::string dt_path() const { return write("dt.json", dt.dump()); }
  std::string write(const std::string& name, const std::string& text) const {
    write_bytes(folder_ / name, text);
    return folder_ / name;
  }

  eval::Summary evaluate(eval::IouType type, int threads = 1) const {
    eval::EvalConfig config;
    config.iou_types = {type};
    config.threads = threads;
    return eval::evaluate(gt_path(), dt_path(), config).at(0);
  }

  nlohmann::json gt, dt;

 private:
  static nlohmann::json segmentation(const mask::Box& b) {
    return {{"size", {100, 100}}, {"counts", mask::to_string(box_mask(b, 100, 100))}};
  }

  TempFolder folder_;
};

inline double stat(const eval::Summary& summary, const std::string& name) {
  for (const eval::Stat& s : summary.stats) {
    if (s.name == name) return s.value;
  }
  throw std::out_of_range(name);
}

}  // namespace iuq::test
