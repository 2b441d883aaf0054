#include "lib/weights/unwrap.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/io/atomic_file.h"
#include "lib/io/file_kind.h"
#include "lib/io/json_file.h"
#include "lib/io/safetensors.h"
#include "lib/weights/convert.h"
#include "lib/weights/read_weights.h"
#include "tests/support/catch.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"

namespace {

using namespace iuq;
using namespace iuq::weights;

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

io::TensorData filled(float value) {
  const std::vector<float> values(4, value);
  return io::make_tensor(io::DType::kF32, {4}, values.data());
}

const std::vector<std::string>& norms() {
  static const std::vector<std::string> names = {"bn1.weight", "bn1.bias", "layer1.0.bn1.weight", "layer1.0.bn1.bias", "layer4.1.bn2.bias"};
  return names;
}

/// Five parameters of a ResNet, as they are named once `wrap` has had them.
template <class Wrap>
void add(io::TensorFile& file, float value, const Wrap& wrap) {
  for (const std::string& name : norms()) file.tensors.emplace_back(wrap(name), filled(value));
}

std::vector<std::string> names_of(const io::TensorFile& file) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : file.tensors) names.push_back(name);
  return names;
}

float first_of(const io::TensorFile& file) { return file.tensors.at(0).second.as<float>()[0]; }

}  // namespace

TEST_CASE("unwrap: wrappers come off by themselves when that makes the names known", "[weights][property]") {
  for (const std::string wrapper : {"", "module.", "model.", "_orig_mod.", "net.", "module._orig_mod.", "model.module.", "a.b.c.",
                                    "_fsdp_wrapped_module.", "detector.backbone._orig_mod.module."}) {
    CAPTURE(wrapper);
    io::TensorFile file;
    add(file, 1, [&](const std::string& name) { return wrapper + name; });
    const Unwrapped unwrapped = unwrap(file, "auto", "", "x");
    CHECK(names_of(unwrapped.file) == norms());
    CHECK(unwrapped.sources == names_of(file));
  }
  // torch.compile on a part of the model marks the middle of names.
  io::TensorFile part;
  add(part, 1, [](std::string name) { return name.insert(name.rfind('.') + 1, "_orig_mod."); });
  CHECK(names_of(unwrap(part, "auto", "", "x").file) == norms());
  // mmdetection's own "backbone." is no wrapper.
  io::TensorFile mmdet;
  add(mmdet, 1, [](const std::string& name) { return "backbone." + name; });
  CHECK(names_of(unwrap(mmdet, "auto", "", "x").file) == names_of(mmdet));
}

TEST_CASE("unwrap: of a teacher, a student and an average one is chosen by --prefix", "[weights][property]") {
  io::TensorFile file;
  add(file, 1, [](const std::string& name) { return "teacher." + name; });
  add(file, 2, [](const std::string& name) { return "student.module." + name; });
  CHECK(unwrap(file, "auto", "", "x").copies == std::vector<std::string>{"student", "teacher"});
  for (const std::string prefix : {"student", "student.", "student.module"}) {
    const Unwrapped student = unwrap(file, "auto", prefix, "x");
    CHECK(names_of(student.file) == norms());
    CHECK(first_of(student.file) == 2);
    CHECK(student.left_out.size() == norms().size());
  }
  CHECK(first_of(unwrap(file, "auto", "teacher", "x").file) == 1);
  CHECK(says(test::message_of([&] { unwrap(file, "auto", "stud", "x"); }), "no name begins with \"stud.\"; --prefix can be student, teacher"));

  const test::TempFolder folder;
  io::write_safetensors(folder / "two.safetensors", file);
  CHECK(says(test::message_of([&] { convert(folder / "two.safetensors", {}); }), "choose with --prefix student, teacher"));
}

