#pragma once

#include <string>
#include <vector>

#include "lib/io/tensor_file.h"

namespace iuq::weights {

/// Reads weights of any kind by their content: safetensors, torch.save (zip or legacy), pickle of numpy arrays. `path` may also be
/// the index of weights in several files ("model.safetensors.index.json", "pytorch_model.bin.index.json"), or the folder that
/// has one, or the folder of such files alone. `skipped`: what was left out, "name: why". `entry`: see io::read_torch_file.
/// Errors: kNoInput; kBadData, also for one file of several, a tensor in two of them, one that the index names but no file has.
io::TensorFile read_weights(const std::string& path, std::vector<std::string>* skipped, const std::string& entry = "");

/// Digest of what decides read_weights(): of the file, or of all files and their index.
std::string weights_digest(const std::string& path);

}  // namespace iuq::weights
