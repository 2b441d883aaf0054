#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/io/provenance.h"
#include "lib/io/tensor_file.h"
#include "lib/weights/naming.h"

namespace iuq::weights {

struct ConvertOptions {
  std::string from = "auto";           // a family of namings, "iuq" or "auto"
  std::string to = "iuq";              // a family of namings or "iuq"
  std::string preprocessing = "auto";  // "rgb", "caffe-bgr", or "auto": by the file
  std::string prefix;                  // which of several copies of a model to take, see unwrap()
  bool allow_unknown = false;          // do not insist on a preprocessing: for looking at the map only
};

struct Conversion {
  io::TensorFile file;                // renamed tensors; metadata "format", "preprocessing", "stride_in_1x1", "provenance"
  const Naming* naming = nullptr;     // that of the source
  NameMap map;                        // source name -> final name
  std::vector<std::string> filled;    // our names that the source lacks, with a constant value
  std::vector<std::string> skipped;   // what the reader left out: "name: why"
  std::vector<std::string> copies;    // other copies of the model that ConvertOptions::prefix can choose
};

/// Reads (read_weights.h), takes off wrappers (unwrap.h), renames, joins and reorders, completes (complete.h) and checks. Every
/// source name is used or listed as dropped.
/// Errors: kUsage; kBadData naming the key and the shapes if tensors do not fit each other, or if it cannot be known which
/// preprocessing the weights want.
Conversion convert(const std::string& path, const ConvertOptions& options);

/// What decides the output of convert().
io::Provenance convert_provenance(const std::string& path, const ConvertOptions& options);
/// The provenance that a converted file states; null if it has none.
nlohmann::json written_provenance(const std::string& path);
/// The map as lines "source -> target  [64, 3, 7, 7] F32", dropped and filled names included.
std::string to_text(const Conversion& conversion);

}  // namespace iuq::weights
