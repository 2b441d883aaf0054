#include "lib/train/run_folder.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/io/atomic_file.h"
#include "lib/io/folder_lock.h"
#include "lib/io/json_file.h"
#include "lib/io/provenance.h"
#include "lib/model/checkpoint.h"
#include "lib/train/state.h"

namespace iuq::train {
namespace fs = std::filesystem;
namespace {

std::vector<std::string> checkpoints_in(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    const bool named = name.rfind("step-", 0) == 0 && entry.path().extension() != ".tmp";  // that is one not yet renamed
    const bool done = named && fs::exists(entry.path() / "DONE");
    if (done) found.push_back(entry.path().string());
  }
  std::sort(found.begin(), found.end());  // the step number has a fixed width
  return found;
}

std::string inputs_path(const std::string& folder) { return folder + "/inputs.json"; }

// The digest of the run that left something unfinished here, or "".
std::string unfinished_digest(const std::string& folder) {
  const auto checkpoints = checkpoints_in(folder + "/checkpoints");
  if (checkpoints.empty()) return "";
  try {
    const nlohmann::json state = io::read_json(checkpoints.back() + "/state.json");
    const bool ok = state.is_object() && state.contains("digest") && state["digest"].is_string();
    if (!ok) throw Error(ErrorCode::kBadData, "\"state.json\" has no text \"digest\"");
    return state["digest"];
  } catch (const Error& e) {
    throw damaged_checkpoint(e, checkpoints.back());
  }
}

// Of the run that left the checkpoint; null when its model cannot be read, which is said when it is loaded.
nlohmann::json provenance_in(const std::string& checkpoint) {
  try {
    return model::weights_provenance(checkpoint + "/model.safetensors");
  } catch (const Error&) {
    return nullptr;
  }
}

}  // namespace

RunFolder::RunFolder(std::string path) : path_(std::move(path)) {}

std::string RunFolder::model_path() const { return path_ + "/model.safetensors"; }
std::string RunFolder::metrics_path() const { return path_ + "/metrics.jsonl"; }

void RunFolder::lock() {
  if (!lock_) lock_ = std::make_shared<io::FolderLock>(path_);
}

bool RunFolder::prepare(const io::Provenance& provenance, const RunInputs& inputs, bool resume, bool force,
                        bool accept_changes) {
  inputs_ = inputs;
  if (io::exists(path_)) lock();
  if (force) {
    std::error_code error;
    for (const std::string& old : {model_path(), metrics_path(), path_ + "/checkpoints", inputs_path(path_)}) {
      fs::remove_all(old, error);
    }
  }
  if (io::exists(model_path()) &&
      io::is_up_to_date(model_path(), model::weights_provenance(model_path()), provenance, force)) {
    return true;
  }
  check_unfinished(provenance, resume, accept_changes);
  return false;
}

void RunFolder::check_unfinished(const io::Provenance& provenance, bool resume, bool accept_changes) {
  const std::string unfinished = unfinished_digest(path_);
  if (unfinished.empty()) return;
  const nlohmann::json before = provenance_in(*latest_checkpoint());
  const std::optional<RunInputs> begun_with = RunInputs::read(inputs_path(path_));
  std::string why;
  bool same_run = unfinished == provenance.digest() ||
                  (before.is_object() && differ_in_data_alone(before, provenance.to_json(), why));
  if (begun_with && begun_with->categories != inputs_.categories) {
    same_run = false;
    why = "the categories are other ones";
  }
  if (!same_run) {
    throw Error(ErrorCode::kCannotCreate,
                cat("\"", path_, "\" holds an unfinished run of another config or other inputs",
                    why.empty() ? "" : cat(" (", why, ")"), "; choose another --output, or pass --force to drop it"));
  }
  std::vector<std::string> changes;
  if (begun_with) changes = begun_with->changes_to(inputs_);
  if (changes.empty() && unfinished != provenance.digest()) changes = {"the annotations are another file"};
  if (!resume) {
    throw Error(ErrorCode::kCannotCreate,
                cat("\"", path_, "\" holds an unfinished run; pass --resume to go on, or --force to start again"));
  }
  if (before.is_object()) accepted_ = before.at("entries").back().value("accepted_changes", nlohmann::json::array());
  if (changes.empty()) return;
  if (!accept_changes) {
    throw Error(ErrorCode::kCannotCreate,
                cat("\"", path_, "\" holds an unfinished run, since whose start ", listed(changes),
                    "; pass --accept-changes to go on with what is there now, or --force to start again"));
  }
  log::warning(cat("going on although since the start of the run ", listed(changes)));
  accepted_.push_back({{"digest", unfinished}, {"changes", listed(changes)}});
}

bool RunFolder::begin() {
  if (std::exchange(begun_, true)) return false;
  io::make_folders(path_ + "/checkpoints");
  lock();
  if (!latest_checkpoint()) {
    std::error_code error;
    fs::remove(metrics_path(), error);  // of a run that died before its first checkpoint
  }
  return true;
}

std::optional<std::string> RunFolder::latest_checkpoint() const {
  const auto found = checkpoints_in(path_ + "/checkpoints");
  return found.empty() ? std::nullopt : std::optional(found.back());
}

void RunFolder::save_checkpoint(int64_t step, int64_t keep, const std::function<void(const std::string& folder)>& write) {
  char name[32];
  std::snprintf(name, sizeof name, "step-%08lld", static_cast<long long>(step));
  const std::string final_path = path_ + "/checkpoints/" + name;
  const std::string temp_path = final_path + ".tmp";
  std::error_code error;
  fs::remove_all(temp_path, error);
  io::make_folders(temp_path);
  try {
    write(temp_path);
  } catch (...) {
    fs::remove_all(temp_path, error);
    throw;
  }
  // The run goes on from here with these, whatever it was begun with.
  if (!std::exchange(inputs_written_, true)) inputs_.write(inputs_path(path_));
  io::write_text(temp_path + "/DONE", "");
  fs::remove_all(final_path, error);
  fs::rename(temp_path, final_path, error);
  if (error) throw Error(ErrorCode::kIo, cat("cannot rename \"", temp_path, "\": ", error.message()));
  io::sync_path(path_ + "/checkpoints");
  auto all = checkpoints_in(path_ + "/checkpoints");
  for (size_t i = 0; i + static_cast<size_t>(keep) < all.size(); ++i) fs::remove_all(all[i], error);
}

void RunFolder::rewind_metrics(int64_t step) {
  std::ifstream in(metrics_path());
  std::string kept, line;
  while (std::getline(in, line)) {
    const nlohmann::json value = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    const bool whole = value.is_object() && value.contains("step") && value["step"].is_number_integer();
    if (whole && value["step"].get<int64_t>() <= step) kept += line + "\n";
  }
  in.close();
  io::write_text(metrics_path(), kept);
}

void RunFolder::append_data(int64_t step, const nlohmann::json& data) {
  std::ifstream in(metrics_path());
  nlohmann::json last;
  for (std::string line; std::getline(in, line);) {
    const nlohmann::json value = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (value.is_object() && value.contains("data")) last = value["data"];
  }
  if (last != data) append_metrics({{"step", step}, {"data", data}});
}

void RunFolder::append_metrics(const nlohmann::json& line) {
  std::ofstream out(metrics_path(), std::ios::app);
  out << line.dump() << "\n" << std::flush;
  if (!out) throw Error(ErrorCode::kIo, cat("cannot write \"", metrics_path(), "\"; is the disk full?"));
}

}  // namespace iuq::train
