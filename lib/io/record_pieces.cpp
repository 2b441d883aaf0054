#include "lib/io/record_pieces.h"

#include <string_view>

namespace iuq::io {
namespace {

constexpr const char* kSpace = " \n\r\t";

// The position of the last '{' that follows "}," with any space around; 0 without one.
size_t last_cut(std::string_view text) {
  for (size_t at = text.rfind('{'); at != std::string_view::npos && at > 0; at = text.rfind('{', at - 1)) {
    const size_t comma = text.find_last_not_of(kSpace, at - 1);
    if (comma == std::string_view::npos || comma == 0 || text[comma] != ',') continue;
    const size_t brace = text.find_last_not_of(kSpace, comma - 1);
    if (brace != std::string_view::npos && text[brace] == '}') return at;
  }
  return 0;
}

}  // namespace

bool RecordPieces::next(std::string& piece, size_t& number) {
  const std::lock_guard lock(mutex_);
  if (ended_ && rest_.empty()) return false;
  number = count_++;
  piece = rest_;  // a copy: both keep their storage
  rest_.clear();
  size_t cut = 0;
  while (cut == 0 && !ended_) {
    const size_t had = piece.size();
    piece.resize(had + block_);
    ended_ = true;  // unless all goes well
    const size_t got = source_.read(piece.data() + had, block_);
    piece.resize(had + got);
    ended_ = got < block_;
    cut = ended_ ? piece.size() : last_cut(piece);
    // A piece without a cut, a list of a million numbers say, goes out as it is.
    if (cut == 0 && piece.size() >= 4 * block_) cut = piece.size();
  }
  if (piece.empty()) return false;
  if (cut == 0) cut = piece.size();
  rest_.assign(piece, cut);
  piece.resize(cut);
  return true;
}

}  // namespace iuq::io
