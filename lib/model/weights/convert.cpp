#include "lib/model/weights/convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/io/atomic_file.h"
#include "lib/io/mapped_file.h"
#include "lib/io/safetensors.h"
#include "lib/io/torch_file.h"

namespace iuq::weights {
namespace {

using nlohmann::json;

json preprocessing_json(Preprocessing which) {
  if (which == Preprocessing::kRgb) {
    return {{"order", "RGB"}, {"mean", {123.675, 116.28, 103.53}}, {"std", {58.395, 57.12, 57.375}}};
  }
  return {{"order", "BGR"}, {"mean", {103.53, 116.28, 123.675}}, {"std", {1.0, 1.0, 1.0}}};
}

bool is_near(const io::TensorData* tensor, const json& values) {
  if (!tensor || tensor->dtype != io::DType::kF32 || tensor->count() != 3) return false;
  for (size_t i = 0; i < 3; ++i) {
    if (!(std::abs(tensor->as<float>()[i] - values[i].get<float>()) < 0.01f)) return false;
  }
  return true;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Which images the weights were trained on. Guessing wrong costs accuracy and never fails, so doubt is an error.
Preprocessing find_preprocessing(const io::TensorFile& source, const Naming& naming, const std::string& path,
                                 const ConvertOptions& options) {
  if (options.preprocessing == "rgb") return Preprocessing::kRgb;
  if (options.preprocessing == "caffe-bgr") return Preprocessing::kCaffeBgr;
  if (options.preprocessing != "auto") {
    throw Error(ErrorCode::kUsage, cat("no preprocessing \"", options.preprocessing, "\"; use auto, rgb or caffe-bgr"));
  }
  if (source.find("pixel_mean")) {
    for (const auto which : {Preprocessing::kRgb, Preprocessing::kCaffeBgr}) {
      const json wanted = preprocessing_json(which);
      if (is_near(source.find("pixel_mean"), wanted["mean"]) && is_near(source.find("pixel_std"), wanted["std"])) return which;
    }
  } else if (naming.preprocessing != Preprocessing::kUnknown) {
    return naming.preprocessing;
  } else {
    const auto author = source.metadata.find("__author__");
    if (author != source.metadata.end() && author->second == "torchvision") return Preprocessing::kRgb;
    if (author != source.metadata.end() || ends_with(path, ".pkl")) return Preprocessing::kCaffeBgr;
  }
  if (options.allow_unknown) return Preprocessing::kUnknown;
  throw Error(ErrorCode::kUsage,
              cat("\"", path, "\" does not say which images its weights want; pass --preprocessing rgb (torchvision) or ",
                  "caffe-bgr (MSRA: AdelaiDet's and detectron2's ResNet-50 and 101)"));
}

// Completes and checks the norm after each convolution of the backbone.
void finish_norms(Conversion& conversion, const std::string& path) {
  std::vector<std::pair<std::string, io::TensorData>> added;
  std::map<std::string, const io::TensorData*> by_name;
  for (const auto& [name, tensor] : conversion.file.tensors) by_name[name] = &tensor;
  const auto find = [&](const std::string& name) {
    const auto it = by_name.find(name);
    return it == by_name.end() ? nullptr : it->second;
  };
  for (const auto& [name, conv] : by_name) {
    if (!ends_with(name, ".weight") || conv->shape.size() != 4) continue;
    const std::string norm = name.substr(0, name.size() - 6) + "norm.";
    const bool has_norm = find(norm + "weight") || find(norm + "bias");
    if (!has_norm) continue;
    const bool folded = !find(norm + "running_mean") && !find(norm + "running_var");
    for (const char* field : {"weight", "bias", "running_mean", "running_var"}) {
      const bool is_statistic = std::strncmp(field, "running", 7) == 0;
      const io::TensorData* part = find(norm + field);
      if (!part && folded && is_statistic) {
        const float value = std::strcmp(field, "running_var") == 0 ? 1 - 1e-5f : 0;
        const std::vector<float> values(static_cast<size_t>(conv->shape[0]), value);
        added.emplace_back(norm + field, io::make_tensor(io::DType::kF32, {conv->shape[0]}, values.data()));
        conversion.filled.push_back(cat(norm, field, " = ", value));
        continue;
      }
      if (!part) throw Error(ErrorCode::kBadData, cat("\"", path, "\" lacks \"", norm, field, "\""));
      if (part->shape != std::vector<int64_t>{conv->shape[0]}) {
        throw Error(ErrorCode::kBadData, cat("\"", path, "\": \"", norm, field, "\" ", io::describe(*part),
                                             " does not fit \"", name, "\" ", io::describe(*conv)));
      }
    }
  }
  for (auto& item : added) conversion.file.tensors.push_back(std::move(item));
}

bool is_scalar(const Naming& naming, const std::string& name) {
  return std::any_of(naming.scalars.begin(), naming.scalars.end(), [&](const std::string& pattern) {
    Captures captures;
    return match(pattern, name, captures);
  });
}

void rename_back(Conversion& conversion, const std::string& family, const std::string& where) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : conversion.file.tensors) names.push_back(name);
  const NameMap back = map_names_back(names, family, where);
  std::map<std::string, std::string> final_names;
  for (const Renamed& line : back.lines) final_names[line.source] = line.target;
  std::vector<std::pair<std::string, io::TensorData>> kept;
  for (auto& [name, tensor] : conversion.file.tensors) {
    const std::string& theirs = final_names[name];
    if (theirs.empty()) continue;
    if (tensor.shape == std::vector<int64_t>{1} && is_scalar(*back.naming, theirs)) tensor.shape.clear();
    kept.emplace_back(theirs, std::move(tensor));
  }
  conversion.file.tensors = std::move(kept);
  for (Renamed& line : conversion.map.lines) {
    if (!line.target.empty()) line.target = final_names[line.target];
  }
}

}  // namespace

