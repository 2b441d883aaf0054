#pragma once

#include <string>
#include <vector>

#include "lib/io/tensor_file.h"

namespace iuq::io {

inline constexpr const char* kOtherCopy = "another copy of parameters";

/// Reads what torch.save wrote (zip container, or the legacy stream of PyTorch < 1.6), or a bare pickle of numpy arrays
/// (.pkl, as in the detectron2 model zoo). Nothing in the file is run: tensors, arrays, dicts, numbers and text are
/// understood, every other object is left out.
///
/// A wrapper ("state_dict", "model", "teacher", ...) around the parameters is removed, nested dicts become dotted names
/// ("backbone.conv1.weight"). Strided views are made contiguous. Text values of the top level (detectron2's
/// "__author__") come as metadata. `skipped` receives a line "name: why" for everything that was left out; the why of
/// an entry that holds other tensors (not an optimiser's) ends in kOtherCopy.
/// Errors: kNoInput, kIo; kBadData naming file and tensor for damage, or when the file holds no tensors.
/// `entry`: of the top level of the file the entry to take instead ("ema_state_dict"); "": as above.
/// Error(kUsage) naming those that hold tensors when there is no such entry.
TensorFile read_torch_file(const std::string& path, std::vector<std::string>* skipped = nullptr, const std::string& entry = "");

}  // namespace iuq::io
