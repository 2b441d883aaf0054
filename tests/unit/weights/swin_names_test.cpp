
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/error.h"
#include "lib/io/json_file.h"
#include "lib/io/safetensors.h"
#include "lib/weights/change.h"
#include "lib/weights/convert.h"
#include "tests/support/catch.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"

// Swin Transformers and Mask2Former: names as real modules of other programs have them (tests/fixtures/weights/names.json).
namespace {

using namespace iuq;
using namespace iuq::weights;
using nlohmann::json;

const std::string kBody = "backbone.bottom_up.";

io::TensorData ramp(const std::vector<int64_t>& shape, float start) {
  std::vector<float> values(static_cast<size_t>(io::make_tensor(io::DType::kF32, shape).count()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = start + static_cast<float>(i);
  return io::make_tensor(io::DType::kF32, shape, values.data());
}

std::vector<float> values_of(const io::TensorData& tensor) {
  return {tensor.as<float>(), tensor.as<float>() + tensor.count()};
}

json lists() { return io::read_json(std::string(IUQ_SOURCE_DIR) + "/tests/fixtures/weights/names.json").at("files"); }

io::TensorFile file_of(const json& list) {
  io::TensorFile file;
  for (const auto& [name, shape] : list.at("tensors").items()) {
    file.tensors.emplace_back(name, ramp(shape.get<std::vector<int64_t>>(), static_cast<float>(file.tensors.size())));
  }
  return file;
}

Conversion converted(const io::TensorFile& file, const std::string& to = "iuq") {
  const test::TempFolder scratch;
  io::write_safetensors(scratch / "w.safetensors", file);
  ConvertOptions options;
  options.to = to;
  return convert(scratch / "w.safetensors", options);
}

std::map<std::string, std::vector<int64_t>> shapes(const io::TensorFile& file, const std::string& prefix = "") {
  std::map<std::string, std::vector<int64_t>> result;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(prefix)) result[name.substr(prefix.size())] = tensor.shape;
  }
  return result;
}

void check_same(const io::TensorFile& a, const io::TensorFile& b) {
  REQUIRE(shapes(a) == shapes(b));
  for (const auto& [name, tensor] : a.tensors) {
    INFO(name);
    CHECK(std::equal(tensor.data, tensor.data + tensor.bytes, b.find(name)->data));
  }
}

// What the lists have in common: a backbone as Mask2Former's authors name it, without buffers.
std::map<std::string, std::vector<int64_t>> swin_shapes() {
  std::map<std::string, std::vector<int64_t>> result;
  const json tensors = lists().at(0).at("tensors");
  for (const auto& [name, shape] : tensors.items()) {
    if (!name.ends_with("relative_position_index")) result[name] = shape.get<std::vector<int64_t>>();
  }
  return result;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("names: a Swin Transformer of every program fills every tensor of ours", "[weights][golden]") {
  const json all = lists();
  for (const json& list : all) {
    INFO(list.at("source"));
    const Conversion result = converted(file_of(list));
    const std::string naming = list.at("naming");
    CHECK(result.naming->name == (naming == "torchvision" ? "torchvision swin" : naming));
    const bool alone = naming != "hf mask2former";
    auto found = shapes(result.file, alone ? kBody : "backbone.");
    const bool has_output_norms = list.at("tensors").contains("norm0.weight") || list.dump().find("hidden_states_norms") != std::string::npos;
    CHECK(result.filled.size() == (has_output_norms ? 0 : 8));
    CHECK(found == swin_shapes());
    CHECK(json::parse(result.file.metadata.at("preprocessing")).at("order") == "RGB");
    for (const std::string name : {"norm1", "norm3"}) {
      const std::string prefix = (alone ? kBody : "backbone.") + name;
      if (has_output_norms) continue;
      // Not the last norm of a classifier.
      CHECK(values_of(*result.file.find(prefix + ".weight"))[5] == 1);
      CHECK(values_of(*result.file.find(prefix + ".bias"))[5] == 0);
    }
  }
}

TEST_CASE("names: a Swin Transformer goes out to every program, under the names its module has, and back", "[weights][property]") {
  const json all = lists();
  const Conversion ours = converted(file_of(all.at(0)));
  std::map<std::string, std::set<std::string>> wanted;
  for (const json& list : all) {
    for (const auto& [name, shape] : list.at("tensors").items()) wanted[list.at("source")].insert(name);
  }
  io::TensorFile source = ours.file;
  for (const char* family : {"microsoft", "torchvision", "timm", "hf", "mmdet"}) {
    INFO(family);
    const Conversion out = converted(source, family);
    CHECK(out.naming->name == "detectron2");
    for (const json& list : all) {
      if (list.at("naming") != family || has(list.at("source"), "memory") || has(list.at("source"), "Classification")) continue;
      for (const auto& [name, tensor] : out.file.tensors) {
        INFO(name);
        REQUIRE(list.at("tensors").contains(name));
        CHECK(list.at("tensors").at(name) == json(tensor.shape));
      }
    }
    const Conversion back = converted(out.file);
    CHECK(back.naming->family == family);
    io::TensorFile whole = back.file;
    for (auto& [name, tensor] : whole.tensors) {
      // What a classifier has no place for came back as 1 and 0.
      if (back.filled.empty() || !name.starts_with(kBody + "norm")) continue;
      tensor = *source.find(name);
    }
    check_same(whole, source);
  }
}

TEST_CASE("names: query, key and value of Hugging Face lie below each other in ours", "[weights][golden]") {
  io::TensorFile file;
  const std::string block = "encoder.layers.2.blocks.5.attention.self.";
  for (const char* part : {"value", "query", "key"}) {  // in any order
    const float start = part[0] == 'q' ? 0 : part[0] == 'k' ? 10 : 20;
    file.tensors.emplace_back(block + part + ".weight", ramp({2, 2}, start));
  }
  const Conversion result = converted(file);
  const io::TensorData* qkv = result.file.find(kBody + "layers.2.blocks.5.attn.qkv.weight");
  REQUIRE(qkv);
  CHECK(qkv->shape == std::vector<int64_t>{6, 2});
  CHECK(values_of(*qkv) == std::vector<float>{0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23});
  CHECK(has(to_text(result), "key.weight -> " + kBody + "layers.2.blocks.5.attn.qkv.weight  [6, 2] F32  (part 2 of 3)"));
  const Conversion out = converted(result.file, "hf");
  check_same(out.file, file);
  CHECK(has(to_text(out), "attn.qkv.weight -> " + block + "value.weight  [2, 2] F32  (part 3 of 3)"));

  io::TensorFile lacks = file;
  lacks.tensors.pop_back();
  CHECK(has(test::message_of([&] { converted(lacks); }), "has 2 of the three parts of \"" + kBody + "layers.2.blocks.5.attn.qkv.weight\""));
  io::TensorFile odd = file;
  odd.tensors[1].second = ramp({2, 3}, 0);
  CHECK(has(test::message_of([&] { converted(odd); }), "[2, 3] F32"));
}

TEST_CASE("names: mmdetection's merging order becomes Microsoft's", "[weights][golden]") {
  // One channel, phases a b / c d: Microsoft takes a c b d, mmdetection's unfold a b c d.
  const float letters[] = {'a', 'b', 'c', 'd'};
  const io::TensorData one = io::make_tensor(io::DType::kF32, {4}, letters);
  CHECK(values_of(reorder_merging(one, true)) == std::vector<float>{'a', 'c', 'b', 'd'});
  io::TensorFile file;
  file.tensors.emplace_back("backbone.stages.1.downsample.reduction.weight", ramp({2, 8}, 0));  // two channels
  file.tensors.emplace_back("backbone.stages.1.downsample.norm.bias", ramp({8}, 0));
  const Conversion result = converted(file);
  const std::vector<float> row = {0, 4, 2, 6, 1, 5, 3, 7};  // phase by phase, of channels 0 and 1
  CHECK(values_of(*result.file.find(kBody + "layers.1.downsample.norm.bias")) == row);
  std::vector<float> rows = row;
  for (const float value : row) rows.push_back(value + 8);
  CHECK(values_of(*result.file.find(kBody + "layers.1.downsample.reduction.weight")) == rows);
  CHECK(has(to_text(result), "layers.1.downsample.norm.bias  [8] F32  (reordered)"));
  check_same(converted(result.file, "mmdet").file, [&] {
    io::TensorFile sorted = file;
    return sorted;
  }());
}

TEST_CASE("names: old and new timm are told apart by where the merging stands", "[weights][golden]") {
  const auto merging = [](const std::string& name) {
    io::TensorFile file;
    file.tensors.emplace_back("patch_embed.norm.bias", ramp({4}, 0));
    file.tensors.emplace_back(name, ramp({4}, 0));
    return converted(file);
  };
  CHECK(merging("layers.0.downsample.norm.bias").file.find(kBody + "layers.0.downsample.norm.bias"));
  CHECK(merging("layers.3.downsample.norm.bias").file.find(kBody + "layers.2.downsample.norm.bias"));
}

TEST_CASE("names: Mask2Former goes from Hugging Face to its authors' names and to mmdetection's", "[weights][golden]") {
  const json all = lists();
  const json& list = all.back();
  REQUIRE(list.at("naming") == "hf mask2former");
  const io::TensorFile theirs = file_of(list);
  const Conversion ours = converted(theirs);
  for (const Renamed& line : ours.map.lines) {
    const bool drops = has(line.source, "swin.layernorm") || line.source == "criterion.empty_weight";
    INFO(line.source);
    CHECK(line.target.empty() == drops);
  }
  const std::string head = "sem_seg_head.", query = head + "predictor.";
  const std::map<std::string, std::vector<int64_t>> some = {
      {head + "pixel_decoder.input_proj.0.0.weight", {32, 128, 1, 1}},
      {head + "pixel_decoder.transformer.level_embed", {3, 32}},
      {head + "pixel_decoder.transformer.encoder.layers.0.self_attn.sampling_offsets.bias", {192}},
      {head + "pixel_decoder.transformer.encoder.layers.0.norm2.weight", {32}},
      {head + "pixel_decoder.transformer.encoder.layers.0.linear1.weight", {40, 32}},
      {head + "pixel_decoder.adapter_1.weight", {32, 16, 1, 1}},
      {head + "pixel_decoder.layer_1.norm.weight", {32}},
      {head + "pixel_decoder.mask_features.bias", {32}},
      {query + "query_feat.weight", {5, 32}},
      {query + "level_embed.weight", {3, 32}},
      {query + "transformer_cross_attention_layers.1.multihead_attn.in_proj_weight", {96, 32}},
      {query + "transformer_self_attention_layers.1.self_attn.in_proj_bias", {96}},
      {query + "transformer_self_attention_layers.0.self_attn.out_proj.weight", {32, 32}},
      {query + "transformer_self_attention_layers.0.norm.bias", {32}},
      {query + "transformer_ffn_layers.1.linear2.weight", {32, 48}},
      {query + "decoder_norm.weight", {32}},
      {query + "class_embed.weight", {4, 32}},
      {query + "mask_embed.layers.2.bias", {32}},
  };
  const auto found = shapes(ours.file);
  for (const auto& [name, shape] : some) {
    INFO(name);
    REQUIRE(found.count(name));
    CHECK(found.at(name) == shape);
  }
  CHECK(converted(ours.file).naming->name == "mask2former");
  for (const char* family : {"hf", "mmdet"}) {
    const Conversion out = converted(ours.file, family);
    const Conversion back = converted(out.file);
    CHECK(back.naming->name == cat(family, " mask2former"));
    check_same(back.file, ours.file);
    if (out.file.find("class_predictor.weight")) {
      for (const auto& [name, tensor] : out.file.tensors) {
        INFO(name);
        REQUIRE(theirs.find(name));
        CHECK(values_of(*theirs.find(name)) == values_of(tensor));
      }
    } else {
      CHECK(out.file.find("panoptic_head.transformer_decoder.layers.1.cross_attn.attn.in_proj_weight"));
      CHECK(out.file.find("panoptic_head.pixel_decoder.input_convs.2.gn.weight"));
      CHECK(out.file.find("panoptic_head.mask_embed.4.weight"));
      CHECK(out.file.find("backbone.stages.1.blocks.1.attn.w_msa.qkv.bias"));
    }
  }
  // A backbone alone goes out of the whole model as well.
  CHECK(converted(ours.file, "timm").file.find("layers.1.downsample.reduction.weight"));
}

TEST_CASE("names: older files of Mask2Former's authors", "[weights][golden]") {
  io::TensorFile file;
  file.tensors.emplace_back("sem_seg_head.predictor.static_query.weight", ramp({5, 4}, 0));
  file.tensors.emplace_back("sem_seg_head.input_proj.1.1.weight", ramp({4}, 0));
  file.tensors.emplace_back("sem_seg_head.adapter_1.norm.bias", ramp({4}, 0));
  file.tensors.emplace_back("backbone.res2.0.conv1.weight", ramp({4, 2, 1, 1}, 0));
  file.tensors.emplace_back("criterion.empty_weight", ramp({4}, 0));
  const auto found = shapes(converted(file).file);
  CHECK(found.size() == 4);
  CHECK(found.count("sem_seg_head.predictor.query_feat.weight"));
  CHECK(found.count("sem_seg_head.pixel_decoder.input_proj.1.1.weight"));
  CHECK(found.count("sem_seg_head.pixel_decoder.adapter_1.norm.bias"));
  CHECK(found.count("backbone.res2.0.conv1.weight"));
}

TEST_CASE("names: mmdetection 2.x has attention under other names", "[weights][golden]") {
  const std::string layer = "panoptic_head.transformer_decoder.layers.4.", query = "sem_seg_head.predictor.transformer_";
  const auto ours = [](const std::string& name) { return map_names({name}, "mmdet", "x").lines.at(0).target; };
  CHECK(ours(layer + "attentions.0.attn.in_proj_bias") == query + "cross_attention_layers.4.multihead_attn.in_proj_bias");
  CHECK(ours(layer + "attentions.1.attn.out_proj.weight") == query + "self_attention_layers.4.self_attn.out_proj.weight");
  CHECK(ours(layer + "ffns.0.layers.0.0.weight") == query + "ffn_layers.4.linear1.weight");
}
