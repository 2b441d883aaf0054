#include "lib/info/inspect.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "lib/base/error.h"
#include "lib/cache/feature_file.h"
#include "lib/data/annotations.h"
#include "lib/io/atomic_file.h"
#include "lib/io/coco_json.h"
#include "lib/io/json_file.h"
#include "lib/io/provenance.h"
#include "lib/io/record_pieces.h"
#include "lib/io/safetensors.h"
#include "lib/uniq/negatives.h"

namespace iuq::info {
namespace {

using nlohmann::json;

[[noreturn]] void bad(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::kBadData, cat("\"", path, "\": ", what));
}

void inspect_features(const io::Hdf5File& file, FileReport& report, bool deep) {
  const cache::FeatureTables tables = cache::read_feature_tables(file);
  report.provenance = json::parse(tables.provenance);
  int64_t written = 0;
  for (const cache::FeatureRow& row : tables.rows) written += row.checksum != 0;
  auto canvases = json::array();
  for (size_t b = 0; b < tables.canvases.size(); ++b) {
    canvases.push_back({{"height", tables.canvases[b][0]},
                        {"width", tables.canvases[b][1]},
                        {"rows", tables.rows_in(static_cast<int64_t>(b))}});
  }
  report.facts = {{"images", static_cast<int64_t>(tables.rows.size()) / tables.views},
                  {"images_of_all_shards", tables.images_total},
                  {"shard", cat(tables.shard.index, "/", tables.shard.count)},
                  {"views", tables.views},
                  {"rows_written", written},
                  {"dtype", file.text_attribute("dtype")},
                  {"channels", tables.channels},
                  {"strides", tables.strides},
                  {"alignment", tables.alignment},
                  {"feature_bytes", tables.feature_bytes()},
                  {"backbone", tables.backbone},
                  {"content_digest", tables.content_digest},
                  {"canvases", canvases}};
  cache::check_complete(tables, report.path);
  const cache::FeatureRowReader reader(file, tables);  // the datasets have the shapes that the tables say
  if (!deep) return;
  for (const cache::FeatureRow& row : tables.rows) reader.read(row);
}

void inspect_negatives(FileReport& report) {
  const uniq::NegativesTable table = uniq::read_negatives(report.path);
  report.provenance = json::parse(table.provenance);
  int64_t pixels = 0;
  for (const auto& instance : table.instances) pixels += std::ssize(instance.pixels);
  report.facts = {{"instances", table.instances.size()},
                  {"images", table.images.size()},
                  {"shard", cat(table.shard.index, "/", table.shard.count)},
                  {"negatives_per_instance", table.per_instance},
                  {"scenes_per_image", table.per_image},
                  {"pixels", pixels},
                  {"content_digest", table.content_digest()}};
}

void inspect_hdf5(FileReport& report, bool deep) {
  const io::Hdf5File file = io::Hdf5File::open(report.path);
  const std::string magic = file.has_attribute("magic") ? file.text_attribute("magic") : "";
  if (magic == cache::kFeatureMagic) {
    report.kind = "features";
    inspect_features(file, report, deep);
  } else if (magic == uniq::kNegativesMagic) {
    report.kind = "negatives";
    inspect_negatives(report);
  } else {
    bad(report.path, "is an HDF5 file of another program (no attribute magic that iuq writes)");
  }
}

void check_finite(const io::TensorFile& file, const std::string& path) {
  for (const auto& [name, tensor] : file.tensors) {
    if (tensor.dtype != io::DType::kF32) continue;
    const float* const values = tensor.as<float>();
    for (int64_t i = 0; i < tensor.count(); ++i) {
      if (!std::isfinite(values[i])) bad(path, cat("tensor \"", name, "\" has the value ", values[i], " at ", i));
    }
  }
}

void inspect_safetensors(FileReport& report, bool deep) {
  report.kind = "weights";
  const io::TensorFile file = io::read_safetensors(report.path);
  int64_t values = 0;
  for (const auto& [name, tensor] : file.tensors) values += tensor.count();
  report.facts = {{"tensors", file.tensors.size()}, {"values", values}};
  for (const auto& [key, text] : file.metadata) {
    const json value = json::parse(text, nullptr, false);
    if (key == "provenance") {
      if (value.is_discarded()) bad(report.path, "its provenance is not JSON");
      report.provenance = value;
    } else if (key == "categories" && value.is_array()) {
      report.facts["categories"] = value.size();
    } else {
      report.facts[key] = value.is_discarded() ? json(text) : value;
    }
  }
  if (file.metadata.count("iuq.format")) report.kind = "model";
  if (deep) check_finite(file, report.path);
}

void inspect_results(FileReport& report) {
  report.kind = "results";
  int64_t count = 0, masks = 0;
  io::stream_json_records(report.path, {""}, [&](const std::string&, int64_t index, json& record) {
    for (const char* key : {"image_id", "category_id", "score"}) {
      if (record.contains(key) && (record[key].is_number() || (key == std::string("image_id") && record[key].is_string()))) continue;
      bad(report.path, cat("result ", index, " has no number \"", key, "\""));
    }
    ++count;
    masks += record.contains("segmentation");
  });
  report.facts = {{"results", count}, {"with_masks", masks}};
  report.provenance = io::read_sidecar(report.path);
}

void inspect_metrics(FileReport& report) {
  report.kind = "metrics";
  std::istringstream text(io::read_text(report.path));
  std::string line;
  int64_t lines = 0;
  json first, last;
  while (std::getline(text, line)) {
    ++lines;
    json value = json::parse(line, nullptr, false);
    if (!value.is_object() || text.eof()) bad(report.path, cat("line ", lines, " is not a whole JSON object"));
    if (lines == 1) first = value;
    last = std::move(value);
  }
  report.facts = {{"lines", lines}, {"first", first}, {"last", last}};
}

// A JSON object: of lists (annotations, which can be large and are streamed), or a report.
void inspect_object(FileReport& report, bool deep) {
  int64_t images = 0, annotations = 0, categories = 0;
  std::vector<std::string> missing;
  missing = io::stream_json_records(report.path, {"images", "annotations", "categories"},
                                    [&](const std::string& section, int64_t, json&) {
                                      ++(section == "images" ? images : section == "annotations" ? annotations : categories);
                                    });
  const bool has_images = std::find(missing.begin(), missing.end(), "images") == missing.end();
  if (has_images) {
    report.kind = "annotations";
    report.facts = {{"images", images}, {"annotations", annotations}, {"categories", categories}};
    report.provenance = io::read_sidecar(report.path);
    std::erase(missing, "annotations");  // COCO's test-dev has images alone
    if (!missing.empty()) bad(report.path, cat("has no list \"", missing.front(), "\""));
    if (deep) data::Dataset::load(report.path, {.needs_annotations = false});
    return;
  }
  const json value = io::read_json(report.path);
  if (value.contains("recipe") && value.contains("results")) {
    report.kind = "summary";
    report.facts = {{"recipe", value["recipe"]}, {"results", value["results"]}};
    return;
  }
  if (value.value("format", json()) != "iuq-ap") bad(report.path, "is a JSON object that is none of iuq's files");
  report.kind = "ap";
  if (!value.contains("stats") || !value["stats"].is_object()) bad(report.path, "has no object \"stats\"");
  report.facts = {{"config", value.value("config", json())}, {"stats", value["stats"]}};
  report.provenance = value.value("provenance", json());
}

// The first byte behind white space and a byte order mark, as Windows' editors write it; npos if there is none.
size_t first_of_text(std::string_view bytes) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  return bytes.find_first_not_of(" \t\r\n", bytes.starts_with(kMark) ? kMark.size() : 0);
}

