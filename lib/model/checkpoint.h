#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/data/annotations.h"
#include "lib/view/input.h"

namespace iuq::model {

class Segmenter;

/// A trained model as it lies in model.safetensors: parameters under the reference's names, and in the metadata what is
/// needed to use them: keys "format", "model" (config), "input" (config with preprocessing), "categories", "provenance".
struct Checkpoint {
  std::shared_ptr<Segmenter> segmenter;  // in eval mode, on the CPU
  nlohmann::json model;                  // section "model"
  view::InputConfig input;
  std::vector<data::Category> categories;
  nlohmann::json provenance;
  std::string content;                   // digest of the tensors: checkpoints of one run share its provenance
};

/// Errors: kNoInput; kBadData naming file, parameter and both shapes.
Checkpoint load_checkpoint(const std::string& path);
/// Whether the file says that it is one; weights of iuq-convert are not.
bool is_checkpoint(const std::string& path);
/// The same out of converted weights that hold every parameter of the segmenter that section "model" describes: a model
/// trained elsewhere. Its preprocessing is that of the weights, its image sizes those of `input`.
/// Errors: those of load_weights and check_strides; kBadData for a parameter that is missing.
Checkpoint assemble_checkpoint(const std::string& path, const nlohmann::json& model, const view::InputConfig& input,
                               const std::vector<data::Category>& categories);
void save_checkpoint(const std::string& path, const Segmenter& segmenter, const nlohmann::json& model,
                     const view::InputConfig& input, const std::vector<data::Category>& categories,
                     const nlohmann::json& provenance);

/// How weights are taken that were made for something else.
struct LoadOptions {
  std::vector<std::string> skip;  // tensors whose name starts with one of these stay as they are
  /// Section "model" when the class layers may be of another number of classes: then these, and only these, stay as they are,
  /// with a warning that names them. Null: every tensor must fit.
  const nlohmann::json* new_classes = nullptr;
};

/// Fills `segmenter` from converted weights that may hold only a part (a backbone), or from a checkpoint. A backbone finds its
/// place under any prefix, and tables of relative positions for another window are resized. Takes the preprocessing the weights were
/// made for into `input`. Returns the names that were not filled. Nothing changes when it throws.
/// Error(kBadData) for a tensor of the wrong shape or one that the segmenter does not have, for a backbone that is not whole,
/// and for weights that do not state their preprocessing. Error(kConfig) for a prefix to skip that fits nothing, with near
/// names.
std::vector<std::string> load_weights(Segmenter& segmenter, const std::string& path, const LoadOptions& options,
                                      view::InputConfig& input);
/// Error(kBadData) if the weights were made for strides in another place of the bottlenecks than section "model" says: that
/// fits in shape, and costs AP without a word (models of the MSRA/Caffe kind).
void check_strides(const std::string& path, const nlohmann::json& model);
/// The provenance a weights file carries, or null.
nlohmann::json weights_provenance(const std::string& path);

}  // namespace iuq::model
