#include "lib/io/torch_file.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "lib/base/error.h"
#include "lib/io/atomic_file.h"
#include "lib/io/pickle.h"
#include "tests/support/catch.h"

// The files come from scripts/gen_fixtures_weights.py.

namespace {

using namespace iuq;
using namespace iuq::io;

std::string fixture(const std::string& name) { return cat(IUQ_SOURCE_DIR, "/tests/fixtures/weights/", name); }

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

float from_half(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const float mantissa = static_cast<float>(bits & 1023) / 1024;
  const float value = exponent == 0 ? std::ldexp(mantissa, -14) : std::ldexp(1 + mantissa, exponent - 15);
  return bits & 0x8000 ? -value : value;
}

double element(const TensorData& tensor, int64_t i) {
  switch (tensor.dtype) {
    case DType::kF64: return tensor.as<double>()[i];
    case DType::kF32: return tensor.as<float>()[i];
    case DType::kF16: return from_half(tensor.as<uint16_t>()[i]);
    case DType::kBF16: {
      const uint32_t bits = uint32_t{tensor.as<uint16_t>()[i]} << 16;
      float value;
      std::memcpy(&value, &bits, 4);
      return value;
    }
    case DType::kI64: return static_cast<double>(tensor.as<int64_t>()[i]);
    case DType::kI32: return tensor.as<int32_t>()[i];
    case DType::kI16: return tensor.as<int16_t>()[i];
    case DType::kI8: return tensor.as<int8_t>()[i];
    case DType::kU8: case DType::kBool: return tensor.as<uint8_t>()[i];
  }
  return 0;
}

// The rule of the generator.
double expected(const std::string& name, DType dtype, int64_t i) {
  const int64_t raw = (5 * i + static_cast<int64_t>(name.size())) % 17 - 8;
  if (dtype == DType::kBool) return raw > 0;
  if (dtype == DType::kU8) return static_cast<double>(raw & 255);
  const bool is_float = dtype == DType::kF64 || dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
  return is_float ? static_cast<double>(raw) / 4 : static_cast<double>(raw);
}

void check_values(const TensorFile& file) {
  for (const auto& [name, tensor] : file.tensors) {
    INFO(name);
    for (int64_t i = 0; i < tensor.count(); ++i) REQUIRE(element(tensor, i) == expected(name, tensor.dtype, i));
  }
}

std::string names(const TensorFile& file) {
  std::string text;
  for (const auto& [name, tensor] : file.tensors) text += cat(name, " ", describe(tensor), "\n");
  return text;
}

class Scratch {
 public:
  explicit Scratch(const std::string& bytes) : path_(cat("/tmp/iuq_torch_file_", getpid())) {
    std::ofstream(path_, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  ~Scratch() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string pickle_refusal(const std::string& path) {
  try {
    read_torch_file(path);
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::kBadData);
    return e.what();
  }
  return "accepted";
}

const char* const kState =
    "0.weight [3, 2, 1, 1] F32\n1.weight [3] F32\n1.bias [3] F32\n1.running_mean [3] F32\n1.running_var [3] F32\n"
    "1.num_batches_tracked [] I64\n";

const char* const kFiles[] = {"state_dict.pth", "zip64.pth",  "legacy.pth",  "detectron2.pth", "mmdet.pth", "parameters.pth",
                              "dtypes.pth",     "opaque.pth", "zoo_p2.pkl",  "zoo_p4.pkl",     "zoo_p5.pkl", "evil.pkl"};

}  // namespace

TEST_CASE("torch_file: one state dict is the same in every container", "[io][golden]") {
  for (const char* name : {"state_dict.pth", "zip64.pth", "legacy.pth", "detectron2.pth", "mmdet.pth"}) {
    INFO(name);
    const TensorFile file = read_torch_file(fixture(name));
    CHECK(names(file) == kState);
    check_values(file);
  }
}

TEST_CASE("torch_file: what stands beside the parameters is named", "[io][golden]") {
  std::vector<std::string> skipped;
  read_torch_file(fixture("detectron2.pth"), &skipped);
  CHECK(skipped == std::vector<std::string>{"optimizer: beside the parameters", "iteration: beside the parameters"});
}

TEST_CASE("torch_file: parameters and nested dicts get dotted names", "[io][golden]") {
  const TensorFile file = read_torch_file(fixture("parameters.pth"));
  CHECK(names(file) == "w [2, 3] F32\nnested.b [4] F32\n");
  check_values(file);
}

TEST_CASE("torch_file: every dtype, and views with strides", "[io][golden]") {
  std::vector<std::string> skipped;
  const TensorFile file = read_torch_file(fixture("dtypes.pth"), &skipped);
  CHECK(names(file) ==
        "f64 [3] F64\nf16 [3] F16\nbf16 [3] BF16\ni64 [3] I64\ni32 [3] I32\ni16 [3] I16\ni8 [3] I8\nu8 [3] U8\n"
        "bool [5] BOOL\nscalar [] F32\nempty [0, 4] F32\nstrided [3, 3] F32\ntransposed [2, 3, 4] F32\n");
  check_values(file);
  REQUIRE(skipped.size() == 1);
  CHECK(contains(skipped[0], "complex: "));
}

TEST_CASE("torch_file: pickles of numpy arrays, protocols 2, 4 and 5", "[io][golden]") {
  for (const char* name : {"zoo_p2.pkl", "zoo_p4.pkl", "zoo_p5.pkl"}) {
    INFO(name);
    std::vector<std::string> skipped;
    const TensorFile file = read_torch_file(fixture(name), &skipped);
    CHECK(names(file) ==
          "stem.conv1.weight [2, 3] F32\nfortran [3, 4] F32\nhalf [2] F16\nflags [5] BOOL\nscalar [] F32\n");
    check_values(file);
    CHECK(file.metadata.at("__author__") == "Caffe2");
    CHECK(std::count(skipped.begin(), skipped.end(), "big: a big-endian numpy array") == 1);
  }
}

TEST_CASE("torch_file: a pickle that asks for a call gets none", "[io][error]") {
  const std::string mark = "iuq_was_here";  // what the fixtures try to create
  std::filesystem::remove(mark);
  CHECK(contains(pickle_refusal(fixture("evil.pkl")), "posix.system"));
  std::vector<std::string> skipped;
  const TensorFile file = read_torch_file(fixture("opaque.pth"), &skipped);
  CHECK(names(file) == "w [2, 3] F32\n");
  CHECK(skipped == std::vector<std::string>{"evil: an object of posix.system, which is never run",
                                            "object: an object of iuq_fixture.Opaque, which is never run"});
  CHECK_FALSE(exists(mark));
}

TEST_CASE("torch_file: a file cut at any byte is an error or gives true values", "[io][error]") {
  for (const char* name : kFiles) {
    const std::string whole = read_text(fixture(name));
    for (size_t length = 0; length < whole.size(); ++length) {
      INFO(name << " cut to " << length);
      const Scratch scratch(whole.substr(0, length));
      REQUIRE(pickle_refusal(scratch.path()) != "accepted");
    }
  }
}

TEST_CASE("torch_file: a file with any one byte changed never does harm", "[io][error]") {
  for (const char* name : kFiles) {
    std::string bytes = read_text(fixture(name));
    for (size_t i = 0; i < bytes.size(); ++i) {
      for (const int change : {0x01, 0x80, 0xff}) {
        bytes[i] = static_cast<char>(bytes[i] ^ change);
        const Scratch scratch(bytes);
        CHECK_NOTHROW(pickle_refusal(scratch.path()));  // any other exception than Error fails here
        bytes[i] = static_cast<char>(bytes[i] ^ change);
      }
    }
  }
}

TEST_CASE("torch_file: other files are refused with a reason", "[io][error]") {
  CHECK(contains(pickle_refusal(Scratch("").path()), "accepted") == false);
  CHECK(contains(pickle_refusal(Scratch("hello").path()), "neither"));
  CHECK(contains(pickle_refusal(Scratch("PK\x03\x04rest").path()), "zip"));
  CHECK_THROWS_AS(read_torch_file("/nowhere/x.pth"), Error);
}

TEST_CASE("pickle: misuse of stack, memo and protocol is an error", "[io][error]") {
  const auto message = [](std::string_view bytes) -> std::string {
    try {
      pickle::Pickle(bytes, "x");
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  };
  CHECK(message(std::string_view("\x80\x02N.", 4)) == "accepted");
  CHECK(contains(message(std::string_view("\x80\x01N.", 4)), "protocol 1"));
  CHECK(contains(message("."), "0 values"));
  CHECK(contains(message("NN."), "2 values"));
  CHECK(contains(message("R."), "empty stack"));
  CHECK(contains(message("N(0R."), "empty stack"));
  CHECK(contains(message("e."), "never set"));
  CHECK(contains(message(std::string_view("h\x05.", 3)), "memo 5"));
  CHECK(contains(message("}(Nu."), "without a value"));
  CHECK(contains(message("NNa."), "adds items to a None"));
  CHECK(contains(message("I1\n."), "opcode 73"));
  CHECK(contains(message(std::string_view("\x8d\xff\xff\xff\xff\xff\xff\xff\xff", 9)), "truncated"));
  CHECK(contains(message("cos"), "without an end"));
  CHECK(contains(message("]]\x93."), "no text"));
}

TEST_CASE("pickle: numbers are read with their sign", "[io][golden]") {
  const auto integer = [](std::string_view bytes) { return pickle::Pickle(bytes, "x").root().integer; };
  CHECK(integer(std::string_view("K\xff.", 3)) == 255);
  CHECK(integer(std::string_view("M\x01\x02.", 4)) == 513);
  CHECK(integer(std::string_view("J\xfe\xff\xff\xff.", 6)) == -2);
  CHECK(integer(std::string_view("\x8a\x00.", 3)) == 0);
  CHECK(integer(std::string_view("\x8a\x01\xff.", 4)) == -1);
  CHECK(integer(std::string_view("\x8a\x02\xff\x00.", 5)) == 255);
  CHECK(integer(std::string_view("\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", 11)) == INT64_MIN);
  CHECK(pickle::Pickle(std::string_view("G\x3f\xf8\x00\x00\x00\x00\x00\x00.", 10), "x").root().number == 1.5);
}

TEST_CASE("pickle: a value that contains itself is read and walked", "[io][property]") {
  // d = {}; d["a"] = d
  const Scratch scratch(std::string("\x80\x02}q\x00X\x01\x00\x00\x00" "ah\x00s.", 15));
  CHECK(contains(pickle_refusal(scratch.path()), "nested too deep"));
}
