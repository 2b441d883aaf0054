#include "lib/info/clean_copy.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <unordered_set>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/io/atomic_file.h"
#include "lib/io/coco_json.h"
#include "lib/io/provenance.h"
#include "lib/io/record_parser.h"
#include "lib/io/record_rules.h"

namespace iuq::info {
namespace {

using data::Annotation;
using data::Dataset;
using data::Image;
using nlohmann::json;

const std::vector<std::string> kSections = {"images", "annotations", "categories"};
enum Section : size_t { kImages, kAnnotations, kCategories };

// The number of an id, -1 of what is none; 7.0 becomes 7 in the record.
int64_t settle_id(json& record, const char* key) {
  json& value = record[key];
  if (value.is_string()) return io::string_id(value.get_ref<const std::string&>());
  int64_t id = -1;
  if (io::to_integer(value, /*or_float=*/true, id) && value.is_number_float()) value = id;
  return id;
}

bool is_thin(const json& polygon) { return polygon.is_array() && (polygon.size() < 6 || polygon.size() % 2 != 0); }

void mend_segmentation(json& value) {
  if (!value.is_array()) return;
  if (value.size() == 1 && value[0].is_object()) {
    value = json(value[0]);
    return;
  }
  value.erase(std::remove_if(value.begin(), value.end(), is_thin), value.end());
}

/// Writes what it is sent, but for faults.
class CleanCopy final : public io::RecordSink {
 public:
  CleanCopy(const Checkup& checkup, std::ostream& out) : set_(checkup.dataset), out_(out) {
    for (const data::Refusal& refusal : set_.refusals()) refused_.emplace(refusal.section, refusal.record);
    for (const int64_t image : checkup.unusable_images) unusable_.insert(image);
    const std::unordered_set<int64_t> left_out(checkup.left_out.begin(), checkup.left_out.end());
    for (size_t i = 0; i < set_.records().size(); ++i) {
      const auto record = static_cast<size_t>(set_.records()[i]);
      if (record >= annotation_of_.size()) annotation_of_.resize(record + 1, -1);
      if (!left_out.contains(static_cast<int64_t>(i))) annotation_of_[record] = static_cast<int64_t>(i);
    }
  }

  void general(size_t section, int64_t index, json& record) override {
    open(kSections[section]);
    ++all_[section];
    if (refused_.contains({kSections[section], index})) return;
    const bool kept = section == kImages ? mend_image(record) : section == kAnnotations ? mend_annotation(index, record) : mend_category(record);
    if (!kept) return;
    put(record);
    ++kept_[section];
  }

  bool wants_others() const override { return true; }
  void other(const std::string& key, json& value) override {
    close();
    member(key);
    if (value.is_array()) {
      out_ << '[';
      list_ = key;
      first_ = true;
    } else {
      out_ << value.dump();
    }
  }
  void other_element(const std::string&, json& value) override { put(value); }

  /// "17 of 30 images, 451 of 868 annotations"; Error(kBadData) where one of them is none of some.
  std::string share() const {
    const std::string text = cat(kept_[kImages], " of ", all_[kImages], " images, ", kept_[kAnnotations], " of ", all_[kAnnotations], " annotations");
    if (kept_[kImages] > 0 && (kept_[kAnnotations] > 0 || all_[kAnnotations] == 0)) return text;
    throw Error(ErrorCode::kBadData, cat("\"", set_.path(), "\": nothing to learn from would be left (", text,
                                         "), so no copy is written; mend what iuq-info --check says by hand"));
  }

  /// `missing`: the lists that the file does not have, and the copy has not either.
  void finish(const std::vector<std::string>& missing) {
    for (const std::string& section : kSections) {
      if (!opened_.contains(section) && std::find(missing.begin(), missing.end(), section) == missing.end()) open(section);
    }
    close();
    out_ << "\n}\n";
  }

 private:
  void member(const std::string& key) {
    out_ << (opened_.empty() ? "{\n" : ",\n") << json(key).dump() << ": ";
    opened_.insert(key);
  }
  void open(const std::string& section) {
    if (list_ == section) return;
    close();
    member(section);
    out_ << '[';
    list_ = section;
    first_ = true;
  }
  void close() {
    if (!list_.empty()) out_ << (first_ ? "]" : "\n]");
    list_.clear();
  }
  void put(const json& value) {
    out_ << (first_ ? "\n" : ",\n") << value.dump();
    first_ = false;
  }

