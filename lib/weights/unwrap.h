#pragma once

#include <string>
#include <vector>

#include "lib/io/tensor_file.h"

// What stands in front of parameter names because something was wrapped around the model when it was saved.
namespace iuq::weights {

/// A file's tensors under the names that the model itself gives them.
struct Unwrapped {
  io::TensorFile file;
  std::vector<std::string> sources;   // the name in the file of each of file.tensors
  std::vector<std::string> left_out;  // names in the file, of other copies of the model
  std::vector<std::string> copies;    // what --prefix can choose instead
};

/// Takes off wrappers ("module.", "model.", "_orig_mod.", whatever all names share) as far as that makes more names known to
/// `family`. With `prefix` only the names below it count: "student", "ema_model.module"; "ema_" takes mmcv's averaged buffers
/// ("ema_backbone_conv1_weight" is that of "backbone.conv1.weight"), which are left out otherwise.
/// Error(kUsage) when no name begins with `prefix`, with those that do something.
Unwrapped unwrap(const io::TensorFile& file, const std::string& family, const std::string& prefix, const std::string& where);

}  // namespace iuq::weights
