#include "lib/weights/convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/io/atomic_file.h"
#include "lib/io/safetensors.h"
#include "lib/io/torch_file.h"
#include "lib/weights/change.h"
#include "lib/weights/complete.h"
#include "lib/weights/read_weights.h"
#include "lib/weights/unwrap.h"

namespace iuq::weights {
namespace {

using nlohmann::json;

json preprocessing_json(Preprocessing which) {
  if (which == Preprocessing::kRgb) {
    return {{"order", "RGB"}, {"mean", {123.675, 116.28, 103.53}}, {"std", {58.395, 57.12, 57.375}}};
  }
  return {{"order", "BGR"}, {"mean", {103.53, 116.28, 123.675}}, {"std", {1.0, 1.0, 1.0}}};
}

// Entries of a torch.save file that hold other copies of the parameters, out of the lines of what was left out.
std::vector<std::string> copies_in(const std::vector<std::string>& skipped) {
  std::vector<std::string> copies;
  for (const std::string& line : skipped) {
    if (line.ends_with(io::kOtherCopy)) copies.push_back(line.substr(0, line.find(": ")));
  }
  return copies;
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

bool is_scalar(const Naming& naming, const std::string& name) {
  return std::any_of(naming.scalars.begin(), naming.scalars.end(), [&](const std::string& pattern) {
    Captures captures;
    return match(pattern, name, captures);
  });
}

template <class Make>
io::TensorData changed(const std::string& where, const std::string& name, const Make& make) {
  try {
    return make();
  } catch (const Error& error) {
    throw error.with(cat("in ", where, ", \"", name, "\""));
  }
}

// Gives the source's tensors our names, and the form that we have them in.
void rename_to_ours(const io::TensorFile& source, Conversion& conversion, const std::string& where) {
  std::map<std::string, std::map<int, io::TensorData>> thirds;
  for (size_t i = 0; i < source.tensors.size(); ++i) {
    const Renamed& line = conversion.map.lines[i];
    if (line.target.empty()) continue;
    const auto& [name, tensor] = source.tensors[i];
    if (line.rule->change == Change::kThird) {
      thirds[line.target][line.rule->part] = tensor;
      continue;
    }
    io::TensorData taken = tensor;
    if (line.rule->change == Change::kMergingOrder) {
      taken = changed(where, name, [&] { return reorder_merging(tensor, /*to_ours=*/true); });
    }
    if (taken.shape.empty() && is_scalar(*conversion.naming, name)) taken.shape = {1};
    conversion.file.tensors.emplace_back(line.target, std::move(taken));
  }
  for (const auto& [target, parts] : thirds) {
    if (parts.size() != 3) {
      throw Error(ErrorCode::kBadData, cat(where, ": has ", parts.size(), " of the three parts of \"", target, "\""));
    }
    conversion.file.tensors.emplace_back(
        target, changed(where, target, [&parts = parts] { return join_thirds({parts.at(0), parts.at(1), parts.at(2)}); }));
  }
}

// Lines source -> ours and ours -> theirs as lines source -> theirs.
std::vector<Renamed> compose(const std::vector<Renamed>& there, const std::vector<Renamed>& back) {
  std::map<std::string, std::vector<const Renamed*>> by_ours;
  for (const Renamed& line : back) by_ours[line.source].push_back(&line);
  std::vector<Renamed> lines;
  for (const Renamed& line : there) {
    if (line.target.empty()) {
      lines.push_back(line);
      continue;
    }
    for (const Renamed* onward : by_ours[line.target]) {
      const bool both = line.rule->change == Change::kThird && onward->rule && onward->rule->change == Change::kThird;
      if (!both || line.rule->part == onward->rule->part) lines.push_back({line.source, onward->target, onward->rule});
    }
  }
  return lines;
}

void rename_back(Conversion& conversion, const std::string& family, const std::string& where) {
  std::vector<std::string> names;
  std::map<std::string, io::TensorData> ours;
  for (const auto& [name, tensor] : conversion.file.tensors) {
    names.push_back(name);
    ours[name] = tensor;
  }
  const NameMap back = map_names_back(names, family, where);
  conversion.file.tensors.clear();
  for (const Renamed& line : back.lines) {
    if (line.target.empty()) continue;
    io::TensorData tensor = ours.at(line.source);
    tensor = changed(where, line.source, [&] {
      if (line.rule->change == Change::kThird) return third_of(tensor, line.rule->part);
      return line.rule->change == Change::kMergingOrder ? reorder_merging(tensor, /*to_ours=*/false) : tensor;
    });
    if (tensor.shape == std::vector<int64_t>{1} && is_scalar(*back.naming, line.target)) tensor.shape.clear();
    conversion.file.tensors.emplace_back(line.target, std::move(tensor));
  }
  conversion.map.lines = compose(conversion.map.lines, back.lines);
}

// With "ema_state_dict.module" the entry "ema_state_dict" of a torch.save file is read, and `prefix` becomes "module". Without such an
// entry the prefix is one of names.
io::TensorFile read_chosen(const std::string& path, std::string& prefix, std::vector<std::string>& skipped) {
  io::TensorFile whole = read_weights(path, &skipped);
  const std::string entry = prefix.substr(0, prefix.find('.'));
  const std::vector<std::string> copies = copies_in(skipped);
  if (std::find(copies.begin(), copies.end(), entry) == copies.end()) return whole;
  prefix.erase(0, std::min(entry.size() + 1, prefix.size()));
  skipped.clear();
  return read_weights(path, &skipped, entry);
}

// Lines of the map get the names that the file has, and those that were left out a line each.
void restore_sources(Conversion& conversion, const Unwrapped& unwrapped) {
  std::map<std::string, std::string> source_of;
  for (size_t i = 0; i < unwrapped.sources.size(); ++i) source_of[unwrapped.file.tensors[i].first] = unwrapped.sources[i];
  for (Renamed& line : conversion.map.lines) line.source = source_of.at(line.source);
  for (const std::string& name : unwrapped.left_out) conversion.map.lines.push_back({name, ""});
}

}  // namespace

Conversion convert(const std::string& path, const ConvertOptions& options) {
  Conversion result;
  const std::string where = cat("\"", path, "\"");
  std::string prefix = options.prefix;
  const io::TensorFile whole = read_chosen(path, prefix, result.skipped);
  Unwrapped unwrapped = unwrap(whole, options.from, prefix, where);
  const io::TensorFile& source = unwrapped.file;
  result.copies = copies_in(result.skipped);
  result.copies.insert(result.copies.end(), unwrapped.copies.begin(), unwrapped.copies.end());
  std::vector<std::string> names;
  for (const auto& [name, tensor] : source.tensors) names.push_back(name);
  try {
    result.map = map_names(names, options.from, where);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kBadData || result.copies.empty()) throw;
    throw e.with(cat("parts of it are known: choose with --prefix ", listed(result.copies)));
  }
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
  rename_to_ours(source, result, where);
  complete_conv_norms(result.file, path, result.filled);
  complete_output_norms(result.file, path, result.filled);
  if (options.to != "iuq" && options.to != "detectron2") {
    rename_back(result, options.to, where);
    result.file.metadata.erase("iuq.format");  // no longer under our names
  }
  std::sort(result.file.tensors.begin(), result.file.tensors.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  restore_sources(result, unwrapped);
  return result;
}

io::Provenance convert_provenance(const std::string& path, const ConvertOptions& options) {
  json config = {{"from", options.from}, {"to", options.to}, {"preprocessing", options.preprocessing}};
  if (!options.prefix.empty()) config["prefix"] = options.prefix;
  io::Provenance provenance("iuq-convert", config);
  const json earlier = written_provenance(path);
  if (earlier.is_null()) {
    provenance.add_digest("weights", weights_digest(path));
  } else {
    provenance.add_artifact("weights", earlier, io::content_digest(io::read_safetensors(path)));
  }
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

namespace {

std::string change_text(const Rule& rule) {
  if (rule.change == Change::kThird) return cat("  (part ", rule.part + 1, " of 3)");
  return rule.change == Change::kMergingOrder ? "  (reordered)" : "";
}

}  // namespace

std::string to_text(const Conversion& conversion) {
  std::string text = cat("# named as by ", conversion.naming->describe, "\n");
  std::map<std::string, const io::TensorData*> tensors;
  for (const auto& [name, tensor] : conversion.file.tensors) tensors[name] = &tensor;
  for (const Renamed& line : conversion.map.lines) {
    const auto it = tensors.find(line.target);
    text += cat(line.source, " -> ", it == tensors.end() ? "(dropped)" : line.target + "  " + io::describe(*it->second),
                it == tensors.end() ? "" : change_text(*line.rule), "\n");
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