// gzip: annotations or results.
void inspect_packed(FileReport& report, bool deep) {
  io::RecordPieces pieces(report.path);
  std::string piece;
  size_t number = 0;
  pieces.next(piece, number);
  const size_t text = first_of_text(piece);
  if (text != std::string::npos && piece[text] == '[') return inspect_results(report);
  if (text != std::string::npos && piece[text] == '{') return inspect_object(report, deep);
  bad(report.path, "is gzip of something that is neither annotations nor results");
}

void inspect_content(FileReport& report, bool deep) {
  if (std::filesystem::is_directory(report.path)) bad(report.path, "is a folder; name the files in it");
  std::ifstream in(report.path, std::ios::binary);
  if (!in) throw Error(ErrorCode::kNoInput, cat("cannot open \"", report.path, "\""));
  std::array<char, 16> head{};
  in.read(head.data(), head.size());
  const std::string_view start(head.data(), static_cast<size_t>(in.gcount()));
  if (start.starts_with("\x1f\x8b")) return inspect_packed(report, deep);
  const size_t text = first_of_text(start);
  if (start.empty()) bad(report.path, "is empty");
  if (start.starts_with("\x89HDF")) return inspect_hdf5(report, deep);
  // A safetensors header is shorter than 100 MB, so the upper half of its length is 0; no text has such bytes.
  if (start.size() > 8 && start[8] == '{' && start.substr(4, 4) == std::string_view("\0\0\0\0", 4)) {
    return inspect_safetensors(report, deep);
  }
  if (report.path.ends_with(".jsonl")) return inspect_metrics(report);
  if (text != std::string_view::npos && start[text] == '[') return inspect_results(report);
  if (text != std::string_view::npos && start[text] == '{') return inspect_object(report, deep);
  bad(report.path, "is none of the files that iuq writes or reads");
}

std::string provenance_text(const json& provenance) {
  std::string text;
  for (const json& entry : provenance.at("entries")) {
    text += cat("  made by ", entry.value("id", "?"), " (", entry.value("version", "?"), ", ", entry.value("git", "?"), ")");
    for (const json& input : entry.value("inputs", json::array())) {
      text += cat(" ", input.value("name", "?"), "=", input.value("digest", "?").substr(0, 12));
    }
    text += "\n";
  }
  return text;
}

}  // namespace

FileReport inspect(const std::string& path, bool deep) {
  FileReport report;
  report.path = path;
  report.kind = "unknown";
  try {
    inspect_content(report, deep);
    if (!report.provenance.is_null()) io::check_provenance(report.provenance, path);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNoInput) throw;
    report.problem = error.what();
    if (report.problem.empty()) report.problem = "unknown problem";
  }
  return report;
}

std::string to_text(const FileReport& report) {
  std::string text = cat(report.path, ": ", report.kind, report.problem.empty() ? "" : ", NOT WHOLE", "\n");
  for (const auto& [key, value] : report.facts.items()) {
    std::string shown = value.is_string() ? value.get<std::string>() : value.dump();
    if (shown.size() > 300) shown = shown.substr(0, 297) + "...";
    text += cat("  ", key, ": ", shown, "\n");
  }
  if (report.problem.empty() && !report.provenance.is_null()) text += provenance_text(report.provenance);
  if (!report.problem.empty()) text += cat("  problem: ", report.problem, "\n");
  return text;
}

nlohmann::ordered_json to_json(const FileReport& report) {
  return {{"path", report.path},   {"kind", report.kind},   {"whole", report.problem.empty()},
          {"problem", report.problem}, {"facts", report.facts}, {"provenance", report.provenance}};
}

}  // namespace iuq::info
