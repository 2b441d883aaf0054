#include "lib/info/checkup.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_set>
#include <utility>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/data/image_check.h"
#include "lib/data/segmentation.h"
#include "lib/io/image_names.h"
#include "lib/mask/rle.h"

namespace iuq::info {
namespace {

using data::Annotation;
using data::Dataset;
using nlohmann::json;

constexpr size_t kFirstFew = 5;
constexpr size_t kImagesAtATime = 64;
constexpr double kSmall = 32 * 32, kMedium = 96 * 96;  // square pixels
constexpr double kSameBox = 0.5;     // IoU of a box and its mask's
constexpr double kBoxSlack = 2;      // pixels that the sides of a box may be off whatever its IoU
constexpr double kThin = 4;          // square pixels: below it polygons may cover no pixel
constexpr double kOtherArea = 2;     // times as large, or as small, as the mask
constexpr double kAreaSlack = 16;    // square pixels that areas may differ whatever their ratio

std::string counted(int64_t count, const std::string& of_one, const std::string& of_many) {
  return cat(count, " ", count == 1 ? of_one : of_many);
}

std::string first_few(const std::vector<std::string>& all, const char* joint) {
  std::string text;
  for (size_t i = 0; i < std::min(all.size(), kFirstFew); ++i) text += cat(i ? joint : "", all[i]);
  return all.size() > kFirstFew ? cat(text, joint, "...") : text;
}

Finding refused_records(const Dataset& set) {
  Finding finding{.kind = "refused", .count = std::ssize(set.refusals())};
  std::vector<std::string> words;
  for (const data::Refusal& refusal : set.refusals()) {
    words.push_back(cat(refusal.section, "[", refusal.record, "]", refusal.what));
    finding.cases.push_back({{"section", refusal.section}, {"index", refusal.record}, {"what", words.back()}});
  }
  finding.text = cat(counted(finding.count, "record is an error", "records are errors"), ": ", first_few(words, "; "));
  return finding;
}

std::vector<Finding> tallied_faults(const io::FaultTally& tally) {
  std::vector<Finding> findings;
  for (json& kind : tally.to_json(io::FaultReader::kTraining)) {
    findings.push_back({.kind = kind["kind"], .count = kind["records"], .text = kind["text"], .cases = std::move(kind["cases"])});
  }
  return findings;
}

/// Annotations of which something is to be said.
Finding of_annotations(const Dataset& set, const char* kind, const std::vector<int64_t>& which, const std::string& one,
                       const std::string& many, bool is_fault) {
  Finding finding{.kind = kind, .is_fault = is_fault, .count = std::ssize(which)};
  std::vector<std::string> ids;
  for (const int64_t index : which) {
    const Annotation& annotation = set.annotations()[static_cast<size_t>(index)];
    const data::Image& image = set.images()[static_cast<size_t>(set.image_index(annotation.image_id))];
    ids.push_back(std::to_string(annotation.id));
    finding.cases.push_back({{"id", annotation.id}, {"index", set.records()[static_cast<size_t>(index)]}, {"image_id", io::image_json(image.id)}});
  }
  finding.text = cat(counted(finding.count, one, many), " (", ids.size() == 1 ? "id " : "ids ", first_few(ids, ", "), ")");
  return finding;
}

Finding of_images(const Dataset& set, const char* kind, const std::vector<int64_t>& which, const std::string& one,
                  const std::string& many) {
  Finding finding{.kind = kind, .is_fault = false, .count = std::ssize(which)};
  std::vector<std::string> ids;
  for (const int64_t index : which) {
    const data::Image& image = set.images()[static_cast<size_t>(index)];
    ids.push_back(image.id_text());
    finding.cases.push_back({{"id", io::image_json(image.id)}});
  }
  finding.text = cat(counted(finding.count, one, many), " (", ids.size() == 1 ? "id " : "ids ", first_few(ids, ", "), ")");
  return finding;
}

struct StateWords {
  data::ImageState state;
  const char* kind;
  const char* one;
  const char* many;
};
constexpr StateWords kStates[] = {
    {data::ImageState::kMissing, "image_missing", "image is missing", "images are missing"},
    {data::ImageState::kNoAccess, "image_no_access", "image cannot be opened", "images cannot be opened"},
    {data::ImageState::kNoImage, "image_unreadable", "image file is no image, or damaged", "image files are no images, or damaged"},
    {data::ImageState::kTruncated, "image_truncated", "image is truncated", "images are truncated"},
    {data::ImageState::kOtherSize, "image_other_size", "image has another size than the file says",
     "images have another size than the file says"},
    {data::ImageState::kNoEnd, "image_no_end", "image lacks its end marker, but no pixel", "images lack their end marker, but no pixel"},
    {data::ImageState::kTurned, "image_turned", "image is turned by its EXIF orientation, which is applied",
     "images are turned by their EXIF orientation, which is applied"},
    {data::ImageState::kDark, "image_dark", "image is nearly black, as it uses the lower 12 of its 16 bits at most",
     "images are nearly black, as they use the lower 12 of their 16 bits at most"},
};

// Of those of which a look at the files, or no size, says so.
std::vector<int64_t> unusable_images(const Dataset& set, const std::vector<data::ImageFinding>& faults) {
  std::vector<int64_t> images;
  for (const data::ImageFinding& fault : faults) images.push_back(fault.image);
  for (const int64_t image : data::all_images(set)) {
    if (!set.images()[static_cast<size_t>(image)].has_size()) images.push_back(image);
  }
  std::sort(images.begin(), images.end());
  images.erase(std::unique(images.begin(), images.end()), images.end());
  return images;
}

void look_at_images(Checkup& checkup, const CheckupOptions& options) {
  const Dataset& set = checkup.dataset;
  const data::ImageCheck check =
      options.images.empty() ? data::ImageCheck()
                             : data::check_images(set, options.images, data::all_images(set), data::ImageLook::kAll, options.threads);
  checkup.unusable_images = unusable_images(set, check.faults);
  for (const StateWords& words : kStates) {
    for (const auto* list : {&check.faults, &check.warnings, &check.remarks}) {
      Finding finding{.kind = words.kind, .is_fault = list == &check.faults};
      std::vector<std::string> named;
      for (const data::ImageFinding& one : *list) {
        if (one.state != words.state) continue;
        const data::Image& image = set.images()[static_cast<size_t>(one.image)];
        named.push_back(cat(image.id_text(), " ", image.file_name));
        finding.cases.push_back({{"id", io::image_json(image.id)}, {"file_name", image.file_name}, {"what", one.what}});
      }
      finding.count = std::ssize(named);
      finding.text = cat(counted(finding.count, words.one, words.many), ": ", first_few(named, ", "));
      if (words.state == data::ImageState::kMissing) finding.text += data::advice_on_missing(set, options.images, *list);
      if (finding.count > 0) checkup.findings.push_back(std::move(finding));
    }
  }
}

using Box = std::array<double, 4>;  // x, y, width, height

Box box_of(const io::Segmentation& segmentation, const data::Image& image) {
  if (segmentation.kind != io::Segmentation::Kind::kPolygons) {
    return mask::to_box(data::to_mask(segmentation, image.height, image.width));
  }
  std::array<double, 2> low, high;
  low.fill(INFINITY);
  high.fill(-INFINITY);
  for (size_t i = 0; i < segmentation.numbers.size(); ++i) {
    low[i % 2] = std::min(low[i % 2], segmentation.numbers[i]);
    high[i % 2] = std::max(high[i % 2], segmentation.numbers[i]);
  }
  return {low[0], low[1], high[0] - low[0], high[1] - low[1]};
}

bool is_elsewhere(const Box& stated, const Box& of_mask) {
  double overlap = 1, slack = 0;
  for (const size_t axis : {size_t{0}, size_t{1}}) {
    const double low = std::max(stated[axis], of_mask[axis]);
    const double high = std::min(stated[axis] + stated[axis + 2], of_mask[axis] + of_mask[axis + 2]);
    overlap *= std::max(0.0, high - low);
    slack = std::max({slack, std::abs(stated[axis] - of_mask[axis]),
                      std::abs(stated[axis] + stated[axis + 2] - of_mask[axis] - of_mask[axis + 2])});
  }
  const double together = stated[2] * stated[3] + of_mask[2] * of_mask[3] - overlap;
  return slack > kBoxSlack && overlap < kSameBox * together;
}

uint64_t fingerprint(const Annotation& annotation, const io::Segmentation& segmentation) {
  Digest digest;
  digest.add(&annotation.category, sizeof annotation.category).add(&annotation.crowd, sizeof annotation.crowd);
  const auto add = [&](const auto& list) { digest.add(list.data(), list.size() * sizeof(list[0])); };
  add(segmentation.numbers);
  add(segmentation.lengths);
  add(segmentation.counts);
  add(segmentation.text);
  const std::string hex = digest.hex();
  return hash64(hex.data(), hex.size());
}

// Square pixels. Of polygons by their corners (Green's theorem), each by itself.
double area_of(const io::Segmentation& segmentation, const data::Image& image) {
  if (segmentation.kind != io::Segmentation::Kind::kPolygons) {
    return static_cast<double>(mask::area(data::to_mask(segmentation, image.height, image.width)));
  }
  double area = 0;
  const double* corner = segmentation.numbers.data();
  for (const uint32_t length : segmentation.lengths) {
    double twice = 0;
    for (uint32_t i = 0; i < length; i += 2) {
      const uint32_t next = (i + 2) % length;
      twice += corner[i] * corner[next + 1] - corner[next] * corner[i + 1];
    }
    area += std::abs(twice) / 2;
    corner += length;
  }
  return area;
}

/// What is only known from the masks: annotations, ascending.
struct MaskMarks {
  std::vector<int64_t> repeated, fractions, empty, box_elsewhere, other_area, small;
};

// What there is to say of a mask by itself, in bits.
enum Mark : uint8_t { kRepeated = 1, kFractions = 2, kEmpty = 4, kElsewhere = 8, kOtherAreaMark = 16, kSmallMark = 32 };

uint8_t marks_of(const Annotation& annotation, const io::Segmentation& segmentation, const data::Image& image, int64_t min_pixels) {
  if (!image.has_size()) return 0;
  const Box box = box_of(segmentation, image);
  const double area = area_of(segmentation, image);
  const bool in_one_pixel = segmentation.kind == io::Segmentation::Kind::kPolygons && box[0] >= 0 && box[1] >= 0 &&
                            box[0] + box[2] <= 1 && box[1] + box[3] <= 1;
  if (in_one_pixel && image.height > 1 && image.width > 1) return kFractions;
  const bool inside = box[0] >= 0 && box[1] >= 0 && box[0] + box[2] <= static_cast<double>(image.width) &&
                      box[1] + box[3] <= static_cast<double>(image.height);
  const bool may_be_empty = area < kThin || !inside;
  if (may_be_empty && mask::area(data::to_mask(segmentation, image.height, image.width)) == 0) return kEmpty;
  uint8_t marks = is_elsewhere(annotation.box, box) ? kElsewhere : 0;
  const double least = std::min(area, annotation.area), most = std::max(area, annotation.area);
  if (inside && most > kOtherArea * least && most - least > kAreaSlack) marks |= kOtherAreaMark;
  if (!annotation.crowd && area < static_cast<double>(min_pixels)) marks |= kSmallMark;
  return marks;
}

MaskMarks look_at_masks(const Dataset& set, const CheckupOptions& options) {
  std::vector<uint8_t> marks(set.annotations().size());
  parallel_for(set.images().size(), kImagesAtATime, options.threads, [&](size_t begin, size_t end) {
    io::Segmentation segmentation;
    for (size_t i = begin; i < end; ++i) {
      const data::Image& image = set.images()[i];
      std::unordered_set<uint64_t> seen;
      for (int64_t index = image.first; index < image.first + image.count; ++index) {
        const Annotation& annotation = set.annotations()[static_cast<size_t>(index)];
        set.segmentation(index, segmentation);
        const bool is_new = seen.insert(fingerprint(annotation, segmentation)).second;
        marks[static_cast<size_t>(index)] = is_new ? marks_of(annotation, segmentation, image, options.min_pixels) : uint8_t{kRepeated};
      }
    }
  });
  MaskMarks out;
  const std::array lists = {std::pair(kRepeated, &out.repeated),       std::pair(kFractions, &out.fractions),
                            std::pair(kEmpty, &out.empty),             std::pair(kElsewhere, &out.box_elsewhere),
                            std::pair(kOtherAreaMark, &out.other_area), std::pair(kSmallMark, &out.small)};
  for (size_t i = 0; i < marks.size(); ++i) {
    for (const auto& [mark, list] : lists) {
      if (marks[i] & mark) list->push_back(static_cast<int64_t>(i));
    }
  }
  return out;
}

Finding hidden_by_cut(const Dataset& set, const std::vector<int64_t>& objects, int64_t cut) {
  std::vector<int64_t> images;
  int64_t hidden = 0;
  for (size_t i = 0; i < objects.size(); ++i) {
    if (objects[i] <= cut) continue;
    images.push_back(static_cast<int64_t>(i));
    hidden += objects[i] - cut;
  }
  const std::string cure = cat("objects than the ", cut, " detections that count by default: ", hidden,
                               " objects are out of reach unless --max-dets of iuq-eval is larger");
  return of_images(set, "hidden_by_cut", images, "image has more " + cure, "images have more " + cure);
}

std::vector<int64_t> objects_of_images(const Dataset& set) {
  std::vector<int64_t> objects;
  for (const data::Image& image : set.images()) {
    const auto all = set.annotations_of(image);
    objects.push_back(std::count_if(all.begin(), all.end(), [](const Annotation& a) { return !a.crowd; }));
  }
  return objects;
}

template <class T>
T median(std::vector<T> values) {
  if (values.empty()) return T{};
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::vector<CategoryCount> count_categories(const Dataset& set) {
  std::vector<CategoryCount> counts(set.categories().size());
  std::vector<std::vector<double>> areas(counts.size());
  std::vector<int64_t> last_image(counts.size(), -1);
  for (size_t c = 0; c < counts.size(); ++c) counts[c].category = static_cast<int64_t>(c);
  for (size_t i = 0; i < set.images().size(); ++i) {
    for (const Annotation& annotation : set.annotations_of(set.images()[i])) {
      const auto c = static_cast<size_t>(annotation.category);
      CategoryCount& count = counts[c];
      count.images += last_image[c] != static_cast<int64_t>(i);
      last_image[c] = static_cast<int64_t>(i);
      if (annotation.crowd) {
        ++count.crowds;
        continue;
      }
      ++count.objects;
      ++(annotation.area <= kSmall ? count.small : annotation.area <= kMedium ? count.medium : count.large);
      areas[c].push_back(annotation.area);
    }
  }
  for (size_t c = 0; c < counts.size(); ++c) counts[c].median_side = std::sqrt(median(std::move(areas[c])));
  std::stable_sort(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.objects > b.objects; });
  return counts;
}

// Worth knowing: nothing is wrong with these, but they may not be meant.
void remark(Checkup& checkup, const MaskMarks& marks, const CheckupOptions& options) {
  const Dataset& set = checkup.dataset;
  const auto say = [&](Finding finding) {
    if (finding.count > 0) checkup.findings.push_back(std::move(finding));
  };
  say(of_annotations(set, "box_elsewhere", marks.box_elsewhere, "annotation has a bbox that is not that of its mask (is it x0, y0, x1, y1?)",
                     "annotations have a bbox that is not that of their mask (is it x0, y0, x1, y1?)", false));
  say(of_annotations(set, "other_area", marks.other_area, "annotation has an area that is not that of its mask",
                     "annotations have an area that is not that of their mask", false));
  say(of_annotations(set, "below_size", marks.small, cat("object is smaller than ", options.min_pixels, " pixels, and not learnt from"),
                     cat("objects are smaller than ", options.min_pixels, " pixels, and not learnt from"), false));
  const std::vector<int64_t> objects = objects_of_images(set);
  say(hidden_by_cut(set, objects, options.detections));
  std::vector<int64_t> empty;
  for (size_t i = 0; i < objects.size(); ++i) {
    if (objects[i] == 0) empty.push_back(static_cast<int64_t>(i));
  }
  say(of_images(set, "image_without_objects", empty, "image has no objects", "images have no objects"));
  checkup.median_objects = median(objects);
  checkup.most_objects = objects.empty() ? 0 : *std::max_element(objects.begin(), objects.end());
  Finding unused{.kind = "category_without_objects", .is_fault = false};
  std::vector<std::string> names;
  for (const CategoryCount& count : checkup.categories) {
    if (count.objects > 0) continue;
    const data::Category& category = set.categories()[static_cast<size_t>(count.category)];
    names.push_back(category.name);
    unused.cases.push_back({{"id", category.id}, {"name", category.name}});
  }
  unused.count = std::ssize(names);
  unused.text = cat(counted(unused.count, "category has no objects", "categories have no objects"), ": ", first_few(names, ", "));
  say(std::move(unused));
}

}  // namespace

Checkup check_up(const std::string& path, const CheckupOptions& options) {
  Checkup checkup;
  CheckupOptions with = options;
  if (with.threads < 1) with.threads = usable_threads();
  checkup.dataset = Dataset::load(path, {.threads = with.threads, .images = with.images, .needs_annotations = false, .tolerant = true});
  const Dataset& set = checkup.dataset;
  if (!set.refusals().empty()) checkup.findings.push_back(refused_records(set));
  for (Finding& finding : tallied_faults(set.faults())) checkup.findings.push_back(std::move(finding));
  const MaskMarks marks = look_at_masks(set, with);
  const auto leave_out = [&](const char* kind, const std::vector<int64_t>& which, const char* one, const char* many) {
    if (!which.empty()) checkup.findings.push_back(of_annotations(set, kind, which, one, many, true));
    checkup.left_out.insert(checkup.left_out.end(), which.begin(), which.end());
  };
  leave_out("repeated", marks.repeated, "annotation has image, category and mask of an earlier one",
            "annotations have image, category and mask of an earlier one");
  leave_out("empty_mask", marks.empty, "annotation has a mask that covers no pixel of its image",
            "annotations have masks that cover no pixel of their image");
  leave_out("fractions", marks.fractions, "annotation has polygons within one pixel (are they fractions of the image's sides?)",
            "annotations have polygons within one pixel (are they fractions of the image's sides?)");
  std::sort(checkup.left_out.begin(), checkup.left_out.end());
  look_at_images(checkup, with);
  checkup.categories = count_categories(set);
  remark(checkup, marks, with);
  std::stable_partition(checkup.findings.begin(), checkup.findings.end(), [](const Finding& f) { return f.is_fault; });
  return checkup;
}

}  // namespace iuq::info