io::TensorFile read_weights(const std::string& path, std::vector<std::string>* skipped) {
  bool is_safetensors = ends_with(path, ".safetensors");
  {
    const auto file = io::MappedFile::open(path);
    uint64_t length = 0;
    if (file->size() > sizeof length) {
      std::memcpy(&length, file->data(), sizeof length);
      is_safetensors = is_safetensors || (length < file->size() && file->data()[sizeof length] == std::byte{'{'});
    }
  }
  return is_safetensors ? io::read_safetensors(path) : io::read_torch_file(path, skipped);
}

Conversion convert(const std::string& path, const ConvertOptions& options) {
  Conversion result;
  const std::string where = cat("\"", path, "\"");
  const io::TensorFile source = read_weights(path, &result.skipped);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : source.tensors) names.push_back(name);
  result.map = map_names(names, options.from, where);
  result.naming = result.map.naming;

  const auto stated = source.metadata.find("preprocessing");
  if (stated != source.metadata.end() && options.preprocessing == "auto") {
    result.file.metadata = source.metadata;  // one of ours: model, categories and the rest stay with it
  } else {
    const Preprocessing which = find_preprocessing(source, *result.naming, path, options);
    if (which != Preprocessing::kUnknown) {
      result.file.metadata["preprocessing"] = preprocessing_json(which).dump();
      result.file.metadata["stride_in_1x1"] = which == Preprocessing::kCaffeBgr ? "true" : "false";
    }
  }
  result.file.metadata["format"] = "pt";
  result.file.metadata["provenance"] = convert_provenance(path, options).to_json().dump();
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string& target = result.map.lines[i].target;
    if (target.empty()) continue;
    result.file.tensors.emplace_back(target, source.tensors[i].second);
    io::TensorData& tensor = result.file.tensors.back().second;
    if (tensor.shape.empty() && is_scalar(*result.naming, names[i])) tensor.shape = {1};
  }
  finish_norms(result, path);
  if (options.to != "iuq" && options.to != "detectron2") {
    rename_back(result, options.to, where);
    result.file.metadata.erase("iuq.format");  // no longer under our names
  }
  std::sort(result.file.tensors.begin(), result.file.tensors.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return result;
}

io::Provenance convert_provenance(const std::string& path, const ConvertOptions& options) {
  io::Provenance provenance("iuq-convert", {{"from", options.from}, {"to", options.to}, {"preprocessing", options.preprocessing}});
  const json earlier = written_provenance(path);
  if (earlier.is_null()) provenance.add_file("weights", path);
  else provenance.add_artifact("weights", earlier);
  return provenance;
}

json written_provenance(const std::string& path) {
  if (!io::exists(path) || !ends_with(path, ".safetensors")) return nullptr;
  const io::TensorFile file = io::read_safetensors(path);
  const auto text = file.metadata.find("provenance");
  if (text == file.metadata.end()) return nullptr;
  const json value = json::parse(text->second, nullptr, /*allow_exceptions=*/false);
  return value.is_object() ? value : json();
}

std::string to_text(const Conversion& conversion) {
  std::string text = cat("# named as by ", conversion.naming->describe, "\n");
  std::map<std::string, const io::TensorData*> tensors;
  for (const auto& [name, tensor] : conversion.file.tensors) tensors[name] = &tensor;
  for (const Renamed& line : conversion.map.lines) {
    const auto it = tensors.find(line.target);
    text += cat(line.source, " -> ", it == tensors.end() ? "(dropped)" : line.target + "  " + io::describe(*it->second), "\n");
  }
  for (const std::string& name : conversion.filled) text += cat("(absent) -> ", name, "\n");
  for (const std::string& line : conversion.skipped) text += cat("# left out: ", line, "\n");
  for (const char* key : {"preprocessing", "stride_in_1x1"}) {
    const auto it = conversion.file.metadata.find(key);
    text += cat("# ", key, ": ", it == conversion.file.metadata.end() ? "unknown" : it->second, "\n");
  }
  return text;
}

}  // namespace iuq::weights
