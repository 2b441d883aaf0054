#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace iuq::data {
class Dataset;
}

namespace iuq::train {

/// What a run was begun with, as far as it may change under a run that is resumed: images and their annotations. Kept in
/// "inputs.json" of its folder, so that --resume can say what is not as it was.
struct RunInputs {
  struct ImageInput {
    std::string truth;  // digest of name, size and annotations
    std::string file;   // fingerprint of the image file, "" with cached features
    bool operator==(const ImageInput&) const = default;
  };
  std::map<int64_t, ImageInput> images;  // by id: those that are trained on
  std::vector<std::string> categories;   // "id name", ascending id

  /// `folder`: of the images; "" with cached features. `images`: indices.
  static RunInputs of(const data::Dataset& dataset, const std::vector<int64_t>& images, const std::string& folder, int threads);
  /// Errors: kBadData for a file that is none of write(). Nothing where there is no file: another version began the run.
  static std::optional<RunInputs> read(const std::string& path);
  void write(const std::string& path) const;

  /// "1 image is gone (33)", "2 images have other files (4, 7)", ...; empty when nothing changed.
  std::vector<std::string> changes_to(const RunInputs& now) const;
};

/// Whether two runs, by their provenance, are of one config and of the same inputs but for their annotations and images: then
/// one may go on where the other stopped. If not, `why` says in what they differ.
bool differ_in_data_alone(const nlohmann::json& before, const nlohmann::json& now, std::string& why);

}  // namespace iuq::train
