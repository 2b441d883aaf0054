// Records read by a table of rules: the plain way reads what the general way reads, and nothing else.
#include "lib/io/record_reader.h"

#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/rng.h"
#include "tests/support/catch.h"

namespace {

using namespace iuq::io;
using iuq::Rng;
using iuq::cat;
using nlohmann::json;

const std::string kFile = "set.json", kList = "things";

// A line for each type, with and without a range.
const std::vector<FieldRule> kTable = {
    {"id", FieldType::kInteger, kRequired},
    {"whole", FieldType::kWhole, kOptional},
    {"side", FieldType::kInteger, kOptional, {1, 100}},
    {"number", FieldType::kNumber, kOptional},
    {"area", FieldType::kNumber, kOptional, {.low = 0}},
    {"bit", FieldType::kBit, kOptional},
    {"flag", FieldType::kFlag, kOptional},
    {"name", FieldType::kText, kOptional},
    {"frequency", FieldType::kFrequency, kOptional},
    {"list", FieldType::kIntegers, kOptional},
    {"wholes", FieldType::kWholes, kOptional},
    {"box", FieldType::kBox, kOptional, {.low = 0}},
    {"shape", FieldType::kSegmentation, kOptional},
    {"any", FieldType::kUnread, kRequired},
};
constexpr size_t kShape = 12;

uint64_t bits_of(double value) { return std::bit_cast<uint64_t>(value); }

// All that was read, or what is wrong.
std::string values_of(const RecordReader& reader) {
  std::string out;
  for (size_t i = 0; i < kTable.size(); ++i) {
    if (kTable[i].type == FieldType::kUnread) CHECK_FALSE(reader.has(i));
    if (!reader.has(i)) continue;
    out += cat(" ", kTable[i].key, "=", reader.integer(i));
    if (kTable[i].type == FieldType::kNumber) out += cat("/", bits_of(reader.number(i)));
    if (kTable[i].type == FieldType::kBox) for (const double v : reader.box(i)) out += cat("/", bits_of(v));
    if (kTable[i].type == FieldType::kText || kTable[i].type == FieldType::kFrequency) out += cat("/", reader.text(i));
    if (kTable[i].type == FieldType::kIntegers || kTable[i].type == FieldType::kWholes) {
      for (const int64_t v : reader.integers(i)) out += cat("/", v);
    }
    if (i == kShape) {
      std::vector<uint8_t> packed;
      pack(reader.segmentation(), packed);
      for (const uint8_t byte : packed) out += cat("/", static_cast<int>(byte));
    }
  }
  return out;
}

std::string read_generally(const std::string& text, const std::vector<FieldRule>& table = kTable) {
  RecordReader reader(kFile, kList, table);
  const json record = json::parse(text);
  try {
    reader.read(5, record);
  } catch (const iuq::Error& e) {
    return e.what();
  }
  return values_of(reader);
}

std::string any_json(Rng& rng) {
  static const std::vector<std::string> values = {
      "0", "1", "-1", "7", "100", "101", "3.0", "3.5", "-0", "-0.0", "1e2", "1e300", "12345678901234567890", "9223372036854775807",
      "true", "false", "null", "\"\"", "\"r\"", "\"a\\\\b\"", "\"caf\xc3\xa9\"", "\"x\\u0041\"", "[]", "[1, 2]", "[1.0, 2]", "[1, \"2\"]",
      "[1, 2, 3, 4]", "[1, 2, -3, 4]", "[1.25, -2, 3, 0.1]", "[1, 2, 3]", "{}", "{\"a\": [1, {\"b\": null}]}",
      "[[1, 2, 3, 4, 5, 6]]", "[[1.25, 2.5, 3, 4.01, 5, 0.07], [1, 2, 3, 4, 5, 6.5, 7, 8]]", "[[0.3333333333333333, 2, 3, 4, 5, 6]]",
      "[[1, 2, 3, 4]]", "[[1, 2, 3, 4, 5, \"6\"]]", "{\"size\": [4, 5], \"counts\": \"0\\\\1\"}", "{\"counts\": [3, 4], \"size\": [4, 5]}",
      "{\"counts\": [3.0, 4], \"size\": [4, 5]}", "{\"counts\": [-3, 4], \"size\": [4, 5]}", "{\"counts\": [], \"size\": [4, 5], \"x\": 1}",
      "{\"counts\": [4294967296], \"size\": [4, 5]}", "{\"size\": [4, 5]}", "{\"size\": [4], \"counts\": \"0\"}"};
  return values[static_cast<size_t>(rng.below(static_cast<int64_t>(values.size())))];
}

std::string random_record(Rng& rng) {
  std::string out = "{";
  if (rng.below(10)) out += "\"id\": " + std::to_string(rng.below(100));
  for (int64_t n = rng.below(5); n > 0; --n) {
    const size_t at = static_cast<size_t>(rng.below(static_cast<int64_t>(kTable.size() + 1)));
    out += cat(out.size() > 1 ? ", " : "", "\"", at < kTable.size() ? kTable[at].key : "other", "\": ", any_json(rng));
  }
  return out + "}";
}

}  // namespace

