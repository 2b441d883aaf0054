#include "lib/io/hdf5.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "lib/base/error.h"
#include "tests/support/catch.h"
#include "tests/support/error_of.h"
#include "tests/support/file_limit.h"
#include "tests/support/temp_folder.h"

using namespace iuq;
using iuq::test::TempFolder;

namespace {

constexpr int64_t kRowValues = 2 * 3 * 5;

std::vector<uint16_t> row_values(int64_t row) {
  std::vector<uint16_t> values(kRowValues);
  for (int64_t i = 0; i < kRowValues; ++i) values[size_t(i)] = uint16_t(1000 * row + i);
  return values;
}

void write_sample(const std::string& path, io::DType dtype, int gzip) {
  io::Hdf5File file = io::Hdf5File::create(path);
  file.set_attribute("magic", std::string("sample"));
  file.set_attribute("schema", int64_t{7});
  file.write_text("note", "grün \"x\"");
  file.write_table<int64_t>("ids", {1, -2, INT64_MAX, 4, 5, 6}, 3);
  file.write_table<uint64_t>("sums", {1, UINT64_MAX}, 1);
  file.write_table<double>("empty", {}, 4);
  file.make_group("maps");
  file.make_group("maps/8x8");
  io::Hdf5Rows rows = file.create_rows("maps/8x8/level0", dtype, 4, {2, 3, 5}, gzip);
  if (gzip > 0) {
    for (int64_t r = 0; r < 4; ++r) rows.write(r, row_values(r).data());
  }
  file.close();
  if (gzip > 0) return;
  const io::Hdf5File::ByteRange range = io::Hdf5File::open(path).byte_range("maps/8x8/level0");
  io::Hdf5Patcher patcher(path);
  patcher.reserve();
  for (int64_t r = 0; r < 4; ++r) patcher.write(range, r * kRowValues * 2, row_values(r).data(), kRowValues * 2);
  patcher.sync();
}

// Everything there is to read; throws Error on any damage it notices.
void read_sample(const std::string& path) {
  const io::Hdf5File file = io::Hdf5File::open(path);
  file.text_attribute("magic");
  file.int_attribute("schema");
  file.read_text("note");
  file.read_table<int64_t>("ids", 3);
  file.read_table<uint64_t>("sums", 1);
  file.read_table<double>("empty", 4, 0);
  const io::Hdf5Rows rows = file.rows("maps/8x8/level0");
  if (rows.row_bytes() > 1000 || rows.count() > 1000) throw Error(ErrorCode::kBadData, "other shape");
  std::vector<char> out(rows.row_bytes());
  for (int64_t r = 0; r < rows.count(); ++r) rows.read(r, out.data());
}

}  // namespace

TEST_CASE("hdf5: what is written is what is read", "[io][property]") {
  const TempFolder folder;
  const std::string path = folder / "a.h5";
  const auto [dtype, gzip] = GENERATE(std::pair{io::DType::kF16, 0}, std::pair{io::DType::kBF16, 0},
                                      std::pair{io::DType::kF16, 4}, std::pair{io::DType::kBF16, 1});
  write_sample(path, dtype, gzip);
  const io::Hdf5File file = io::Hdf5File::open(path);
  CHECK(file.text_attribute("magic") == "sample");
  CHECK(file.int_attribute("schema") == 7);
  CHECK(file.has_attribute("schema"));
  CHECK_FALSE(file.has_attribute("scheme"));
  CHECK(file.read_text("note") == "grün \"x\"");
  CHECK(file.read_table<int64_t>("ids", 3) == std::vector<int64_t>{1, -2, INT64_MAX, 4, 5, 6});
  CHECK(file.read_table<uint64_t>("sums", 1) == std::vector<uint64_t>{1, UINT64_MAX});
  CHECK(file.read_table<double>("empty", 4).empty());
  const io::Hdf5Rows rows = file.rows("maps/8x8/level0");
  CHECK(rows.dtype() == dtype);
  CHECK(rows.count() == 4);
  CHECK(rows.row_shape() == std::vector<int64_t>{2, 3, 5});
  CHECK(rows.row_bytes() == kRowValues * 2);
  CHECK(rows.compressed() == (gzip > 0));
  std::vector<uint16_t> row(kRowValues);
  for (int64_t r = 3; r >= 0; --r) {
    rows.read(r, row.data());
    CHECK(row == row_values(r));
  }
}

