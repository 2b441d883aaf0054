
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/io/safetensors.h"
#include "lib/weights/convert.h"
#include "lib/weights/pattern.h"
#include "tests/support/catch.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"

namespace {

using namespace iuq;
using namespace iuq::weights;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

io::TensorData ramp(std::vector<int64_t> shape, float start) {
  io::TensorData tensor = io::make_tensor(io::DType::kF32, std::move(shape));
  std::vector<float> values(static_cast<size_t>(tensor.count()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = start + static_cast<float>(i);
  return io::make_tensor(io::DType::kF32, tensor.shape, values.data());
}

void add_conv(io::TensorFile& file, const std::string& name, int64_t out, int64_t in) {
  file.tensors.emplace_back(name, ramp({out, in, 1, 1}, static_cast<float>(file.tensors.size())));
}

void add_norm(io::TensorFile& file, const std::string& prefix, int64_t channels, bool statistics) {
  for (const char* field : {"weight", "bias", "running_mean", "running_var"}) {
    if (!statistics && field[0] == 'r') continue;
    file.tensors.emplace_back(prefix + field, ramp({channels}, static_cast<float>(file.tensors.size())));
  }
}

// A SOLOv2 whose every kind of name is there, with tiny tensors.
io::TensorFile tiny_solov2() {
  io::TensorFile file;
  const std::string body = "backbone.bottom_up.";
  for (const char* conv : {"stem.conv1.", "res2.0.conv1.", "res2.0.conv2.", "res2.0.conv3.", "res2.0.shortcut.", "res5.2.conv3."}) {
    add_conv(file, body + conv + "weight", 4, 2);
    add_norm(file, body + conv + "norm.", 4, true);
  }
  for (const char* level : {"2", "3", "4", "5"}) {
    for (const char* kind : {"backbone.fpn_lateral", "backbone.fpn_output"}) {
      add_conv(file, cat(kind, level, ".weight"), 4, 4);
      file.tensors.emplace_back(cat(kind, level, ".bias"), ramp({4}, 0));
    }
  }
  for (const char* tower : {"ins_head.cate_tower.", "ins_head.kernel_tower."}) {
    for (int i = 0; i < 4; ++i) {
      add_conv(file, cat(tower, 3 * i, ".weight"), 4, 4);
      add_norm(file, cat(tower, 3 * i + 1, "."), 4, false);
    }
  }
  for (const char* name : {"ins_head.cate_pred", "ins_head.kernel_pred"}) {
    add_conv(file, cat(name, ".weight"), 3, 4);
    file.tensors.emplace_back(cat(name, ".bias"), ramp({3}, 0));
  }
  for (const char* name : {"convs_all_levels.0.conv0", "convs_all_levels.3.conv2", "conv_pred"}) {
    add_conv(file, cat("mask_head.", name, ".0.weight"), 4, 4);
    add_norm(file, cat("mask_head.", name, ".1."), 4, false);
  }
  file.metadata["preprocessing"] = R"({"order":"RGB","mean":[1,2,3],"std":[4,5,6]})";
  return file;
}

// A CondInst likewise; its two heads of mmdetection share spellings with SOLOv2's.
io::TensorFile tiny_condinst() {
  io::TensorFile file;
  add_conv(file, "backbone.bottom_up.stem.conv1.weight", 4, 2);
  add_norm(file, "backbone.bottom_up.stem.conv1.norm.", 4, true);
  const auto add_biased = [&](const std::string& name) {
    add_conv(file, name + ".weight", 4, 4);
    file.tensors.emplace_back(name + ".bias", ramp({4}, 0));
  };
  for (const char* level : {"3", "4", "5"}) {
    add_biased(cat("backbone.fpn_lateral", level));
    add_biased(cat("backbone.fpn_output", level));
  }
  for (const char* name : {"backbone.top_block.p6", "backbone.top_block.p7", "controller", "mask_branch.tower.4"}) add_biased(name);
  const std::string fcos = "proposal_generator.fcos_head.";
  for (const char* tower : {"cls_tower.", "bbox_tower."}) {
    for (int i = 0; i < 4; ++i) {
      add_biased(cat(fcos, tower, 3 * i));
      add_norm(file, cat(fcos, tower, 3 * i + 1, "."), 4, false);
    }
  }
  for (const char* name : {"cls_logits", "bbox_pred", "ctrness"}) add_biased(fcos + name);
  for (int i = 0; i < 5; ++i) file.tensors.emplace_back(cat(fcos, "scales.", i, ".scale"), ramp({1}, 2));
  for (const char* name : {"mask_branch.refine.0.", "mask_branch.refine.2.", "mask_branch.tower.0.", "mask_branch.tower.3."}) {
    add_conv(file, cat(name, "0.weight"), 4, 4);
    add_norm(file, cat(name, "1."), 4, true);
  }
  file.metadata["preprocessing"] = R"({"order":"RGB","mean":[1,2,3],"std":[4,5,6]})";
  return file;
}

std::string ours(const std::string& name, const std::string& family = "auto") {
  return map_names({name}, family, "x").lines.at(0).target;
}

}  // namespace

TEST_CASE("names: patterns capture numbers, parts and linear forms", "[weights][property]") {
  std::string out;
  CHECK(rewrite("layer{k}.{i}.bn{j}.{*}", "res{k+1}.{i}.conv{j}.norm.{*}", "layer1.10.bn2.bias", out));
  CHECK(out == "res2.10.conv2.norm.bias");
  CHECK(rewrite("res{k+1}.{i}.conv{j}.norm.{*}", "layer{k}.{i}.bn{j}.{*}", "res2.10.conv2.norm.bias", out));
  CHECK(out == "layer1.10.bn2.bias");
  CHECK(rewrite("t.{3i+1}.{*}", "u.{i}.{*}", "t.7.bias", out));
  CHECK(out == "u.2.bias");
  CHECK_FALSE(rewrite("t.{3i+1}.{*}", "u.{i}", "t.8.bias", out));
  CHECK_FALSE(rewrite("t.{3i+1}", "u.{i}", "t.0", out));
  CHECK_FALSE(rewrite("t.{i}", "u.{i}", "t.01", out));  // would not come back as it was
  CHECK_FALSE(rewrite("t.{i}", "u.{i}", "t.", out));
  CHECK_FALSE(rewrite("t.{i}", "u.{i}", "t.99999999999999999999", out));
  CHECK_FALSE(rewrite("a.{*}", "b.{*}", "a.b.c", out));
  CHECK_FALSE(rewrite("a.{*}", "b.{*}", "a.", out));
  CHECK_FALSE(rewrite("a{i}.{i}", "b{i}", "a1.2", out));
  Captures captures;
  CHECK(match("{**}.num", "a.b.num", captures));
  CHECK_FALSE(match("{**}.num", ".num", captures));
}

TEST_CASE("names: one parameter of each kind in each naming", "[weights][golden]") {
  const std::string body = "backbone.bottom_up.";
  CHECK(ours("layer4.2.bn3.running_var") == body + "res5.2.conv3.norm.running_var");
  CHECK(ours("layer1.0.downsample.1.weight") == body + "res2.0.shortcut.norm.weight");
  CHECK(ours("backbone.conv1.weight") == body + "stem.conv1.weight");
  CHECK(ours("stem.conv1.norm.weight") == body + "stem.conv1.norm.weight");
  CHECK(ours("res2.0.conv1.weight") == body + "res2.0.conv1.weight");
  CHECK(ours("res4_22_branch2c_bn_gamma") == body + "res4.22.conv3.norm.weight");
  CHECK(ours("res2_0_branch1_bn_b") == body + "res2.0.shortcut.norm.bias");
  CHECK(ours("res_conv1_bn_riv") == body + "stem.conv1.norm.running_var");
  CHECK(ours("conv1_w") == body + "stem.conv1.weight");
  CHECK(ours("neck.lateral_convs.0.conv.bias") == "backbone.fpn_lateral2.bias");
  CHECK(ours("neck.fpn_convs.3.conv.weight") == "backbone.fpn_output5.weight");
  CHECK(ours("mask_head.cls_convs.3.conv.weight") == "ins_head.cate_tower.9.weight");
  CHECK(ours("mask_head.kernel_convs.1.gn.bias") == "ins_head.kernel_tower.4.bias");
  CHECK(ours("mask_head.conv_cls.bias") == "ins_head.cate_pred.bias");
  CHECK(ours("mask_head.mask_feature_head.convs_all_levels.3.conv0.conv.weight") == "mask_head.convs_all_levels.3.conv0.0.weight");
  CHECK(ours("mask_head.mask_feature_head.conv_pred.gn.weight") == "mask_head.conv_pred.1.weight");
  CHECK(ours("bbox_head.solo_kernel.weight") == "ins_head.kernel_pred.weight");
  CHECK(ours("bbox_head.cate_convs.2.gn.weight") == "ins_head.cate_tower.7.weight");
  CHECK(ours("mask_feat_head.convs_all_levels.1.conv0.gn.bias") == "mask_head.convs_all_levels.1.conv0.1.bias");
  CHECK(ours("mask_feat_head.conv_pred.0.conv.weight") == "mask_head.conv_pred.0.weight");
  CHECK(ours("mask_head.conv_pred.0.weight") == "mask_head.conv_pred.0.weight");
}

TEST_CASE("names: each of our names goes out and comes back in every complete naming", "[weights][property]") {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tiny_solov2().tensors) names.push_back(name);
  for (const char* family : {"detectron2", "mmdet", "solo"}) {
    INFO(family);
    std::vector<std::string> theirs;
    for (const Renamed& line : map_names_back(names, family, "x").lines) {
      INFO(line.source);
      REQUIRE_FALSE(line.target.empty());
      theirs.push_back(line.target);
    }
    for (const char* from : {family, "auto"}) {
      const NameMap map = map_names(theirs, from, "x");
      CHECK(map.naming->family == family);
      for (size_t i = 0; i < names.size(); ++i) CHECK(map.lines[i].target == names[i]);
    }
  }
  for (const Renamed& line : map_names_back(names, "torchvision", "x").lines) {
    INFO(line.source);
    const bool is_body = line.source.rfind("backbone.bottom_up.", 0) == 0;
    CHECK(line.target.empty() != is_body);
    if (is_body) CHECK(ours(line.target) == line.source);
  }
}

TEST_CASE("names: CondInst's go out to mmdetection and come back, scalars too", "[weights][golden]") {
  const io::TensorFile file = tiny_condinst();
  std::vector<std::string> names;
  for (const auto& [name, tensor] : file.tensors) names.push_back(name);
  std::map<std::string, std::string> theirs;
  for (const Renamed& line : map_names_back(names, "mmdet", "x").lines) theirs[line.source] = line.target;
  CHECK(theirs["backbone.fpn_lateral3.bias"] == "neck.lateral_convs.0.conv.bias");
  CHECK(theirs["backbone.fpn_output5.weight"] == "neck.fpn_convs.2.conv.weight");
  CHECK(theirs["backbone.top_block.p7.weight"] == "neck.fpn_convs.4.conv.weight");
  CHECK(theirs["proposal_generator.fcos_head.bbox_tower.9.bias"] == "bbox_head.reg_convs.3.conv.bias");
  CHECK(theirs["proposal_generator.fcos_head.cls_tower.4.weight"] == "bbox_head.cls_convs.1.gn.weight");
  CHECK(theirs["proposal_generator.fcos_head.ctrness.bias"] == "bbox_head.conv_centerness.bias");
  CHECK(theirs["mask_branch.refine.2.0.weight"] == "mask_head.mask_feature_head.convs_all_levels.2.conv2.conv.weight");
  CHECK(theirs["mask_branch.refine.0.1.running_var"] == "mask_head.mask_feature_head.convs_all_levels.0.conv0.bn.running_var");
  CHECK(theirs["mask_branch.tower.3.1.bias"] == "mask_head.mask_feature_head.conv_branch.3.bn.bias");
  CHECK(theirs["mask_branch.tower.4.weight"] == "mask_head.mask_feature_head.conv_pred.weight");

  const test::TempFolder scratch;
  io::write_safetensors(scratch / "a.safetensors", file);
  ConvertOptions there;
  there.to = "mmdet";
  const Conversion out = convert(scratch / "a.safetensors", there);
  CHECK(out.file.find("bbox_head.scales.4.scale")->shape.empty());
  io::write_safetensors(scratch / "b.safetensors", out.file);
  const Conversion back = convert(scratch / "b.safetensors", ConvertOptions{});
  CHECK(back.naming->name == "mmdet condinst");
  REQUIRE(back.file.tensors.size() == file.tensors.size());
  for (const auto& [name, tensor] : file.tensors) {
    INFO(name);
    const io::TensorData* other = back.file.find(name);
    REQUIRE(other);
    CHECK(other->shape == tensor.shape);
    CHECK(std::equal(tensor.data, tensor.data + tensor.bytes, other->data));
  }
  const NameMap reference = map_names({"mask_head._iter", "mask_head.sizes_of_interest", "mask_branch.seg_head.1.0.weight"},
                                      "detectron2", "x");
  CHECK(reference.lines[0].target.empty());
  CHECK(reference.lines[1].target.empty());
  CHECK(reference.lines[2].target == "mask_branch.seg_head.1.0.weight");
}

TEST_CASE("names: what carries nothing is dropped, what is unknown is refused", "[weights][error]") {
  const NameMap map = map_names({"conv1.weight", "bn1.num_batches_tracked", "fc.weight"}, "auto", "x");
  CHECK(map.naming->name == "torchvision");
  CHECK(map.lines[1].target.empty());
  CHECK(map.lines[2].target.empty());
  CHECK(has(test::message_of([] { map_names({"conv1.weight", "layer1.0.se.weight"}, "auto", "f.pth"); }),
            "f.pth: named as by torchvision's ImageNet ResNets, but 1 of 2 names have no place: \"layer1.0.se.weight\""));
  CHECK(has(test::message_of([] { map_names({"a", "b"}, "auto", "x"); }), "none of its 2 names"));
  CHECK(has(test::message_of([] { map_names({}, "auto", "x"); }), "none of its 0 names"));
  CHECK(has(test::message_of([] { map_names({"a"}, "keras", "x"); }), "no naming \"keras\""));
  CHECK(has(test::message_of([] { map_names({"conv1.weight"}, "mmdet", "x"); }), "none of its 1"));
  CHECK(has(test::message_of([] { map_names_back({"ins_head.cate_pred.bias"}, "torchvision", "x"); }), "no"));
  CHECK(has(test::message_of([] { map_names({"res_conv1_bn_s", "res_conv1_bn_gamma"}, "auto", "x"); }), "are both"));
}

TEST_CASE("convert: a model goes to another naming and back unchanged", "[weights][property]") {
  const test::TempFolder scratch;
  const io::TensorFile file = tiny_solov2();
  io::write_safetensors(scratch / "a.safetensors", file);
  for (const char* family : {"mmdet", "solo"}) {
    ConvertOptions there;
    there.to = family;
    io::write_safetensors(scratch / "b.safetensors", convert(scratch / "a.safetensors", there).file);
    const Conversion back = convert(scratch / "b.safetensors", ConvertOptions{});
    CHECK(back.naming->family == family);
    REQUIRE(back.file.tensors.size() == file.tensors.size());
    for (const auto& [name, tensor] : file.tensors) {
      const io::TensorData* other = back.file.find(name);
      REQUIRE(other);
      CHECK(other->shape == tensor.shape);
      CHECK(std::equal(tensor.data, tensor.data + tensor.bytes, other->data));
    }
    CHECK(back.file.metadata.at("preprocessing") == file.metadata.at("preprocessing"));
    CHECK(nlohmann::json::parse(back.file.metadata.at("provenance")).at("entries").size() == 2);
  }
}

TEST_CASE("convert: folded norms get statistics that make them exact", "[weights][golden]") {
  const test::TempFolder scratch;
  io::TensorFile file;
  add_conv(file, "conv1_w", 4, 3);
  for (const char* field : {"res_conv1_bn_s", "res_conv1_bn_b"}) file.tensors.emplace_back(field, ramp({4}, 1));
  file.tensors.emplace_back("conv1_b", ramp({4}, 0));
  io::write_safetensors(scratch / "msra.safetensors", file);
  const Conversion result = convert(scratch / "msra.safetensors", ConvertOptions{});
  const std::string norm = "backbone.bottom_up.stem.conv1.norm.";
  CHECK(result.file.find(norm + "weight")->as<float>()[3] == 4);
  for (int i = 0; i < 4; ++i) {
    CHECK(result.file.find(norm + "running_mean")->as<float>()[i] == 0);
    CHECK(result.file.find(norm + "running_var")->as<float>()[i] + 1e-5f == Approx(1).epsilon(1e-7));
  }
  CHECK(result.filled.size() == 2);
  CHECK(result.file.metadata.at("stride_in_1x1") == "true");
  CHECK(nlohmann::json::parse(result.file.metadata.at("preprocessing")).at("order") == "BGR");
  const std::string text = to_text(result);
  CHECK(has(text, "conv1_b -> (dropped)"));
  CHECK(has(text, "conv1_w -> backbone.bottom_up.stem.conv1.weight  [4, 3, 1, 1] F32"));
  CHECK(has(text, "(absent) -> " + norm + "running_mean = 0"));
}

TEST_CASE("convert: preprocessing comes from the file, the naming or the flag, never from a guess", "[weights][error]") {
  const test::TempFolder scratch;
  const std::string path = scratch / "w.safetensors";
  const auto order = [&](const io::TensorFile& file, const std::string& flag) {
    io::write_safetensors(path, file);
    ConvertOptions options;
    options.preprocessing = flag;
    const auto metadata = convert(path, options).file.metadata;
    return nlohmann::json::parse(metadata.at("preprocessing")).at("order").get<std::string>();
  };
  io::TensorFile adet = tiny_solov2();
  adet.metadata.clear();
  CHECK(has(test::message_of([&] { order(adet, "auto"); }), "--preprocessing rgb"));
  ConvertOptions look;
  look.allow_unknown = true;
  CHECK(has(to_text(convert(path, look)), "# preprocessing: unknown"));
  CHECK(has(test::message_of([&] { order(adet, "gray"); }), "no preprocessing \"gray\""));
  CHECK(order(adet, "rgb") == "RGB");
  CHECK(order(adet, "caffe-bgr") == "BGR");
  io::TensorFile authored = adet;
  authored.metadata["__author__"] = "torchvision";
  CHECK(order(authored, "auto") == "RGB");
  const float bgr[3] = {103.53f, 116.28f, 123.675f}, one[3] = {1, 1, 1}, two[3] = {2, 2, 2};
  adet.tensors.emplace_back("pixel_mean", io::make_tensor(io::DType::kF32, {3, 1, 1}, bgr));
  adet.tensors.emplace_back("pixel_std", io::make_tensor(io::DType::kF32, {3, 1, 1}, one));
  CHECK(order(adet, "auto") == "BGR");
  adet.tensors.back().second = io::make_tensor(io::DType::kF32, {3, 1, 1}, two);
  CHECK(has(test::message_of([&] { order(adet, "auto"); }), "--preprocessing"));
  io::TensorFile mmdet;
  add_conv(mmdet, "backbone.conv1.weight", 4, 3);
  CHECK(order(mmdet, "auto") == "RGB");
  CHECK(order(mmdet, "caffe-bgr") == "BGR");
}

TEST_CASE("convert: a norm that does not fit its convolution is refused with both shapes", "[weights][error]") {
  const test::TempFolder scratch;
  const std::string path = scratch / "w.safetensors";
  io::TensorFile file;
  add_conv(file, "layer1.0.conv1.weight", 4, 3);
  add_norm(file, "layer1.0.bn1.", 5, true);
  io::write_safetensors(path, file);
  const std::string text = test::message_of([&] { convert(path, ConvertOptions{}); });
  CHECK(has(text, "[5] F32"));
  CHECK(has(text, "[4, 3, 1, 1] F32"));
  io::TensorFile half;
  add_conv(half, "layer1.0.conv1.weight", 4, 3);
  add_norm(half, "layer1.0.bn1.", 4, true);
  half.tensors.pop_back();  // the mean is there, the variance is not
  io::write_safetensors(path, half);
  CHECK(has(test::message_of([&] { convert(path, ConvertOptions{}); }), "lacks \"backbone.bottom_up.res2.0.conv1.norm.running_var\""));
}