TEST_CASE("record_reader: what the plain way reads, the general way reads alike", "[io][property]") {
  Rng rng(1, "record-reader");
  RecordReader reader(kFile, kList, kTable);
  int plain = 0, refused = 0;
  for (int i = 0; i < 30000; ++i) {
    const std::string text = random_record(rng);
    const std::string want = read_generally(text);
    JsonCursor cursor(text.data(), text.data() + text.size());
    const bool read = reader.read_plain(5, cursor);
    CAPTURE(text, want);
    if (read) {
      REQUIRE(cursor.at() == text.data() + text.size());
      REQUIRE(values_of(reader) == want);
    }
    plain += read;
    refused += want.find("things[5]") != std::string::npos;
  }
  CHECK(plain > 5000);
  CHECK(refused > 5000);
}

TEST_CASE("record_reader: each type of field says what it must be", "[io][error]") {
  const auto says = [](const std::string& member, const std::string& words) {
    const std::string got = read_generally("{\"id\": 3, " + member + "}");
    CAPTURE(member, got);
    CHECK(got == "\"set.json\": things[5]." + words + " (id 3)");
  };
  says(R"("whole": 3.5)", "whole is 3.5, must be an integer of 64 bits");
  says(R"("side": 0)", "side is 0, must be an integer of 1 to 100");
  says(R"("side": 3.0)", "side is 3.0, must be an integer of 1 to 100");
  says(R"("number": "x")", "number is \"x\", must be a number");
  says(R"("area": -0.5)", "area is -0.5, must be a number >= 0");
  says(R"("bit": 2)", "bit is 2, must be 0 or 1");
  says(R"("flag": "no")", "flag is \"no\", must be true, false or a number");
  says(R"("name": "")", "name is \"\", must be a string that is not empty");
  says(R"("frequency": "x")", "frequency is \"x\", must be \"r\", \"c\" or \"f\"");
  says(R"("list": 4)", "list is 4, must be a list of integers");
  says(R"("list": [1, 2.0])", "list[1] is 2.0, must be an integer of 64 bits");
  says(R"("wholes": [1, 2.5])", "wholes[1] is 2.5, must be an integer of 64 bits");
  says(R"("box": [1, 2, 3])", "box is [1,2,3], must be four numbers [x, y, width, height] with width and height >= 0");
  says(R"("box": [1, 2, 3, -1])", "box is [1,2,3,-1], must be four numbers [x, y, width, height] with width and height >= 0");
  says(R"("shape": 1)", "shape is 1, must be a list of polygons or an RLE object");
  says(R"("shape": [[1, 2, 3, 4, 5]])", "shape[0] has 5 numbers, must have an even count of at least 6 (x, y of three points)");
  says(R"("shape": {"counts": "0"})", "shape.size is missing, must be [height, width]");
  CHECK(read_generally("{}") == "\"set.json\": things[5].id is missing, must be an integer of 64 bits");
  CHECK(read_generally(R"({"id": null})") == "\"set.json\": things[5].id is null, must be an integer of 64 bits (id null)");
  CHECK(read_generally(R"({"id": 1, "side": null, "any": [{}]})") == " id=1");
}