  // False: it is left out.
  bool mend_image(json& record) {
    const int64_t index = set_.image_index(settle_id(record, "id"));
    if (index < 0) changed();
    if (unusable_.contains(index)) return false;
    const Image& image = set_.images()[static_cast<size_t>(index)];
    record["height"] = image.height;
    record["width"] = image.width;
    if (record.contains("file_name") && record["file_name"].is_string()) record["file_name"] = image.file_name;
    for (const char* key : {"neg_category_ids", "not_exhaustive_category_ids"}) {
      if (!record.contains(key) || !record[key].is_array()) continue;
      json& ids = record[key];
      ids.erase(std::remove_if(ids.begin(), ids.end(), [&](const json& id) {
        int64_t number = 0;
        return !io::to_integer(id, true, number) || set_.category_index(number) < 0;
      }), ids.end());
    }
    return true;
  }

  bool mend_annotation(int64_t record_index, json& record) {
    const auto place = static_cast<size_t>(record_index);
    if (place >= annotation_of_.size() || annotation_of_[place] < 0) return false;
    const Annotation& annotation = set_.annotations()[static_cast<size_t>(annotation_of_[place])];
    if (settle_id(record, "image_id") != annotation.image_id) changed();
    if (unusable_.contains(set_.image_index(annotation.image_id))) return false;
    settle_id(record, "category_id");
    record["id"] = annotation.id;
    if (!record.contains("iscrowd") || record["iscrowd"].is_null()) record["iscrowd"] = annotation.crowd ? 1 : 0;
    if (!record.contains("area") || !record["area"].is_number() || record["area"] != annotation.area) record["area"] = annotation.area;
    const json box = annotation.box;
    if (!record.contains("bbox") || record["bbox"] != box) record["bbox"] = box;
    mend_segmentation(record["segmentation"]);
    return true;
  }

  bool mend_category(json& record) {
    if (set_.category_index(settle_id(record, "id")) < 0) changed();
    if (record["name"].is_number()) record["name"] = record["name"].dump();
    return true;
  }

  [[noreturn]] void changed() const {
    throw Error(ErrorCode::kBadData, cat("\"", set_.path(), "\" has changed while it was read"));
  }

  const Dataset& set_;
  std::ostream& out_;
  std::set<std::pair<std::string, int64_t>> refused_;
  std::unordered_set<int64_t> unusable_;
  std::vector<int64_t> annotation_of_;  // by index in the file; -1: left out
  std::set<std::string> opened_;
  std::string list_;  // that is being written; "" outside of one
  bool first_ = true;
  std::array<int64_t, 3> all_{}, kept_{};  // by section: records of the file, and of the copy
};

// Images that are not there by mistake would take all their annotations along.
void check_reach(const Checkup& checkup) {
  for (const Finding& finding : checkup.findings) {
    if (finding.kind == "image_no_access") {
      throw Error(ErrorCode::kIo, cat("\"", checkup.dataset.path(), "\": ", finding.text, "; no copy is written without them"));
    }
    if (finding.kind == "image_missing" && finding.count == std::ssize(checkup.dataset.images())) {
      throw Error(ErrorCode::kNoInput, cat("\"", checkup.dataset.path(), "\": ", finding.text, "; is --images the right folder? No copy is written"));
    }
  }
}

}  // namespace

json changes_of(const Checkup& checkup) {
  json changes = json::array();
  for (const Finding& finding : checkup.findings) {
    if (finding.is_fault) changes.push_back({{"kind", finding.kind}, {"count", finding.count}, {"cases", finding.cases}});
  }
  int64_t gone = 0;
  for (const int64_t image : checkup.unusable_images) gone += checkup.dataset.images()[static_cast<size_t>(image)].count;
  if (gone > 0) changes.push_back({{"kind", "annotations_of_unusable_images"}, {"count", gone}});
  return changes;
}

void write_clean_copy(const Checkup& checkup, const std::string& path) {
  check_reach(checkup);
  io::AtomicFile file(path);
  std::ofstream out(file.temp_path(), std::ios::binary);
  CleanCopy copy(checkup, out);
  copy.finish(io::read_records(checkup.dataset.path(), kSections, copy));
  out.flush();
  if (!out) throw Error(ErrorCode::kIo, cat("cannot write \"", file.temp_path(), "\""));
  out.close();
  const std::string share = copy.share();
  file.commit();
  log::info(cat("wrote \"", path, "\": ", share));
}

void fix(const Checkup& checkup, const std::string& path, bool force) {
  io::Provenance provenance("iuq-info", {{"fix", changes_of(checkup)}});
  provenance.add_file("annotations", checkup.dataset.path());
  if (io::is_up_to_date(path, io::read_sidecar(path), provenance, force)) return;
  write_clean_copy(checkup, path);
  io::write_sidecar(path, provenance);
}

}  // namespace iuq::info
