#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/base/error.h"

namespace iuq::data {

class Dataset;

/// What an image file is not, or is besides.
enum class ImageState : uint8_t {
  kMissing,
  kNoAccess,     // there, but not to be opened
  kNoImage,      // empty, unknown, or damaged
  kTruncated,
  kOtherSize,    // than the annotations file says
  kNoEnd,        // a JPEG that lacks its end marker and no pixel
  kTurned,       // by its EXIF orientation, which is applied
  kDark,         // of 16 bits, of which the pixels use the lower 12 at most: nearly black in the 8 that are trained on
};

/// One image file that is not as it should be.
struct ImageFinding {
  int64_t image = 0;  // index in the data set
  ImageState state = ImageState::kNoImage;
  ErrorCode code = ErrorCode::kBadData;  // kNoInput: the file is missing
  std::string what;  // names the file
};

/// What a look at the image files of a data set found, in the order of the images.
struct ImageCheck {
  int64_t looked_at = 0;
  std::vector<ImageFinding> faults;    // missing, empty, not an image, truncated, of another size
  std::vector<ImageFinding> warnings;  // read as they are, but not as they should be: JPEGs that lack their end marker
  std::vector<ImageFinding> remarks;   // turned or dark; with ImageLook::kAll
};

/// How closely to look: at the header; at the pixels too where the header cannot vouch for them; for remarks as well.
enum class ImageLook { kHeader, kPixels, kAll };

/// Looks at the files of images `indices` below `folder`: existence and header, some kB of each, on as many threads as the disk
/// deserves. What the header cannot vouch for is found when the file is read: with kPixels here already, for all formats but
/// JPEG, whose decoders forgive (a damaged PNG has a whole header). JPEGs without their end marker are always decoded.
/// `indices` ascending. Errors of a file are findings; nothing is thrown or logged.
ImageCheck check_images(const Dataset& dataset, const std::string& folder, const std::vector<int64_t>& indices,
                        ImageLook look, int threads);

/// What may be the cure of missing files, by the first of them: "; but there is ..." names a file that it may mean, under fewer
/// folders, with another case or another ending. "" where none is missing or near. For people: nothing reads that file.
std::string advice_on_missing(const Dataset& dataset, const std::string& folder, const std::vector<ImageFinding>& faults);

/// The images that a run can use, and what it has to say of the others.
struct UsableImages {
  std::vector<int64_t> images;  // those of `wanted`, in its order, that can be read
  /// For the provenance, as it changes what comes out: [{"id": 33, "file": digest of the file, or "missing"}]; empty when all
  /// images are there. A repaired file is another one.
  nlohmann::json left_out() const;

  struct Left {
    int64_t image = 0;  // index in the data set
    int64_t id = 0;
    std::string file;
  };
  std::vector<Left> left;  // ascending id
};

/// The indices of all images of a data set.
std::vector<int64_t> all_images(const Dataset& dataset);

/// The look that every tool takes before its first step. Warns of what is left out and of what is odd, once each. Throws when
/// more than `max_errors` images cannot be used: the error of the first, with the number of all and what to do.
UsableImages usable_images(const Dataset& dataset, const std::string& folder, const std::vector<int64_t>& wanted,
                           int64_t max_errors, int threads);

}  // namespace iuq::data
