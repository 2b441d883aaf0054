#include "lib/infer/results_writer.h"

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"

namespace iuq::infer {

ResultsWriter::ResultsWriter(const std::string& path) : path_(path) {
  if (path == "-") {
    file_ = stdout;
  } else {
    target_ = std::make_unique<io::AtomicFile>(path);
    file_ = std::fopen(target_->temp_path().c_str(), "wb");
    if (!file_) throw Error(ErrorCode::kCannotCreate, cat("cannot create \"", path, "\": ", std::strerror(errno)));
  }
  put("[");
}

ResultsWriter::~ResultsWriter() {
  if (target_ && file_) std::fclose(file_);
}

void ResultsWriter::put(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) {
    throw Error(ErrorCode::kIo, cat("cannot write \"", path_, "\": ", std::strerror(errno)));
  }
}

void ResultsWriter::add(const nlohmann::json& image_id, int64_t category_id, const Detection& detection) {
  const mask::Box box = mask::to_box(detection.mask);
  const nlohmann::ordered_json entry = {
      {"image_id", image_id},
      {"category_id", category_id},
      {"score", detection.score},
      {"bbox", {box[0], box[1], box[2], box[3]}},
      {"segmentation",
       {{"size", {detection.mask.height, detection.mask.width}}, {"counts", mask::to_string(detection.mask)}}}};
  put((count_ == 0 ? "\n" : ",\n") + entry.dump());
  ++count_;
}

void ResultsWriter::finish() {
  put("\n]\n");
  std::FILE* file = file_;
  file_ = nullptr;
  const bool flushed = target_ ? std::fclose(file) == 0 : std::fflush(file) == 0;
  if (!flushed) throw Error(ErrorCode::kIo, cat("cannot write \"", path_, "\": ", std::strerror(errno)));
  if (target_) target_->commit();
}

}  // namespace iuq::infer
