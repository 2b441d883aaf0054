#pragma once

#include <string>
#include <vector>

#include "lib/io/tensor_file.h"

// What weights under our names lack because their source needs it not. Each addition is a line "name = value" of `filled`.
namespace iuq::weights {

/// Norms after the convolutions of the backbone: statistics that the source folded into weight and bias (mean 0, variance
/// 1 - 1e-5, so that eps makes them exact). Error(kBadData) naming `path`, the key and both shapes if a norm is not whole, or
/// does not fit its convolution.
void complete_conv_norms(io::TensorFile& file, const std::string& path, std::vector<std::string>& filled);
/// The four output norms of a Swin Transformer, which classifiers lack: weight 1, bias 0. Source: WEIGHTS.md 3.
void complete_output_norms(io::TensorFile& file, const std::string& path, std::vector<std::string>& filled);

}  // namespace iuq::weights
