#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace iuq::io {
class FolderLock;
class Provenance;
}

namespace iuq::train {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// What a checkpoint holds besides the model: enough to go on as if nothing had happened.
struct TrainState {
  int64_t step = 0;         // steps done
  NamedTensors optimizer;
  NamedTensors memory;      // empty without one
  std::string window;       // JSON: sums of the metrics since the last line
};

/// The folder of one training run:
///   model.safetensors   the result, there once the run is complete
///   metrics.jsonl       a line every train.log_every steps
///   checkpoints/step-00001000/{model.safetensors,state.safetensors,state.json,DONE}   the newest few
class RunFolder {
 public:
  explicit RunFolder(std::string path);

  /// Looks at what is there. True: complete and of this digest. Error(kCannotCreate) if it is a run of another digest,
  /// or an unfinished one and neither `resume` nor `force` was given, or another process works there. With `force` old
  /// content is removed.
  bool prepare(const io::Provenance& provenance, bool resume, bool force);
  /// Makes the folder. Called when the first batch is there, so that a run that cannot start leaves nothing.
  void begin();
  /// The newest complete checkpoint: its folder.
  std::optional<std::string> latest_checkpoint() const;
  TrainState load_state(const std::string& checkpoint) const;  // Error(kBadData)

  /// Writes aside, renames, then drops the oldest. `write_model` writes the model file at the path it is given.
  void save_checkpoint(const TrainState& state, const nlohmann::json& provenance, int64_t keep,
                       const std::function<void(const std::string&)>& write_model);
  /// Cuts metrics.jsonl after the lines of steps <= step.
  void rewind_metrics(int64_t step);
  void append_metrics(const nlohmann::json& line);

  std::string model_path() const;
  std::string metrics_path() const;

 private:
  void lock();  // nobody else may work here; Error(kCannotCreate)

  std::string path_;
  std::shared_ptr<io::FolderLock> lock_;
};

}  // namespace iuq::train
