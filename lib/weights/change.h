#pragma once

#include <vector>

#include "lib/io/tensor_file.h"

// What tensors need when their names alone do not make them ours. Works on elements of any type.
namespace iuq::weights {

/// Three tensors [n, ...] of one shape and type, one below the other: [3n, ...]. Error(kBadData) with the shapes.
io::TensorData join_thirds(const std::vector<io::TensorData>& thirds);
/// The reverse: rows part * n .. (part + 1) * n of [3n, ...].
io::TensorData third_of(const io::TensorData& whole, int part);

/// The 4C inputs of a Swin patch merging along the last axis, [4C] or [out, 4C]: from mmdetection's order (channel by channel,
/// phases (0,0), (0,1), (1,0), (1,1) of (row, column)) to ours (phase by phase, (0,0), (1,0), (0,1), (1,1)), or back.
/// Source: WEIGHTS.md 3.1.
io::TensorData reorder_merging(const io::TensorData& tensor, bool to_ours);

}  // namespace iuq::weights
