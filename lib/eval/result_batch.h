#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/eval/detections.h"
#include "lib/io/record_reader.h"

namespace iuq::eval {

/// Detections before their ids are looked up, in the order of the file.
struct RawDetections {
  std::vector<Detection> records;               // image and category not yet looked up
  std::unordered_map<int64_t, std::string> names;  // of images whose id is a string, by io::string_id()
  std::vector<std::array<int64_t, 2>> ids;      // image, category; a category that was not looked at is 0
};

/// What holds for all records of a file.
struct ResultRules {
  const std::string& path;
  const EvalConfig& config;
  std::function<const GroundTruth&()> truth;  // may wait for it; only unusual records need it
  std::atomic<bool> decided = false;          // by the first record:
  bool boxes_decide = false;
};

/// Turns the records of a results list into detections. Those as the field's tools write them, compressed masks and
/// numbers, are read at once; any other the general way, which also has the words for what is wrong.
class ResultBatch final : public io::RecordBatch {
 public:
  /// Compressed masks go to `store`, also those of records that clear() drops.
  ResultBatch(ResultRules& rules, TextStore& store);

  bool plain(size_t section, int64_t index, io::JsonCursor& cursor) override;
  void general(size_t section, int64_t index, nlohmann::json& record) override;
  void clear() override;
  bool strict() const override { return rules_.config.strict; }

  RawDetections detections;

 private:
  struct Plain;
  bool read_plain(io::JsonCursor& cursor, Plain& plain);
  bool read_plain_id(io::JsonCursor& cursor, Plain& plain);
  bool read_plain_mask(io::JsonCursor& cursor, Plain& plain);
  void read_shape(const nlohmann::json& record, const Image& image, Detection& detection);
  void read_box(Detection& detection);
  void read_mask(const nlohmann::json& record, const Image& image, Detection& detection);
  void store_mask(const io::Segmentation& segmentation, const Image& image, Detection& detection);
  bool needs_mask() const;
  void decide(bool boxes);
  void keep_name(int64_t id, std::string_view name);
  void push(const Detection& detection, int64_t image_id, int64_t category_id);

  ResultRules& rules_;
  TextStore& store_;
  io::RecordReader reader_;
  std::vector<uint32_t> counts_;  // storage for one mask
  std::string unescaped_;
  double mask_area_ = 0;  // of the mask read last the general way
  mask::Box mask_box_{};  // likewise
};

}  // namespace iuq::eval
