#include "lib/io/file_kind.h"

#include <algorithm>
#include <cctype>

namespace iuq::io {
namespace {

// Lower case, without what may stand before the first word of a text.
std::string opening(std::string_view bytes) {
  std::string text(bytes.substr(0, 512));
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  text.erase(0, std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

std::string foreign_kind(std::string_view bytes) {
  if (bytes.empty()) return "an empty file (0 bytes); the download or copy failed";
  const std::string text = opening(bytes);
  if (text.starts_with("version https://git-lfs")) {
    return "a Git LFS pointer, not the weights themselves; fetch them with \"git lfs pull\" or download the file";
  }
  for (const char* html : {"<!doctype html", "<html", "<head", "<script", "<!-- "}) {
    if (text.starts_with(html)) return "a web page (HTML), as servers send it in place of a file; download it again in a browser";
  }
  if (text.starts_with("<?xml") || text.starts_with("<error")) return "an XML text, such as a server's error; download it again";
  if (text.starts_with("{") || text.starts_with("[")) {
    return bytes.find("\"weight_map\"") != std::string_view::npos
               ? "the index of weights in several files, not the weights themselves; iuq-convert --input reads the index where the "
                 "files lie beside it"
               : "a JSON text, such as a config or a server's error, not weights";
  }
  struct Magic {
    std::string_view bytes;
    const char* what;
  };
  static const Magic kMagics[] = {
      {std::string_view("\x1f\x8b"), "a gzip archive; unpack it first (gunzip, or tar -xzf)"},
      {std::string_view("BZh"), "a bzip2 archive; unpack it first (bunzip2, or tar -xjf)"},
      {std::string_view("\xfd" "7zXZ\0", 6), "an xz archive; unpack it first (unxz, or tar -xJf)"},
      {std::string_view("\x28\xb5\x2f\xfd"), "a zstd archive; unpack it first (unzstd)"},
      {std::string_view("7z\xbc\xaf\x27\x1c"), "a 7z archive; unpack it first"},
      {std::string_view("Rar!"), "a rar archive; unpack it first"},
      {std::string_view("\x89HDF\r\n\x1a\n"), "an HDF5 file (Keras?); save PyTorch's state_dict() with torch.save instead"},
      {std::string_view("\x93NUMPY"), "a single NumPy array; a state dict has many, by name"},
      {std::string_view("GGUF"), "a GGUF file of quantised weights, which are not read"},
      {std::string_view("\x7f" "ELF"), "a program"},
      {std::string_view("\x89PNG"), "a PNG image"},
      {std::string_view("\xff\xd8\xff"), "a JPEG image"},
  };
  for (const Magic& magic : kMagics) {
    if (bytes.starts_with(magic.bytes)) return magic.what;
  }
  if (bytes.size() > 262 && bytes.substr(257, 5) == "ustar") return "a tar archive; unpack it first (tar -xf)";
  const std::string_view head = bytes.substr(0, 64);
  if (head.find("pytorch") != std::string_view::npos || head.find("onnx") != std::string_view::npos) {
    return "an ONNX graph; save PyTorch's state_dict() with torch.save instead";
  }
  return "";
}

int shards_in_name(const std::string& path) {
  constexpr std::string_view kOf = "-of-";
  const size_t of = path.rfind(kOf);
  if (of == std::string::npos) return 0;
  const auto digits_from = [&](size_t begin) {
    return std::min(path.find_first_not_of("0123456789", begin), path.size()) - begin;
  };
  const auto between = [](size_t count) { return count >= 2 && count <= 6; };
  const size_t dash = path.find_last_not_of("0123456789", of - 1);
  const size_t count_begin = of + kOf.size(), count_digits = digits_from(count_begin), dot = count_begin + count_digits;
  const bool is_numbered = of > 0 && dash != std::string::npos && path[dash] == '-' && between(of - dash - 1);
  const bool has_extension = dot + 1 < path.size() && path[dot] == '.' &&
                             path.find_first_not_of("abcdefghijklmnopqrstuvwxyz", dot + 1) == std::string::npos;
  return is_numbered && between(count_digits) && has_extension ? std::stoi(path.substr(count_begin, count_digits)) : 0;
}

}  // namespace iuq::io
