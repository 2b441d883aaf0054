#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "lib/train/run_inputs.h"

namespace iuq::io {
class FolderLock;
class Provenance;
}

namespace iuq::train {

/// The folder of one training run:
///   model.safetensors   the result, there once the run is complete
///   metrics.jsonl       a line of what is learnt from, then one every train.log_every steps
///   inputs.json         which images and annotations, to tell what has changed when a run is resumed; see RunInputs
///   checkpoints/step-00001000/{model.safetensors,state.safetensors,state.json,DONE}   the newest few; see State
class RunFolder {
 public:
  explicit RunFolder(std::string path);

  /// Looks at what is there. True: complete and of this digest. Error(kCannotCreate) if it is a run of another digest,
  /// or an unfinished one and neither `resume` nor `force` was given, or another process works there. With `force` old
  /// content is removed. An unfinished run whose annotations or images have changed since it began is refused with what has
  /// changed, or resumed with a warning when `accept_changes`.
  bool prepare(const io::Provenance& provenance, const RunInputs& inputs, bool resume, bool force, bool accept_changes);
  /// What was accepted since the run began, oldest first: [{"digest": of the run before, "changes": text}].
  const nlohmann::json& accepted() const { return accepted_; }
  /// Makes the folder, the first time it is called. To be called when the first batch is there, so that a run that cannot
  /// start leaves nothing. True that first time.
  bool begin();
  /// The newest complete checkpoint: its folder.
  std::optional<std::string> latest_checkpoint() const;
  /// Makes the checkpoint after `step` steps: aside, then renamed, then all but the newest `keep` are dropped. `write` fills
  /// the folder that it is given; when it throws, there is no checkpoint and all others stay.
  void save_checkpoint(int64_t step, int64_t keep, const std::function<void(const std::string& folder)>& write);
  /// Cuts metrics.jsonl after the lines of steps <= step.
  void rewind_metrics(int64_t step);
  void append_metrics(const nlohmann::json& line);
  /// The line {"step", "data"}, unless the last such line has the same data.
  void append_data(int64_t step, const nlohmann::json& data);

  std::string model_path() const;
  std::string metrics_path() const;

 private:
  void check_unfinished(const io::Provenance& provenance, bool resume, bool accept_changes);
  void lock();  // nobody else may work here; Error(kCannotCreate)

  std::string path_;
  std::shared_ptr<io::FolderLock> lock_;
  bool begun_ = false;
  RunInputs inputs_;
  bool inputs_written_ = false;
  nlohmann::json accepted_ = nlohmann::json::array();
};

}  // namespace iuq::train
