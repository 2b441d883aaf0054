#include "lib/data/lookalikes.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/progress.h"
#include "lib/base/signals.h"
#include "lib/data/lookalikes_json.h"
#include "lib/io/atomic_file.h"
#include "lib/io/json_file.h"
#include "lib/io/provenance.h"

namespace iuq::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// A folder made aside that becomes `path` in one step, or vanishes.
class AtomicFolder {
 public:
  explicit AtomicFolder(std::string path) : path_(std::move(path)), aside_(cat(path_, ".tmp.", getpid())) {
    fs::remove_all(aside_);
    io::make_folders(aside_);
  }
  ~AtomicFolder() {
    std::error_code ignored;  // a destructor has nobody to tell
    fs::remove_all(aside_, ignored);
  }
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  const std::string& aside() const { return aside_; }

  void commit() {
    // One sync of the file system is far cheaper than one per image.
    const int fd = open(aside_.c_str(), O_RDONLY | O_CLOEXEC);
    const bool synced = fd >= 0 && syncfs(fd) == 0;
    if (fd >= 0) close(fd);
    if (!synced) throw Error(ErrorCode::kIo, cat("cannot sync \"", aside_, "\": ", std::strerror(errno)));
    const std::string old = cat(path_, ".old.", getpid());
    std::error_code error;
    if (io::exists(path_)) fs::rename(path_, old, error);
    if (!error) fs::rename(aside_, path_, error);
    if (error) throw Error(ErrorCode::kIo, cat("cannot rename \"", aside_, "\" to \"", path_, "\": ", error.message()));
    fs::remove_all(old, error);
    io::sync_path(io::folder_of(path_));
  }

 private:
  std::string path_, aside_;
};

/// Runs work(0..count-1) on `threads` threads; the first exception ends all and is rethrown.
template <class Work>
void for_each_index(int64_t count, int threads, const Work& work) {
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto run = [&] {
    try {
      for (int64_t i = next++; i < count; i = next++) work(i);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
      next = count;
    }
  };
  {
    std::vector<std::jthread> others;
    for (int t = 1; t < threads; ++t) others.emplace_back(run);
    run();
  }
  if (failure) std::rethrow_exception(failure);
}

void write_bytes(const std::string& path, const std::vector<uint8_t>& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) throw Error(ErrorCode::kIo, cat("cannot write \"", path, "\": ", std::strerror(errno)));
}

std::vector<SceneLabels> write_images(const SynthConfig& config, const std::string& split, int64_t count,
                                      const std::string& folder, int threads) {
  io::make_folders(io::join(folder, "images/" + split));
  std::vector<SceneLabels> labels(static_cast<size_t>(count));
  Progress progress(count, split + " image");
  std::mutex mutex;
  int64_t done = 0;
  for_each_index(count, threads, [&](int64_t index) {
    throw_if_stopped("nothing was kept");
    Scene scene = draw_scene(config, split, index);
    write_bytes(io::join(folder, "images/" + scene_file_name(split, index)), encode_png(scene.pixels));
    SceneLabels& kept = labels[static_cast<size_t>(index)];
    kept.instances = std::move(scene.instances);
    if (config.is_lvis()) make_federated(config, split, index, kept);
    const std::lock_guard lock(mutex);
    progress.update(++done);
  });
  return labels;
}

/// What is known of a folder that is in the way. null when it is not a data set made here.
json existing_provenance(const std::string& output) {
  const std::string file = io::join(output, "provenance.json");
  return io::exists(file) ? io::read_json(file) : json();
}

bool made_here(const json& provenance) {
  try {
    io::check_provenance(provenance, "");
    return provenance.at("entries").back().at("tool") == "iuq-synth";
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

int64_t lookalikes_bytes(const SynthConfig& config) {
  return (config.images + config.val_images) * (3 * config.height * config.width + 8192);
}

void write_lookalikes(const SynthConfig& config, const std::string& folder_path, int threads, bool force) {
  config.check();
  std::string output = folder_path;
  while (output.size() > 1 && output.back() == '/') output.pop_back();
  if (output == "-" || output.empty()) throw Error(ErrorCode::kUsage, "the output is a folder, not a stream");
  nlohmann::json seeded = config;
  seeded["seed"] = config.seed;
  const io::Provenance provenance("iuq-synth", seeded);
  const json existing = existing_provenance(output);
  if (io::is_up_to_date(output, existing, provenance, force)) return;
  if (io::exists(output) && !made_here(existing)) {
    throw Error(ErrorCode::kCannotCreate,
                cat("\"", output, "\" exists and was not made by iuq-synth, so --force does not replace it; remove it ",
                    "yourself or choose another --output"));
  }
  io::make_folders(io::folder_of(output));
  const int64_t needed = lookalikes_bytes(config), free = io::free_bytes(io::folder_of(output));
  if (needed > free) {
    throw Error(ErrorCode::kIo, cat("\"", output, "\" may take ", needed >> 20, " MiB, but only ", free >> 20,
                                              " MiB are free; make fewer or smaller images"));
  }
  AtomicFolder folder(output);
  const auto train = write_images(config, "train", config.images, folder.aside(), threads);
  const auto val = write_images(config, "val", config.val_images, folder.aside(), threads);
  io::make_folders(io::join(folder.aside(), "annotations"));
  for (const auto& [split, scenes] : {std::pair("train", &train), std::pair("val", &val)}) {
    const std::string file = cat("annotations/instances_", split, ".json");
    io::write_json(io::join(folder.aside(), file), lookalikes_json(config, split, *scenes, train), -1);
  }
  io::write_json(io::join(folder.aside(), "provenance.json"), provenance.to_json());
  folder.commit();
  size_t instances = 0;
  for (const SceneLabels& scene : train) instances += scene.instances.size();
  log::info(cat("wrote ", train.size(), " + ", val.size(), " images (train: ", instances, " instances of ",
                config.category_count(), " categories) to \"", output, "\""));
}

}  // namespace iuq::data
