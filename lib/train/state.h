#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/error.h"

namespace iuq::train {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// What one part of a run's state puts into a checkpoint.
struct SavedPart {
  NamedTensors tensors;  // "<part>/<name>" of state.safetensors
  nlohmann::json value;  // "<part>" of state.json; null: none
  bool empty() const { return tensors.empty() && value.is_null(); }
};

/// One thing that a resumed run must find as it was: the optimiser, the memory, the metrics since the last line.
struct StatePart {
  std::string name;  // no '/', not "digest"
  std::function<SavedPart()> save;
  std::function<void(const SavedPart&)> load;  // the inverse of save. Error(kBadData)
  bool may_be_empty = false;  // whether it may have nothing to save; then it is not loaded either
};

/// A part with a file of its own, "<name>.safetensors", because other tools read that: the model.
struct StateFile {
  std::string name;
  std::function<NamedTensors()> tensors;  // what is in it, for the check that all values are finite
  std::function<void(const std::string& path)> write;
  std::function<void(const std::string& path)> read;  // the inverse of write. Error(kBadData)
};

/// All that a checkpoint keeps, as a list of parts that save and load themselves. Whatever else a run comes to remember
/// (averaged weights, the scale of gradients in mixed precision) is one more part.
///
/// In the folder of a checkpoint: a file for each StateFile; state.safetensors with the tensors of all other parts;
/// state.json with their values and the digest of the run.
class State {
 public:
  void add(StatePart part);
  void add(StateFile file);

  /// Writes all parts. Error(kBadData) naming the tensor when a value is not finite: then nothing is written. Errors of
  /// writing: kIo, kCannotCreate.
  void save(const std::string& folder, const std::string& digest) const;
  /// Loads all parts, files first, each in the order in which it was added. Error(kBadData), with `folder` and what to do,
  /// when the checkpoint lacks a part, holds one of another name, lacks a file, or has values that are not finite.
  void load(const std::string& folder);
  /// Error(kBadData) naming the first tensor with a value that is not finite. Waits for the device once.
  void check_finite() const;

 private:
  void load_parts(const std::string& folder);
  NamedTensors all_tensors() const;

  std::vector<StatePart> parts_;
  std::vector<StateFile> files_;
};

/// `why` as Error(kBadData) that says which checkpoint, a folder, it is about and what to do.
Error damaged_checkpoint(const Error& why, const std::string& folder);

/// The name of the first tensor that has a value which is not finite, or "". Tensors of integers always are. Each tensor is
/// read once; the device is waited for once unless there is such a value.
std::string first_not_finite(const NamedTensors& tensors);

}  // namespace iuq::train
