#include "lib/weights/complete.h"

#include <cstring>
#include <map>

#include "lib/base/error.h"

namespace iuq::weights {

void complete_conv_norms(io::TensorFile& file, const std::string& path, std::vector<std::string>& filled) {
  std::vector<std::pair<std::string, io::TensorData>> added;
  std::map<std::string, const io::TensorData*> by_name;
  for (const auto& [name, tensor] : file.tensors) by_name[name] = &tensor;
  const auto find = [&](const std::string& name) {
    const auto it = by_name.find(name);
    return it == by_name.end() ? nullptr : it->second;
  };
  for (const auto& [name, conv] : by_name) {
    if (!name.starts_with("backbone.") || !name.ends_with(".weight") || conv->shape.size() != 4) continue;
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
        filled.push_back(cat(norm, field, " = ", value));
        continue;
      }
      if (!part) throw Error(ErrorCode::kBadData, cat("\"", path, "\" lacks \"", norm, field, "\""));
      if (part->shape != std::vector<int64_t>{conv->shape[0]}) {
        throw Error(ErrorCode::kBadData, cat("\"", path, "\": \"", norm, field, "\" ", io::describe(*part),
                                             " does not fit \"", name, "\" ", io::describe(*conv)));
      }
    }
  }
  for (auto& item : added) file.tensors.push_back(std::move(item));
}

void complete_output_norms(io::TensorFile& file, const std::string& path, std::vector<std::string>& filled) {
  for (const std::string prefix : {"backbone.bottom_up.", "backbone."}) {
    for (int stage = 0; stage < 4; ++stage) {
      const io::TensorData* like = file.find(cat(prefix, "layers.", stage, ".blocks.0.norm1.weight"));
      if (!like) continue;
      const std::string norm = cat(prefix, "norm", stage, ".");
      const bool has_weight = file.find(norm + "weight"), has_bias = file.find(norm + "bias");
      if (has_weight != has_bias) {
        throw Error(ErrorCode::kBadData, cat("\"", path, "\" lacks \"", norm, has_weight ? "bias" : "weight", "\""));
      }
      if (has_weight) continue;
      const std::vector<int64_t> shape = like->shape;
      const auto channels = static_cast<size_t>(like->count());
      for (const float value : {1.0f, 0.0f}) {
        const std::string name = norm + (value == 1 ? "weight" : "bias");
        const std::vector<float> values(channels, value);
        file.tensors.emplace_back(name, io::make_tensor(io::DType::kF32, shape, values.data()));
        filled.push_back(cat(name, " = ", value));
      }
    }
  }
}

}  // namespace iuq::weights
