#include <torch/types.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/base/log.h"
#include "lib/data/annotations.h"
#include "lib/model/checkpoint.h"
#include "lib/model/segmenter.h"
#include "tests/support/catch.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/model/tiny_segmenters.h"

namespace {

using namespace iuq;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("load_weights: class layers of another number of classes start anew, everything else must fit", "[model][property]") {
  log::set_up("test", log::Level::kQuiet);
  const test::TempFolder folder;
  for (const auto& [name, config] : test::tiny_segmenters()) {
    CAPTURE(name);
    const auto source = model::make_segmenter(config, 5, 1), target = model::make_segmenter(config, 3, 2);
    const std::string path = folder / (name + ".safetensors");
    model::save_checkpoint(path, *source, config, {}, {}, nullptr);
    view::InputConfig input;
    CHECK(has(test::message_of([&] { model::load_weights(*target, path, {}, input); }),
              name == "mask2former" ? "this segmenter wants [4" : "this segmenter wants [3"));  // and "no object"
    const auto anew = model::load_weights(*target, path, {{}, &config}, input);
    CHECK(!anew.empty());
    const auto theirs = source->named_parameters(), ours = target->named_parameters();
    for (const auto& item : ours) {
      INFO(item.key());
      const bool left = std::find(anew.begin(), anew.end(), item.key()) != anew.end();
      CHECK(left == (item.value().sizes() != theirs[item.key()].sizes()));
      if (!left) CHECK(at::equal(item.value(), theirs[item.key()]));
    }
    nlohmann::json wider = config;
    wider[name == "mask2former" ? "width" : "channels"] = 32;
    const auto other = model::make_segmenter(wider, 3, 2);
    CHECK(has(test::message_of([&] { model::load_weights(*other, path, {{}, &wider}, input); }), "this segmenter wants ["));
  }
}

TEST_CASE("load_weights: a prefix to skip that fits nothing is refused with near names", "[model][error]") {
  const test::TempFolder folder;
  const auto& config = test::tiny_segmenters().at("solov2");
  const auto segmenter = model::make_segmenter(config, 3, 2);
  const std::string path = folder / "solov2.safetensors";
  model::save_checkpoint(path, *segmenter, config, {}, {}, nullptr);
  view::InputConfig input;
  const auto said = [&](const std::string& prefix) {
    return test::message_of([&] { model::load_weights(*segmenter, path, {{prefix}, nullptr}, input); });
  };
  CHECK(has(said("ins_head.cate_prde"), "near: ins_head.cate_pred"));
  CHECK(has(said("head.cate_pred"), "ins_head.cate_pred"));
  CHECK(model::load_weights(*segmenter, path, {{"ins_head.cate_pred"}, nullptr}, input).size() == 2);
}
