#include "lib/io/coco_json.h"

#include <nlohmann/json.hpp>

#include "lib/io/record_parser.h"
#include "lib/io/record_pieces.h"

namespace iuq::io {
namespace {

class Visitor final : public RecordSink {
 public:
  Visitor(const std::vector<std::string>& sections, const RecordVisitor& visit) : sections_(sections), visit_(visit) {}
  void general(size_t section, int64_t index, nlohmann::json& record) override { visit_(sections_[section], index, record); }

 private:
  const std::vector<std::string>& sections_;
  const RecordVisitor& visit_;
};

}  // namespace

std::vector<std::string> stream_json_records(const std::string& path, const std::vector<std::string>& sections,
                                             const RecordVisitor& visit) {
  Visitor visitor(sections, visit);
  return read_records(path, sections, visitor);
}

std::vector<std::string> read_records(const std::string& path, const std::vector<std::string>& sections, RecordSink& sink) {
  RecordPieces pieces(path);
  RecordParser parser(path, sections, sink);
  std::string piece;
  for (size_t number = 0; pieces.next(piece, number);) parser.feed(piece);
  return parser.finish();
}

}  // namespace iuq::io
