// ../shared/oracle/cases/rle: what pycocotools 2.0.11 answers.
#include <zlib.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "lib/mask/rle.h"
#include "tests/support/box_mask.h"
#include "tests/support/catch.h"

namespace {

using namespace iuq::mask;
using nlohmann::json;

// null, with a word about it, where the oracle is not on this machine.
json read_oracle(const std::string& name) {
  const std::string path = std::string(IUQ_SHARED_DIR) + "/oracle/cases/rle/" + name + ".json.gz";
  if (!std::filesystem::exists(path)) {
    std::cout << "skipped: no " << path << "\n";
    return nullptr;
  }
  std::string text;
  char block[1 << 16];
  gzFile file = gzopen(path.c_str(), "rb");
  for (int got = 0; (got = gzread(file, block, sizeof block)) > 0;) text.append(block, size_t(got));
  gzclose(file);
  return json::parse(text);
}

Rle rle_of(const json& entry) { return from_string(entry["counts"].get<std::string>(), entry["size"][0], entry["size"][1]); }
Box box_of(const json& numbers) { return numbers.get<Box>(); }

// Base64 of the column-major mask, 8 pixels a byte, as row-major 0 or 1.
std::vector<uint8_t> pixels_of(const json& entry) {
  static const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const size_t height = entry["size"][0], width = entry["size"][1];
  std::vector<uint8_t> bits;
  for (const char c : entry["bits"].get<std::string>()) {
    const size_t value = alphabet.find(c);
    for (int b = 5; value != std::string::npos && b >= 0; --b) bits.push_back(value >> b & 1);
  }
  std::vector<uint8_t> pixels(height * width);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i % height * width + i / height] = bits.at(i);
  return pixels;
}

// Every pair, of masks or of boxes, against the reference's matrix.
template <typename T>
void check_iou(const json& group, const std::vector<T>& dt, const std::vector<T>& gt) {
  const json& matrix = group["iou_row_major_dt_by_gt"];
  for (size_t d = 0; d < dt.size(); ++d) {
    for (size_t g = 0; g < gt.size(); ++g) {
      CHECK(iou(dt[d], gt[g], group["iscrowd"][g].get<int>() != 0) == matrix[d][g].get<double>());
    }
  }
}

}  // namespace

TEST_CASE("mask: the reference's masks: runs, strings, areas, boxes, decoding", "[mask][golden]") {
  const json oracle = read_oracle("masks");
  for (const json& entry : oracle.is_null() ? json::array() : oracle["masks"]) {
    const auto pixels = pixels_of(entry);
    const Rle rle = encode(pixels.data(), entry["size"][0], entry["size"][1]);
    CHECK(rle.counts == entry["counts_list"].get<std::vector<uint32_t>>());
    CHECK(to_string(rle) == entry["counts"]);
    CHECK(rle_of(entry) == rle);
    CHECK(area(rle) == entry["area"]);
    CHECK(to_box(rle) == box_of(entry["bbox"]));
    std::vector<uint8_t> back(pixels.size());
    decode(rle, back.data());
    CHECK(back == pixels);
  }
}

TEST_CASE("mask: the reference's IoU matrices and merges", "[mask][golden]") {
  const json oracle = read_oracle("masks");
  if (oracle.is_null()) return;
  const auto pick = [&](const json& indices) {
    std::vector<Rle> out;
    for (const json& i : indices) out.push_back(rle_of(oracle["masks"][i.get<size_t>()]));
    return out;
  };
  for (const json& group : oracle["iou"]) check_iou(group, pick(group["dt"]), pick(group["gt"]));
  for (const json& entry : oracle["merge"]) {
    CHECK(to_string(merge(pick(entry["masks"]), false)) == entry["union"]["counts"]);
    CHECK(to_string(merge(pick(entry["masks"]), true)) == entry["intersection"]["counts"]);
  }
}

TEST_CASE("mask: the reference's polygons", "[mask][golden]") {
  const json oracle = read_oracle("polygons");
  for (const json& entry : oracle.is_null() ? json::array() : oracle) {
    const auto polygons = entry["polygons"].get<std::vector<std::vector<double>>>();
    for (size_t i = 0; i < polygons.size(); ++i) {
      CHECK(to_string(from_polygons({polygons[i]}, entry["h"], entry["w"])) == entry["rles"][i]);
    }
    const Rle merged = from_polygons(polygons, entry["h"], entry["w"]);
    CHECK(to_string(merged) == entry["merged"]);
    CHECK(area(merged) == entry["area"]);
    CHECK(to_box(merged) == box_of(entry["bbox"]));
  }
}

TEST_CASE("mask: the reference's boxes", "[mask][golden]") {
  const json oracle = read_oracle("boxes");
  if (oracle.is_null()) return;
  for (const json& entry : oracle["box_to_rle"]) {
    for (size_t i = 0; i < entry["rles"].size(); ++i) {
      CHECK(to_string(iuq::test::box_mask(box_of(entry["boxes_xywh"][i]), entry["h"], entry["w"])) == entry["rles"][i]);
    }
  }
  for (const json& group : oracle["box_iou"]) {
    check_iou(group, group["dt"].get<std::vector<Box>>(), group["gt"].get<std::vector<Box>>());
  }
}

TEST_CASE("mask: legal strings that are not canonical", "[mask][golden]") {
  const json oracle = read_oracle("strings");
  if (oracle.is_null()) return;
  const Rle first = rle_of(oracle["noncanonical"][0]);
  for (const json& entry : oracle["noncanonical"]) {
    const Rle rle = rle_of(entry);
    CHECK(rle.counts == entry["counts_list"].get<std::vector<uint32_t>>());
    CHECK(to_string(rle) == entry["counts"]);
    CHECK(area(rle) == entry["area"]);
    CHECK(to_box(rle) == box_of(entry["bbox"]));
    std::vector<uint8_t> pixels(size_t{rle.height} * rle.width);
    decode(rle, pixels.data());
    CHECK(pixels == pixels_of(entry));
    CHECK(to_string(encode(pixels.data(), rle.height, rle.width)) == entry["canonical"]);
    CHECK(to_string(merge({rle, rle}, false)) == entry["merged_with_self"]);
    CHECK(iou(rle, first, false) == entry["iou_with_first"]);
  }
  const Rle large = rle_of(oracle["large_runs"]);
  CHECK(large.counts == oracle["large_runs"]["counts_list"].get<std::vector<uint32_t>>());
  CHECK(to_string(large) == oracle["large_runs"]["counts"]);
  CHECK(area(large) == oracle["large_runs"]["area"]);
}
