#include "lib/io/coco_json.h"

#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/io/json_scanner.h"

namespace iuq::io {
namespace {

using nlohmann::json;

/// Builds one json value per record of the wanted sections and forgets it after the visit.
class RecordHandler final : public JsonEvents {
 public:
  RecordHandler(const std::string& path, const std::vector<std::string>& sections, const RecordVisitor& visit)
      : path_(path), sections_(sections), seen_(sections.size(), false), visit_(visit) {}

  void null() override { scalar(nullptr); }
  void boolean(bool value) override { scalar(value); }
  void integer(int64_t value) override { scalar(value); }
  void unsigned_integer(uint64_t value) override { scalar(value); }
  void number(double value) override { scalar(value); }
  void string(std::string& value) override { scalar(std::move(value)); }

  void start_object() override {
    const bool record = in_list_ && depth_ == list_depth_;
    if (depth_ == 0) {
      top_is_object_ = true;
    } else if (depth_ == 1 && at_wanted_key_) {
      wrong_section();
    }
    ++depth_;
    if (record) {
      record_ = json::object();
      stack_.assign(1, &record_);
    } else if (!stack_.empty()) {
      stack_.push_back(put(json::object()));
    }
  }

  void key(std::string& name) override {
    if (depth_ == 1 && top_is_object_) {
      at_wanted_key_ = want(name);
    } else if (!stack_.empty()) {
      slot_ = &(*stack_.back())[name];
    }
  }

  void end_object() override {
    --depth_;
    if (stack_.empty()) return;
    stack_.pop_back();
    if (stack_.empty()) visit_(section_, index_++, record_);
  }

  void start_array() override {
    if (in_list_ && depth_ == list_depth_) wrong_record();
    const bool list = (depth_ == 0 && want("")) || (depth_ == 1 && at_wanted_key_);
    ++depth_;
    if (list) {
      in_list_ = true;
      at_wanted_key_ = false;
      list_depth_ = depth_;
      index_ = 0;
    } else if (!stack_.empty()) {
      stack_.push_back(put(json::array()));
    }
  }

  void end_array() override {
    if (in_list_ && depth_ == list_depth_) in_list_ = false;
    --depth_;
    if (!stack_.empty()) stack_.pop_back();
  }

  std::vector<std::string> missing() const {
    std::vector<std::string> out;
    for (size_t i = 0; i < sections_.size(); ++i) {
      if (!seen_[i]) out.push_back(sections_[i]);
    }
    return out;
  }

 private:
  template <class T>
  void scalar(T&& value) {
    if (!stack_.empty()) {
      put(json(std::forward<T>(value)));
    } else if (depth_ == 1 && at_wanted_key_) {
      wrong_section();
    } else if (in_list_ && depth_ == list_depth_) {
      wrong_record();
    }
  }

  json* put(json value) {
    if (stack_.back()->is_array()) {
      stack_.back()->push_back(std::move(value));
      return &stack_.back()->back();
    }
    *slot_ = std::move(value);
    return slot_;
  }

  bool want(const std::string& name) {
    for (size_t i = 0; i < sections_.size(); ++i) {
      if (sections_[i] != name) continue;
      if (seen_[i]) fail(cat("has the section \"", name, "\" twice"));
      seen_[i] = true;
      section_ = name;
      return true;
    }
    return false;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kBadData, cat("\"", path_, "\" ", what));
  }
  [[noreturn]] void wrong_section() const { fail(cat("has a section \"", section_, "\" that is not a list")); }
  [[noreturn]] void wrong_record() const {
    fail(section_.empty() ? cat("record ", index_, " is not an object")
                          : cat("section \"", section_, "\", record ", index_, " is not an object"));
  }

  const std::string& path_;
  const std::vector<std::string>& sections_;
  std::vector<bool> seen_;
  const RecordVisitor& visit_;

  int64_t depth_ = 0, list_depth_ = 0;
  bool top_is_object_ = false, at_wanted_key_ = false, in_list_ = false;
  std::string section_;
  int64_t index_ = 0;
  json record_;
  std::vector<json*> stack_;  // the record being built and its open children; empty outside of one
  json* slot_ = nullptr;      // where the value of the last key goes
};

}  // namespace

std::vector<std::string> stream_json_records(const std::string& path, const std::vector<std::string>& sections,
                                             const RecordVisitor& visit) {
  JsonScanner scanner(path);
  RecordHandler handler(path, sections, visit);
  scanner.scan(handler);
  return handler.missing();
}

}  // namespace iuq::io
