#pragma once

#include <string>

#include "lib/data/synth_config.h"

namespace iuq::data {

/// Writes the built-in data set into the new folder `output`, which appears whole or not at all:
///
///   annotations/instances_train.json, instances_val.json   COCO or LVIS; "file_name" is relative to images/
///   images/train/000000000001.png ..., images/val/...      8-bit PNG
///   provenance.json
///
/// Masks are compressed RLE, areas and boxes are those of the masks. Image ids are 1, 2, ... in train and 1000001, ...
/// in val, so the two splits can be mixed. Every byte but the provenance's volatile part is a function of `config`; the
/// number of `threads` does not matter. LVIS: frequencies are those of the training images ("r" up to 10, "c" up to
/// 100, else "f"); each image names up to two absent categories as negative, and now and then one category of which an
/// instance was left unlabelled as not exhaustive.
///
/// Does nothing when `output` is there with the same config. Errors: kCannotCreate when it is another one (with `force`
/// it is replaced, unless it is not a data set made here), kIo, kInterrupted (nothing is left behind).
void write_lookalikes(const SynthConfig& config, const std::string& output, int threads, bool force);

/// Upper estimate of what write_lookalikes takes on disk.
int64_t lookalikes_bytes(const SynthConfig& config);

}  // namespace iuq::data
