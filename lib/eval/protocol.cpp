#include "lib/eval/protocol.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "lib/base/error.h"
#include "lib/io/record_parser.h"
#include "lib/io/record_pieces.h"

namespace iuq::eval {
namespace {

/// Whether the first image and the first category are LVIS's, once they were seen.
class FirstRecords final : public io::RecordSink {
 public:
  bool plain(size_t section, int64_t, io::JsonCursor& cursor) override {
    return (section == 0 ? image : category).has_value() && cursor.skip_value();
  }
  void general(size_t section, int64_t, nlohmann::json& record) override {
    if (section == 0 && !image) image = record.contains("neg_category_ids") && record.contains("not_exhaustive_category_ids");
    if (section == 1 && !category) category = record.contains("frequency");
  }
  bool is_settled() const { return (image && !*image) || (category && !*category) || (image && category); }

  std::optional<bool> image, category;
};

}  // namespace

Protocol protocol_of(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return Protocol::kCoco;
  FirstRecords first;
  try {
    io::RecordParser parser(path, {"images", "categories"}, first);
    io::RecordPieces pieces(path);
    std::string piece;
    size_t number = 0;
    while (!first.is_settled() && pieces.next(piece, number)) parser.feed(piece);
  } catch (const Error&) {
    return Protocol::kCoco;
  }
  return first.image.value_or(false) && first.category.value_or(false) ? Protocol::kLvis : Protocol::kCoco;
}

}  // namespace iuq::eval
