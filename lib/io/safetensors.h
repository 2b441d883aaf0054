#pragma once

#include <string>

#include "lib/io/tensor_file.h"

namespace iuq::io {

/// Reads a safetensors file: u64 header length, JSON header, tensor bytes without holes. The file is mapped, so a tensor
/// costs nothing until it is read. Tensors come in the order of their bytes. Nothing in the file is trusted: overlaps,
/// gaps, offsets out of range, lengths that differ from shape x dtype, double names, headers over 100 MB and unknown
/// dtypes are Error(kBadData) naming file and tensor. Other errors: kNoInput, kIo.
TensorFile read_safetensors(const std::string& path);

/// Writes one atomically; the same content gives the same bytes. Tensors are stored by element size, largest first and
/// otherwise in the given order, so that each stays aligned. Errors: kBadData for double names or sizes that do not fit,
/// kCannotCreate, kIo.
void write_safetensors(const std::string& path, const TensorFile& file);

}  // namespace iuq::io