TEST_CASE("hdf5: rows outlive the file object and can be read from many threads", "[io][property]") {
  const TempFolder folder;
  const int gzip = GENERATE(0, 1);
  write_sample(folder / "a.h5", io::DType::kF16, gzip);
  const io::Hdf5Rows rows = io::Hdf5File::open(folder / "a.h5").rows("maps/8x8/level0");
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<uint16_t> row(kRowValues);
      for (int i = 0; i < 50; ++i) {
        rows.read((i + t) % 4, row.data());
        wrong += row != row_values((i + t) % 4);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("hdf5: the same content gives the same bytes, whenever it is written", "[io][property]") {
  const TempFolder folder;
  write_sample(folder / "a.h5", io::DType::kF16, 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5 would note the second
  write_sample(folder / "b.h5", io::DType::kF16, 0);
  CHECK(test::read_bytes(folder / "a.h5") == test::read_bytes(folder / "b.h5"));
}

TEST_CASE("hdf5: a truncated file is an error at every length", "[io][error]") {
  const TempFolder folder;
  const int gzip = GENERATE(0, 1);
  write_sample(folder / "a.h5", io::DType::kF16, gzip);
  const std::string whole = test::read_bytes(folder / "a.h5");
  for (size_t length = 0; length < whole.size(); length += 61) {
    test::write_bytes(folder / "cut.h5", whole.substr(0, length));
    const std::string message = test::error_of([&] { read_sample(folder / "cut.h5"); }, ErrorCode::kBadData);
    CHECK(message.find("cut.h5") != std::string::npos);
  }
}

TEST_CASE("hdf5: a flipped byte is an error or changes a value, never a crash", "[io][error]") {
  const TempFolder folder;
  const int gzip = GENERATE(0, 1);
  write_sample(folder / "a.h5", io::DType::kF16, gzip);
  const std::string whole = test::read_bytes(folder / "a.h5");
  int noticed = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << (at % 8)));
    test::write_bytes(folder / "flip.h5", bytes);
    try {
      read_sample(folder / "flip.h5");
    } catch (const Error& e) {
      CHECK(e.code() == ErrorCode::kBadData);
      ++noticed;
    }
  }
  CHECK(noticed > 100);
}

TEST_CASE("hdf5: what is not the expected object is named", "[io][error]") {
  const TempFolder folder;
  write_sample(folder / "a.h5", io::DType::kF16, 0);
  const io::Hdf5File file = io::Hdf5File::open(folder / "a.h5");
  const auto says = [&](const std::function<void()>& f, const std::string& name) {
    const std::string message = test::error_of(f, ErrorCode::kBadData);
    CHECK(message.find("a.h5\"") != std::string::npos);
    CHECK(message.find(name) != std::string::npos);
  };
  says([&] { file.read_table<int64_t>("idz", 3); }, "idz");
  says([&] { file.read_table<int64_t>("ids", 2); }, "ids");
  says([&] { file.read_table<int64_t>("ids", 3, 1); }, "ids");
  says([&] { file.read_table<double>("ids", 3); }, "ids");
  says([&] { file.read_text("ids"); }, "ids");
  says([&] { file.rows("ids"); }, "ids");
  says([&] { file.int_attribute("magic"); }, "magic");
  says([&] { file.text_attribute("schema"); }, "schema");
  says([&] { file.text_attribute("none"); }, "none");
}

TEST_CASE("hdf5: no file, a text file and a folder that is missing each have their error", "[io][error]") {
  const TempFolder folder;
  test::write_bytes(folder / "text.h5", "this is not it\n");
  test::error_of([&] { io::Hdf5File::open(folder / "none.h5"); }, ErrorCode::kNoInput);
  CHECK(test::error_of([&] { io::Hdf5File::open(folder / "text.h5"); }, ErrorCode::kBadData).find("no HDF5 file") !=
        std::string::npos);
  test::error_of([&] { io::Hdf5File::create(folder / "no/a.h5"); }, ErrorCode::kCannotCreate);
}

TEST_CASE("hdf5: a full disk is an error when writing, reserving and patching", "[io][error]") {
  const TempFolder folder;
  {
    io::Hdf5File file = io::Hdf5File::create(folder / "big.h5");
    file.create_rows("rows", io::DType::kF32, 100, {64, 64}, 0);
    file.close();
  }
  const io::Hdf5File::ByteRange range = io::Hdf5File::open(folder / "big.h5").byte_range("rows");
  const std::vector<char> data(1 << 20);
  const test::FileLimit limit(1 << 16);
  test::error_of(
      [&] {
        io::Hdf5File file = io::Hdf5File::create(folder / "a.h5");
        file.write_table<int64_t>("ids", std::vector<int64_t>(1 << 16), 1);
        file.close();
      },
      ErrorCode::kIo);
  io::Hdf5Patcher patcher(folder / "big.h5");
  test::error_of([&] { patcher.write(range, 0, data.data(), data.size()); }, ErrorCode::kIo);
}

TEST_CASE("hdf5: two writers of one file exclude each other", "[io][error]") {
  const TempFolder folder;
  write_sample(folder / "a.h5", io::DType::kF16, 0);
  const io::Hdf5Patcher first(folder / "a.h5");
  test::error_of([&] { io::Hdf5Patcher second(folder / "a.h5"); }, ErrorCode::kCannotCreate);
  CHECK_NOTHROW(read_sample(folder / "a.h5"));
}

TEST_CASE("hdf5: folders become their shards in order", "[io][property]") {
  const TempFolder folder;
  test::error_of([&] { io::expand_shard_folders({folder.path()}); }, ErrorCode::kNoInput);
  for (const char* name : {"shard-001-of-002.h5", "shard-000-of-002.h5", "shard-000-of-002.h5.partial", "x.h5"}) {
    test::write_bytes(folder / name, "x");
  }
  CHECK(io::expand_shard_folders({"y.h5", folder.path()}) ==
        std::vector<std::string>{"y.h5", folder / "shard-000-of-002.h5", folder / "shard-001-of-002.h5"});
}
