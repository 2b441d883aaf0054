#include "lib/io/coco_json.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"

namespace iuq::io {
namespace {

using nlohmann::json;

constexpr size_t kMaxDepth = 64;

/// A file read in blocks. The parser takes it one character at a time through CharIterator.
class Source {
 public:
  explicit Source(const std::string& path) : path_(path), file_(nullptr, &std::fclose), block_(1 << 18) {
    if (path == "-") {
      stream_ = stdin;
    } else {
      file_.reset(std::fopen(path.c_str(), "rb"));
      stream_ = file_.get();
      if (!stream_) throw Error(ErrorCode::kNoInput, cat("cannot open \"", path, "\": ", std::strerror(errno)));
    }
    refill();
  }

  bool at_end() const { return next_ == end_; }
  char current() const { return *next_; }
  void advance() {
    if (++next_ == end_) refill();
  }

 private:
  void refill() {
    const size_t got = std::fread(block_.data(), 1, block_.size(), stream_);
    if (got == 0 && std::ferror(stream_)) {
      throw Error(ErrorCode::kIo, cat("cannot read \"", path_, "\": ", std::strerror(errno)));
    }
    next_ = block_.data();
    end_ = next_ + got;
  }

  std::string path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::FILE* stream_ = nullptr;
  std::vector<char> block_;
  const char* next_ = nullptr;
  const char* end_ = nullptr;
};

/// Input iterator over a Source; all copies share its position. The end iterator has no source.
struct CharIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  Source* source = nullptr;

  char operator*() const { return source->current(); }
  CharIterator& operator++() {
    source->advance();
    return *this;
  }
  bool operator==(const CharIterator& other) const { return done() == other.done(); }
  bool operator!=(const CharIterator& other) const { return !(*this == other); }
  bool done() const { return !source || source->at_end(); }
};

std::string printable(std::string text) {
  for (char& c : text) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return text.size() > 200 ? text.substr(0, 197) + "..." : text;
}

/// Builds one json value per record of the wanted sections and forgets it after the visit.
class RecordHandler {
 public:
  RecordHandler(const std::string& path, const std::vector<std::string>& sections, const RecordVisitor& visit)
      : path_(path), sections_(sections), seen_(sections.size(), false), visit_(visit) {}

  bool null() { return scalar(nullptr); }
  bool boolean(bool value) { return scalar(value); }
  bool number_integer(int64_t value) { return scalar(value); }
  bool number_unsigned(uint64_t value) { return scalar(value); }
  bool number_float(double value, const std::string&) { return scalar(value); }
  bool string(std::string& value) { return scalar(std::move(value)); }
  bool binary(json::binary_t&) { return fail("holds binary data"); }

  bool start_object(size_t) {
    const bool record = in_list_ && depth_ == list_depth_;
    if (depth_ == 0) {
      top_is_object_ = true;
    } else if (depth_ == 1 && at_wanted_key_) {
      return wrong_section();
    }
    if (++depth_ > kMaxDepth) return too_deep();
    if (record) {
      record_ = json::object();
      stack_.assign(1, &record_);
    } else if (!stack_.empty()) {
      stack_.push_back(put(json::object()));
    }
    return true;
  }

  bool key(std::string& name) {
    if (depth_ == 1 && top_is_object_) {
      at_wanted_key_ = want(name);
    } else if (!stack_.empty()) {
      slot_ = &(*stack_.back())[name];
    }
    return true;
  }

  bool end_object() {
    --depth_;
    if (stack_.empty()) return true;
    stack_.pop_back();
    if (stack_.empty()) visit_(section_, index_++, record_);
    return true;
  }

  bool start_array(size_t) {
    const bool list = (depth_ == 0 && want("")) || (depth_ == 1 && at_wanted_key_);
    if (in_list_ && depth_ == list_depth_) return wrong_record();
    if (++depth_ > kMaxDepth) return too_deep();
    if (list) {
      in_list_ = true;
      at_wanted_key_ = false;
      list_depth_ = depth_;
      index_ = 0;
    } else if (!stack_.empty()) {
      stack_.push_back(put(json::array()));
    }
    return true;
  }

  bool end_array() {
    if (in_list_ && depth_ == list_depth_) in_list_ = false;
    --depth_;
    if (!stack_.empty()) stack_.pop_back();
    return true;
  }

  bool parse_error(size_t, const std::string& token, const json::exception& error) {
    std::string why = error.what();
    why = printable(why.substr(why.find("] ") == std::string::npos ? 0 : why.find("] ") + 2));
    if (why.find("end of input") != std::string::npos) why += " (the file ends early: truncated?)";
    if (token.find_first_of("NI") != std::string::npos) why += " (NaN and Infinity are not JSON)";
    throw Error(ErrorCode::kBadData, cat("\"", path_, "\" is not valid JSON: ", why));
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
  bool scalar(T&& value) {
    if (stack_.empty()) {
      if (depth_ == 1 && at_wanted_key_) return wrong_section();
      if (in_list_ && depth_ == list_depth_) return wrong_record();
      return true;
    }
    put(json(std::forward<T>(value)));
    return true;
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
      if (seen_[i]) return fail(cat("has the section \"", name, "\" twice"));
      seen_[i] = true;
      section_ = name;
      return true;
    }
    return false;
  }

  [[noreturn]] bool fail(const std::string& what) const {
    throw Error(ErrorCode::kBadData, cat("\"", path_, "\" ", what));
  }
  bool wrong_section() const { return fail(cat("has a section \"", section_, "\" that is not a list")); }
  bool wrong_record() const {
    return fail(section_.empty() ? cat("record ", index_, " is not an object")
                                 : cat("section \"", section_, "\", record ", index_, " is not an object"));
  }
  bool too_deep() const { return fail(cat("is nested deeper than ", kMaxDepth, " levels")); }

  const std::string& path_;
  const std::vector<std::string>& sections_;
  std::vector<bool> seen_;
  const RecordVisitor& visit_;

  size_t depth_ = 0, list_depth_ = 0;
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
  Source source(path);
  RecordHandler handler(path, sections, visit);
  json::sax_parse(CharIterator{&source}, CharIterator{}, &handler);
  return handler.missing();
}

}  // namespace iuq::io
