#include "lib/eval/iou_type.h"

#include <algorithm>
#include <optional>

#include "lib/base/error.h"

namespace iuq::eval {
namespace {

constexpr IouType kFirst = IouType::kSegm;

// The one behind it: this way the list of all types is a switch as well.
std::optional<IouType> next(IouType type) {
  switch (type) {
    case IouType::kSegm: return IouType::kBbox;
    case IouType::kBbox: return IouType::kBoundary;
    case IouType::kBoundary: return std::nullopt;
  }
  return std::nullopt;
}

IouType parse(const std::string& word) {
  std::string names;
  for (std::optional<IouType> type = kFirst; type; type = next(*type)) {
    if (word == name_of(*type)) return *type;
    names += cat(name_of(*type), ", ");
  }
  throw Error(ErrorCode::kUsage, cat("IoU type \"", word, "\" is not one of ", names, "both"));
}

}  // namespace

const char* name_of(IouType type) {
  switch (type) {
    case IouType::kSegm: return "segm";
    case IouType::kBbox: return "bbox";
    case IouType::kBoundary: return "boundary";
  }
  return "";
}

bool is_of_masks(IouType type) {
  switch (type) {
    case IouType::kSegm:
    case IouType::kBoundary: return true;
    case IouType::kBbox: return false;
  }
  return false;
}

bool is_of_boundaries(IouType type) {
  switch (type) {
    case IouType::kSegm:
    case IouType::kBbox: return false;
    case IouType::kBoundary: return true;
  }
  return false;
}

std::vector<IouType> parse_iou_types(const std::string& text) {
  if (text == "both") return {IouType::kSegm, IouType::kBbox};
  std::vector<IouType> types;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    const IouType type = parse(word);
    if (std::find(types.begin(), types.end(), type) != types.end()) {
      throw Error(ErrorCode::kUsage, cat("IoU type \"", word, "\" is there twice"));
    }
    types.push_back(type);
    begin = end + 1;
  }
  return types;
}

}  // namespace iuq::eval