TEST_CASE("record_reader: the table says what becomes of a record that breaks a rule", "[io][error]") {
  const std::vector<FieldRule> table = {{"id", FieldType::kInteger, kRequired},
                                        {"crowd", FieldType::kFlag, kRequired, {}, Outcome::kRefuseIfCounted},
                                        {"area", FieldType::kNumber, kRequired, {}, Outcome::kRefuseIfCounted, "crowd"},
                                        {"name", FieldType::kText, kOptional, {}, Outcome::kAsAbsent}};
  RecordReader reader(kFile, kList, table);
  const auto fault_of = [&](const char* text) {
    reader.read(5, json::parse(text));
    JsonCursor cursor(text, text + std::strlen(text));
    const std::string fault = reader.fault();
    const bool has_name = reader.has(3);
    CHECK(reader.read_plain(5, cursor) == (fault.empty() && has_name == (std::strstr(text, "name") != nullptr)));
    return fault;
  };
  CHECK(fault_of(R"({"id": 1, "crowd": 0, "area": 2, "name": "a"})").empty());
  CHECK(fault_of(R"({"id": 1, "crowd": 1})").empty());
  CHECK(fault_of(R"({"id": 1, "crowd": 0})") == ".area is missing, must be a number (id 1)");
  CHECK(fault_of(R"({"id": 1, "crowd": "x"})") == ".crowd is \"x\", must be true, false or a number (id 1)");  // the first of two
  CHECK(fault_of(R"({"id": 1, "crowd": 1, "name": 7})").empty());
  CHECK_FALSE(reader.has(3));
  CHECK_THROWS_AS(reader.read(5, json::parse(R"({"id": "x", "crowd": 1})")), iuq::Error);
}

TEST_CASE("segmentation: packing loses nothing", "[io][property]") {
  Rng rng(3, "pack");
  Segmentation back;
  for (int i = 0; i < 2000; ++i) {
    Segmentation in;
    const auto kind = rng.below(3);
    const std::string text = std::string(static_cast<size_t>(rng.below(20)), 'x');
    if (kind == 0) {
      in.kind = Segmentation::Kind::kPolygons;
      for (int64_t n = rng.below(4); n >= 0; --n) {
        in.lengths.push_back(static_cast<uint32_t>(rng.below(9)));
        for (uint32_t k = 0; k < in.lengths.back(); ++k) {
          const double cents = static_cast<double>(rng.below(100000)) / 100;
          in.numbers.push_back(rng.below(30) ? cents : rng.below(2) ? -0.0 : rng.uniform(-1e9, 1e9));
        }
      }
    } else {
      in.kind = kind == 1 ? Segmentation::Kind::kCounts : Segmentation::Kind::kString;
      in.height = static_cast<uint32_t>(rng.below(1000));
      in.width = static_cast<uint32_t>(rng.below(1000));
      for (int64_t n = rng.below(9); n > 0; --n) in.counts.push_back(static_cast<uint32_t>(rng.next()));
      in.text = text;
    }
    std::vector<uint8_t> packed = {1, 2, 3};
    pack(in, packed);
    unpack(packed.data() + 3, back);
    REQUIRE(back.kind == in.kind);
    if (kind == 0) {
      REQUIRE(back.lengths == in.lengths);
      REQUIRE(back.numbers.size() == in.numbers.size());
      for (size_t k = 0; k < in.numbers.size(); ++k) REQUIRE(bits_of(back.numbers[k]) == bits_of(in.numbers[k]));
    } else {
      REQUIRE((back.height == in.height && back.width == in.width));
      if (kind == 1) REQUIRE(back.counts == in.counts);
      if (kind == 2) REQUIRE(back.text == in.text);
    }
  }
}
