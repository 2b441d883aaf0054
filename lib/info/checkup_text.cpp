#include <algorithm>
#include <cstdio>

#include "lib/base/error.h"
#include "lib/info/checkup.h"

namespace iuq::info {
namespace {

constexpr size_t kRows = 20;
constexpr int kNameWidth = 24;  // columns

// Cut to the width, at a character's beginning: a name may be of any script.
std::string fitted(const std::string& text, int width) {
  std::string out;
  int columns = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80;
    if (begins && columns == width) break;
    columns += begins;
    out += static_cast<unsigned char>(text[i]) < 0x20 ? ' ' : text[i];
  }
  return out + std::string(static_cast<size_t>(width - columns), ' ');
}

std::string line(const std::string& name, const CategoryCount& count) {
  char numbers[160];
  std::snprintf(numbers, sizeof numbers, "%9lld %9lld %7lld %8lld %8lld %8lld %12.1f\n", static_cast<long long>(count.images),
                static_cast<long long>(count.objects), static_cast<long long>(count.crowds), static_cast<long long>(count.small),
                static_cast<long long>(count.medium), static_cast<long long>(count.large), count.median_side);
  return cat("  ", fitted(name, kNameWidth), numbers);
}

std::string table(const Checkup& checkup) {
  char head[160];
  std::snprintf(head, sizeof head, "%9s %9s %7s %8s %8s %8s %12s\n", "images", "objects", "crowds", "small", "medium", "large",
                "median side");
  std::string text = cat("  ", fitted("category", kNameWidth), head);
  const auto& rows = checkup.categories;
  for (size_t i = 0; i < std::min(rows.size(), kRows); ++i) {
    text += line(checkup.dataset.categories()[static_cast<size_t>(rows[i].category)].name, rows[i]);
  }
  if (rows.size() > kRows) {
    CategoryCount rest;
    for (size_t i = kRows; i < rows.size(); ++i) rest.objects += rows[i].objects;
    text += cat("  and ", rows.size() - kRows, " more with ", rest.objects, " objects, which --json lists\n");
  }
  return text;
}

}  // namespace

std::string to_text(const Checkup& checkup) {
  const data::Dataset& set = checkup.dataset;
  const auto faults = std::count_if(checkup.findings.begin(), checkup.findings.end(), [](const Finding& f) { return f.is_fault; });
  std::string text = cat(set.path(), ": annotations", set.is_lvis() ? " (LVIS)" : "", ", ",
                         faults == 0 ? "no faults" : cat(faults, faults == 1 ? " kind of fault" : " kinds of fault"), "\n");
  text += cat("  ", set.images().size(), " images, ", set.annotations().size(), " annotations, ", set.categories().size(), " categories; ",
              checkup.median_objects, " objects in an image (median), ", checkup.most_objects, " at most\n");
  for (const Finding& finding : checkup.findings) text += cat(finding.is_fault ? "  fault: " : "  note: ", finding.text, "\n");
  return text + table(checkup);
}

nlohmann::ordered_json to_json(const Checkup& checkup) {
  using ordered = nlohmann::ordered_json;
  const data::Dataset& set = checkup.dataset;
  ordered findings = ordered::array(), categories = ordered::array();
  for (const Finding& finding : checkup.findings) {
    findings.push_back({{"kind", finding.kind}, {"fault", finding.is_fault}, {"count", finding.count}, {"text", finding.text},
                        {"cases", ordered(finding.cases)}});
  }
  for (const CategoryCount& count : checkup.categories) {
    const data::Category& category = set.categories()[static_cast<size_t>(count.category)];
    categories.push_back({{"id", category.id}, {"name", category.name}, {"images", count.images}, {"objects", count.objects},
                          {"crowds", count.crowds}, {"small", count.small}, {"medium", count.medium}, {"large", count.large},
                          {"median_side", count.median_side}});
  }
  return {{"path", set.path()},
          {"kind", "annotations"},
          {"whole", !checkup.has_faults()},
          {"lvis", set.is_lvis()},
          {"images", set.images().size()},
          {"annotations", set.annotations().size()},
          {"objects_in_image", {{"median", checkup.median_objects}, {"most", checkup.most_objects}}},
          {"findings", findings},
          {"categories", categories}};
}

}  // namespace iuq::info
