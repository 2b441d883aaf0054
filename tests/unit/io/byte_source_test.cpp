#include "lib/io/byte_source.h"

#include <zlib.h>

#include "lib/base/error.h"
#include "lib/base/rng.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace {

using iuq::Rng;
using iuq::test::TempFolder;
using iuq::test::write_bytes;

std::string zip(const std::string& text, int level = 6) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string some_text(Rng& rng, size_t size) {
  std::string text(size, ' ');
  for (char& c : text) c = static_cast<char>("abcde{},[]\n\x1f\x8b"[rng.below(14)]);
  return text;
}

// All of it, in reads of the sizes that `size_of` gives; each but the last must be full.
template <class SizeOf>
std::string read_all(const std::string& path, SizeOf size_of) {
  iuq::io::ByteSource source(path);
  std::string out;
  for (;;) {
    const size_t size = size_of(), had = out.size();
    out.resize(had + size);
    const size_t got = source.read(out.data() + had, size);
    out.resize(had + got);
    if (got < size) break;
  }
  char more = 0;
  CHECK(source.read(&more, 1) == 0);  // the end stays the end
  return out;
}

std::string read_all(const std::string& path) {
  return read_all(path, [] { return size_t{4096}; });
}

iuq::ErrorCode code_of(const std::string& path, std::string* message = nullptr) {
  try {
    read_all(path);
  } catch (const iuq::Error& e) {
    if (message) *message = e.what();
    return e.code();
  }
  return iuq::ErrorCode::kInternal;
}

}  // namespace

TEST_CASE("byte_source: plain and gzip come out the same, however much is asked for at a time", "[io][property]") {
  const TempFolder folder;
  Rng rng(1, "byte-source");
  for (const size_t size : {0, 1, 2, 3, 100, 4096, 300000, 1100000}) {
    CAPTURE(size);
    std::string text = some_text(rng, size);
    if (size > 1) text[0] = 'x';  // not gzip by chance
    write_bytes(folder / "plain", text);
    write_bytes(folder / "packed", zip(text));
    write_bytes(folder / "stored", zip(text, 0));
    for (const char* name : {"plain", "packed", "stored"}) {
      REQUIRE(read_all(folder / name) == text);
      REQUIRE(read_all(folder / name, [&] { return static_cast<size_t>(1 + rng.below(70000)); }) == text);
      if (size < 5000) REQUIRE(read_all(folder / name, [] { return size_t{1}; }) == text);
    }
  }
}

TEST_CASE("byte_source: one byte of the gzip mark is plain text", "[io][golden]") {
  const TempFolder folder;
  for (const std::string& text : {std::string("\x1f"), std::string("\x1f\x1f\x8b"), std::string("\0\x1f\x8b", 3)}) {
    write_bytes(folder / "file", text);
    CHECK(read_all(folder / "file") == text);
  }
}

TEST_CASE("byte_source: gzip members follow one another, empty ones too", "[io][property]") {
  const TempFolder folder;
  Rng rng(2, "byte-source-members");
  for (int i = 0; i < 30; ++i) {
    CAPTURE(i);
    std::string text, packed;
    for (int64_t n = 1 + rng.below(6); n > 0; --n) {
      const std::string part = some_text(rng, static_cast<size_t>(rng.below(3) ? rng.below(200000) : 0));
      text += part;
      packed += zip(part, static_cast<int>(rng.below(10)));
    }
    write_bytes(folder / "file.gz", packed);
    REQUIRE(read_all(folder / "file.gz", [&] { return static_cast<size_t>(1 + rng.below(100000)); }) == text);
  }
}

TEST_CASE("byte_source: gzip that is cut anywhere is said to be truncated", "[io][error]") {
  const TempFolder folder;
  Rng rng(3, "byte-source-cut");
  const std::string first = zip("one member before"), packed = first + zip(some_text(rng, 300));
  for (size_t n = 2; n < packed.size(); ++n) {
    if (n == first.size()) continue;  // the end of the first member is an end
    CAPTURE(n);
    write_bytes(folder / "cut.gz", packed.substr(0, n));
    std::string message;
    REQUIRE(code_of(folder / "cut.gz", &message) == iuq::ErrorCode::kBadData);
    REQUIRE(message.find("cut.gz") != std::string::npos);
    REQUIRE(message.find("truncated") != std::string::npos);
  }
}

TEST_CASE("byte_source: a damaged gzip file never yields other text", "[io][error]") {
  const TempFolder folder;
  Rng rng(4, "byte-source-damage");
  const std::string text = some_text(rng, 2000), packed = zip(text);
  int refused = 0;
  for (size_t at = 2; at < packed.size(); ++at) {
    CAPTURE(at);
    std::string damaged = packed;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << rng.below(8)));
    write_bytes(folder / "bad.gz", damaged);
    std::string got = text;
    try {
      got = read_all(folder / "bad.gz");
    } catch (const iuq::Error& e) {
      CHECK(e.code() == iuq::ErrorCode::kBadData);
      ++refused;
    }
    REQUIRE(got == text);  // the header has bytes that mean nothing here
  }
  CHECK(refused > static_cast<int>(packed.size()) - 12);
  write_bytes(folder / "bad.gz", packed + "not another member");
  CHECK(code_of(folder / "bad.gz") == iuq::ErrorCode::kBadData);
}

TEST_CASE("byte_source: a missing file is kNoInput, a folder kIo", "[io][error]") {
  const TempFolder folder;
  CHECK(code_of(folder / "absent") == iuq::ErrorCode::kNoInput);
  CHECK(code_of(folder.path()) == iuq::ErrorCode::kIo);
}