TEST_CASE("unwrap: mmcv's averaged buffers are left out and offered", "[weights][property]") {
  io::TensorFile file;
  add(file, 1, [](const std::string& name) { return "backbone." + name; });
  add(file, 2, [](std::string name) {
    std::replace(name.begin(), name.end(), '.', '_');
    return "ema_backbone_" + name;
  });
  const Unwrapped plain = unwrap(file, "auto", "", "x"), average = unwrap(file, "auto", "ema_", "x");
  CHECK(names_of(plain.file) == names_of(average.file));
  CHECK(first_of(plain.file) == 1);
  CHECK(first_of(average.file) == 2);
  CHECK(plain.copies == std::vector<std::string>{"ema_"});
  CHECK(average.sources.front() == "ema_backbone_bn1_weight");
}

TEST_CASE("read_weights: an index, or its folder, stands for weights in several files", "[weights][property]") {
  const test::TempFolder folder;
  io::TensorFile one, two;
  one.tensors.emplace_back("bn1.weight", filled(1));
  two.tensors.emplace_back("bn1.bias", filled(2));
  const std::string a = "model-00001-of-00002.safetensors", b = "model-00002-of-00002.safetensors";
  io::write_safetensors(folder / a, one);
  io::write_safetensors(folder / b, two);
  const std::string index = folder / "model.safetensors.index.json";
  const auto said = [&](const std::string& path) { return test::message_of([&] { read_weights(path, nullptr); }); };
  CHECK(names_of(read_weights(folder.path(), nullptr)) == std::vector<std::string>{"bn1.weight", "bn1.bias"});  // by their names
  io::write_json(index, {{"weight_map", {{"bn1.weight", a}, {"bn1.bias", b}}}});
  CHECK(names_of(read_weights(folder.path(), nullptr)).size() == 2);
  CHECK(names_of(read_weights(index, nullptr)).size() == 2);
  CHECK(says(said(folder / a), "is one of 2 files of the weights"));
  io::write_json(index, {{"weight_map", {{"bn1.weight", a}, {"bn1.bias", b}, {"bn2.bias", b}}}});
  CHECK(says(said(index), "\"bn2.bias\", which none of its files has"));
  io::write_json(index, {{"weight_map", {{"bn1.weight", "../" + a}}}});
  CHECK(says(said(index), "not a file beside it"));
  io::write_json(index, {{"weight_map", {{"bn1.weight", "model-00003-of-00003.safetensors"}}}});
  CHECK(says(said(index), "model-00003-of-00003.safetensors\" is missing"));
  std::remove(index.c_str());
  std::remove((folder / b).c_str());
  CHECK(says(said(folder.path()), "has 1 of the 2 files"));
}

TEST_CASE("read_weights: what lies in the place of weights is named for what it is", "[weights][error]") {
  const test::TempFolder folder;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "Git LFS pointer"},
      {"\n  <!doctype HTML><html lang=en>", "web page"},
      {"<html><body>Quota exceeded</body></html>", "web page"},
      {"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "XML text"},
      {"{\"weight_map\": {}}", "index of weights"},
      {"{\"error\": \"Repository not found\"}", "JSON text"},
      {"", "empty file"},
      {std::string("\x1f\x8b\x08\0\0\0\0\0\0\3", 10), "gzip archive"},
      {std::string("\xfd" "7zXZ\0\0\4", 8), "xz archive"},
      {std::string(257, 'x') + "ustar" + std::string(250, '\0'), "tar archive"},
      {"\x89HDF\r\n\x1a\n12345678", "HDF5"},
  };
  for (const auto& [bytes, word] : cases) {
    for (const char* name : {"w.pth", "w.safetensors"}) {
      CAPTURE(word, name);
      io::write_text(folder / name, bytes);
      CHECK(says(test::message_of([&] { read_weights(folder / name, nullptr); }), word));
    }
  }
  CHECK(io::shards_in_name("a/pytorch_model-00003-of-00012.bin") == 12);
  CHECK(io::shards_in_name("model.safetensors") == 0);
}
