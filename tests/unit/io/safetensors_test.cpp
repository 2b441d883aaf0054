#include "lib/io/safetensors.h"

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "lib/base/error.h"
#include "lib/io/atomic_file.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace {

using namespace iuq;
using namespace iuq::io;

void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string container(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// The message of the error that reading `bytes` gives; fails the test if there is none.
std::string refusal(const iuq::test::TempFolder& folder, const std::string& bytes) {
  const std::string path = folder / "bad.safetensors";
  put(path, bytes);
  try {
    read_safetensors(path);
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::kBadData);
    CHECK(has(e.what(), "bad.safetensors"));
    return e.what();
  }
  FAIL("the file was accepted");
  return "";
}

TensorFile example() {
  const float weights[6] = {1, -2, 3.5f, 0, 1e-30f, -0.0f};
  const uint8_t flags[3] = {1, 0, 1};
  const int64_t step = -7;
  TensorFile file;
  file.tensors.emplace_back("flags", make_tensor(DType::kBool, {3}, flags));
  file.tensors.emplace_back("a.weight", make_tensor(DType::kF32, {2, 3}, weights));
  file.tensors.emplace_back("empty", make_tensor(DType::kF16, {0, 4}));
  file.tensors.emplace_back("step", make_tensor(DType::kI64, {}, &step));
  file.metadata = {{"b", "2"}, {"a", "{\"x\": \"\u00e9\"}"}};
  return file;
}

}  // namespace

TEST_CASE("safetensors: what is written is read back", "[io][property]") {
  const iuq::test::TempFolder folder;
  const std::string path = folder / "m.safetensors";
  const TensorFile file = example();
  write_safetensors(path, file);
  const TensorFile back = read_safetensors(path);
  CHECK(back.metadata == file.metadata);
  REQUIRE(back.tensors.size() == file.tensors.size());
  for (const auto& [name, tensor] : file.tensors) {
    const TensorData* found = back.find(name);
    REQUIRE(found != nullptr);
    CHECK(found->dtype == tensor.dtype);
    CHECK(found->shape == tensor.shape);
    REQUIRE(found->bytes == tensor.bytes);
    CHECK((tensor.bytes == 0 || std::memcmp(found->data, tensor.data, tensor.bytes) == 0));
    CHECK(reinterpret_cast<uintptr_t>(found->data) % size_of(found->dtype) == 0);
  }
  CHECK(back.tensors.front().first == "step");  // largest elements first
  CHECK(back.tensors.back().first == "flags");
  CHECK(back.find("step")->as<int64_t>()[0] == -7);
  CHECK(back.find("nothing") == nullptr);
  CHECK_THROWS_AS(back.find("step")->as<float>(), Error);
}

TEST_CASE("safetensors: tensors outlive the file they were read from", "[io][property]") {
  const iuq::test::TempFolder folder;
  const std::string path = folder / "m.safetensors";
  write_safetensors(path, example());
  const TensorData kept = *read_safetensors(path).find("a.weight");
  std::filesystem::remove(path);
  CHECK(kept.as<float>()[2] == 3.5f);
}

TEST_CASE("safetensors: the same content gives the same bytes", "[io][property]") {
  const iuq::test::TempFolder folder;
  write_safetensors(folder / "a", example());
  write_safetensors(folder / "b", read_safetensors(folder / "a"));
  CHECK(read_text(folder / "a") == read_text(folder / "b"));
}

TEST_CASE("safetensors: a file of another writer is read, unaligned tensors too", "[io][golden]") {
  const iuq::test::TempFolder folder;
  const std::string header =
      R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}  )";
  const float value = 0.25f;
  std::string data("\x07", 1);
  data.append(reinterpret_cast<const char*>(&value), 4);
  put(folder / "x", container(header, data));
  const TensorFile file = read_safetensors(folder / "x");
  REQUIRE(file.tensors.size() == 2);
  CHECK(file.tensors[0].first == "a");
  CHECK(file.tensors[0].second.as<uint8_t>()[0] == 7);
  CHECK(file.tensors[1].second.as<float>()[0] == 0.25f);
  CHECK(reinterpret_cast<uintptr_t>(file.tensors[1].second.data) % 4 == 0);
}

TEST_CASE("safetensors: headers that lie are refused by name", "[io][error]") {
  const iuq::test::TempFolder folder;
  const auto one = [&](const std::string& fields, size_t bytes) {
    return refusal(folder, container("{\"w\":{" + fields + "}}", std::string(bytes, 'x')));
  };
  CHECK(has(one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])", 4), "\"w\" has 4 bytes, which is not its shape"));
  CHECK(has(one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", 4), "outside of the 4 bytes"));
  CHECK(has(one(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])", 8), "not at 0"));
  CHECK(has(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])", 5), "end at byte 4 of 5"));
  CHECK(has(one(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])", 4), "data_offsets"));
  CHECK(has(one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])", 4), "integers >= 0"));
  CHECK(has(one(R"("dtype":"F32","shape":[1.5],"data_offsets":[0,4])", 4), "integers >= 0"));
  CHECK(has(one(R"("dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4])", 4), "F8_E4M3"));
  CHECK(has(one(R"("dtype":"F32","shape":[4294967296,4294967296,1],"data_offsets":[0,0])", 0), "not its shape"));
  CHECK(has(one(R"("dtype":"F32","shape":[1])", 4), "exactly dtype"));
  const std::string tensor = R"({"dtype":"U8","shape":[2],"data_offsets":[0,2]})";
  CHECK(has(refusal(folder, container("{\"w\":" + tensor + ",\"v\":" + tensor + "}", "xx")), "overlap"));
  CHECK(has(refusal(folder, container("{\"w\":" + tensor + ",\"w\":" + tensor + "}", "xx")), "there twice"));
  CHECK(has(refusal(folder, container(R"({"__metadata__":{"a":1}})", "")), "not a string"));
  CHECK(has(refusal(folder, container("[]", "")), "start with {"));
  CHECK(has(refusal(folder, container("{\"a\":[[[[[[]]]]]]}", "")), "too deep"));
  CHECK(has(refusal(folder, container("{\"a\"", "")), "no JSON"));
  CHECK(has(refusal(folder, std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10)), "truncated"));
  CHECK(has(refusal(folder, ""), "0 bytes"));
  CHECK_THROWS_AS(read_safetensors(folder / "absent"), Error);
}

TEST_CASE("safetensors: a truncated file is refused at every length", "[io][error]") {
  const iuq::test::TempFolder folder;
  write_safetensors(folder / "m", example());
  const std::string whole = read_text(folder / "m");
  for (size_t length = 0; length < whole.size(); ++length) refusal(folder, whole.substr(0, length));
}

TEST_CASE("safetensors: a writer's mistakes are refused and leave no file", "[io][error]") {
  const iuq::test::TempFolder folder;
  TensorFile twice = example();
  twice.tensors.push_back(twice.tensors[0]);
  CHECK_THROWS_AS(write_safetensors(folder / "x", twice), Error);
  TensorFile wrong = example();
  wrong.tensors[1].second.shape = {7};
  CHECK_THROWS_AS(write_safetensors(folder / "x", wrong), Error);
  TensorFile latin = example();
  latin.metadata["k"] = "\xe9";
  CHECK_THROWS_AS(write_safetensors(folder / "x", latin), Error);
  CHECK_FALSE(exists(folder / "x"));
  CHECK_THROWS_AS(write_safetensors(folder / "no/such/folder", example()), Error);
}
