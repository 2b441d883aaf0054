// Every section of a config, field by field: the list of its fields is what reading, writing, ranges and documentation are
// made from, so it must be whole and right.
#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/cache/cache_features.h"
#include "lib/data/synth_config.h"
#include "lib/infer/predict.h"
#include "lib/model/condinst/config.h"
#include "lib/model/mask2former/config.h"
#include "lib/model/solov2/config.h"
#include "lib/model/sotr/config.h"
#include "lib/train/config.h"
#include "lib/uniq/config.h"
#include "lib/uniq/mine.h"
#include "lib/view/input.h"
#include "tests/support/catch.h"

using namespace iuq;
using nlohmann::json;

namespace {

struct Anything {
  template <class T>
  operator T() const;
};

// Members of an aggregate, its base class counted as one: the most values that it can be made from.
template <class T, class... Values>
constexpr size_t member_count() {
  if constexpr (requires { T{Values{}..., Anything{}}; }) return member_count<T, Values..., Anything>();
  else return sizeof...(Values);
}

void change(bool& value) { value = !value; }
void change(int64_t& value) { ++value; }
void change(double& value) { value += 0.125; }
void change(std::string& value) { value += "x"; }
template <class T>
void change(std::vector<T>& value) {
  value.emplace_back();
}

// Values that the range refuses.
std::vector<json> outside(const Range& range, const int64_t&) {
  std::vector<json> values;
  if (std::isfinite(range.low)) values.push_back(static_cast<int64_t>(range.low) - (range.has_low ? 1 : 0));
  if (std::isfinite(range.high)) values.push_back(static_cast<int64_t>(range.high) + (range.has_high ? 1 : 0));
  return values;
}
std::vector<json> outside(const Range& range, const double&) {
  std::vector<json> values;
  if (std::isfinite(range.low)) values.push_back(range.low - (range.has_low ? 0.125 : 0));
  if (std::isfinite(range.high)) values.push_back(range.high + (range.has_high ? 0.125 : 0));
  return values;
}
std::vector<json> outside(const Range& range, const std::string&) {
  return range.choices.empty() ? std::vector<json>() : std::vector<json>{"no such"};
}

template <class C>
std::string refusal(const C& config) {
  try {
    config.check();
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::kConfig);
    return e.what();
  }
  return "nothing was wrong";
}

// Puts each bad value into `place`, a field's or the first item of a list.
template <class C, class T>
void check_range(const C& config, const std::string& name, const Range& range, T& place) {
  const T good = place;
  for (const json& bad : outside(range, place)) {
    place = bad.get<T>();
    const std::string must = range.text(std::is_same_v<T, int64_t>);
    CHECK(refusal(config) == "config: \"" + name + "\" is " + bad.dump() + ", must be " + must);
    place = good;
  }
}

template <class C, class T>
void check_range(const C& config, const std::string& name, const Range& range, std::vector<T>& list) {
  if (!list.empty()) check_range(config, name, range, list.front());
  if (range.count == 0) return;
  const auto good = list;
  list.emplace_back();
  const json shown = list;
  const std::string wanted = ", must be a list of " + std::to_string(range.count);
  CHECK(refusal(config).find("config: \"" + name + "\" is ") == 0);
  CHECK(refusal(config).find(wanted) != std::string::npos);
  list = good;
}

// The field through all that is made of it. `config` is the section it lies in.
template <class C, class T>
void walk_field(C& config, const ConfigField& field, T& place) {
  const json before = config;
  const T value = place;
  change(place);
  const json after = config;
  CHECK(digest_of(after.dump()) != digest_of(before.dump()));
  CHECK(json::diff(before, after).size() > 0);
  place = value;
  CHECK(json(config) == before);
  read_fields(after, C::kSection, config.fields());
  CHECK(json(config) == after);
  place = value;
  if constexpr (!std::is_same_v<T, bool>) check_range(config, std::string(C::kSection) + "." + field.key, field.range, place);
}

// `members`: of the struct, those that are no fields not counted.
template <class C>
void walk(C config, size_t members) {
  INFO("section " << C::kSection);
  const json whole = config;
  CHECK(whole.size() == config.fields().size());
  CHECK(json(whole.get<C>()) == whole);
  size_t listed = 0;
  for (const ConfigField& field : config.fields()) {
    INFO("field " << field.key);
    CHECK(std::string(field.about).size() > 0);
    std::visit(
        [&](const auto& value) {
          using T = std::decay_t<decltype(value)>;
          if constexpr (!std::is_same_v<T, const char*>) ++listed;
          if constexpr (std::is_pointer_v<T> && !std::is_same_v<T, const char*>) walk_field(config, field, *value);
        },
        field.value);
  }
  CHECK(listed == members);
  CHECK(json(config) == whole);
}

}  // namespace

TEST_CASE("config sections: every field is read, written, in the digest, and kept to its range", "[train][property]") {
  walk(data::SynthConfig(), member_count<data::SynthConfig>() - 1);  // the seed is the config's
  walk(view::ViewConfig(), member_count<view::ViewConfig>());
  walk(view::JitterConfig(), member_count<view::JitterConfig>());
  walk(view::InputConfig(), member_count<view::InputConfig>());
  walk(nn::ResNetConfig(), member_count<nn::ResNetConfig>());
  walk(nn::SwinConfig(), member_count<nn::SwinConfig>());
  constexpr size_t kGrid = member_count<model::GridConfig>() - 1;  // less the base class itself
  walk(model::Solov2Config(), kGrid + member_count<model::Solov2Config>());
  walk(model::SotrConfig(), kGrid + member_count<model::SotrConfig>());
  walk(model::CondInstConfig(), member_count<model::CondInstConfig>());
  walk(model::Mask2FormerConfig(), member_count<model::Mask2FormerConfig>());
  walk(cache::CacheConfig(), member_count<cache::CacheConfig>());
  walk(uniq::MineConfig(), member_count<uniq::MineConfig>());
  walk(uniq::UniqConfig(), member_count<uniq::UniqConfig>());
  walk(train::TrainConfig(), member_count<train::TrainConfig>());
  walk(infer::PredictConfig(), member_count<infer::PredictConfig>());
}

TEST_CASE("config sections: what concerns several fields is refused as well", "[train][error]") {
  const auto refuses = [](auto config, const char* text, const char* part) {
    try {
      json::parse(text).get_to(config);
    } catch (const Error& e) {
      CHECK(e.code() == ErrorCode::kConfig);
      return std::string(e.what()).find(part) != std::string::npos;
    }
    return false;
  };
  CHECK(refuses(train::TrainConfig(), R"({"pairs": true, "batch": 3})", "\"train.batch\" is 3, must be an even number"));
  CHECK(refuses(view::InputConfig(), R"({"short_side": []})", "a list of at least one size"));
  CHECK(refuses(view::InputConfig(), R"({"short_side": [640], "long_side": 600})", ">= input.short_side"));
  CHECK(refuses(view::InputConfig(), R"({"divisor": 48})", "a multiple of 32"));
  CHECK(refuses(view::InputConfig(), R"({"lsj": {"size": 100}})", "\"input.lsj.size\" is 100"));
  CHECK(refuses(view::InputConfig(), R"({"lsj": {"max_scale": 0.05}})", "\"input.lsj.max_scale\" is 0.05"));
  CHECK(refuses(infer::PredictConfig(), R"({"short_side": 16})", "0 or 32..8192"));
  CHECK(refuses(model::Solov2Config(), R"({"groups": 3})", "a divisor of mask_channels and embedding"));
  CHECK(refuses(model::Solov2Config(), R"({"head_channels": 100})", "a multiple of model.groups"));
  CHECK(refuses(model::SotrConfig(), R"({"embedding": 100})", "\"model.groups\" is 32"));
  CHECK(refuses(model::CondInstConfig(), R"({"channels": 100})", "a divisor of channels"));
  CHECK(refuses(model::CondInstConfig(), R"({"mask_out_stride": 3})", "1, 2, 4 or 8"));
  CHECK(refuses(model::CondInstConfig(), R"({"sizes": [9, 8, 7, 6]})", "four ascending sizes"));
  CHECK(refuses(model::Mask2FormerConfig(), R"({"heads": 3})", "\"model.width\" is 256, must be a multiple of 4"));
  CHECK(refuses(nn::ResNetConfig(), R"({"width": 12})", "a multiple of 8"));
  CHECK(refuses(nn::SwinConfig(), R"({"heads": [5, 6, 12, 24]})", "a divisor of the 96 channels"));
  CHECK(refuses(nn::ResNetConfig(), R"({"norm": "group"})", "\"model.backbone.norm\" is \"group\", must be \"frozen\" or"));
}

// A field that leaves the digest, or a default that changes, makes artifacts stale or, worse, mistaken for others. Taken from
// the tools before the fields were listed once.
TEST_CASE("config sections: the defaults have the digests they always had", "[train][golden]") {
  const auto digest = [](const json& section) { return digest_of(section.dump()); };
  CHECK(digest(data::SynthConfig()) == "813c9a115619760789aaa8d702df5361");
  CHECK(digest(view::ViewConfig()) == "018855af83e5b332c6eb6ad6cea3ca39");
  CHECK(digest(view::InputConfig()) == "321e9466d551ce41c5b7d74bc29dcafb");
  CHECK(digest(json{{"name", "resnet18"}}.get<nn::BackboneConfig>()) == "df00e3656382b22e59b2c5a9a2cd748e");
  CHECK(digest(json{{"name", "swin_b"}}.get<nn::BackboneConfig>()) == "5e37070edf10bbb70f86d020ace587e6");
  CHECK(digest(model::Solov2Config()) == "07dcf2e102611705a962174a4d3c6035");
  CHECK(digest(model::SotrConfig()) == "c25f5180861362a386727268a2fb0ea8");
  CHECK(digest(model::CondInstConfig()) == "948677474f01d355145196686961bba0");
  CHECK(digest(model::Mask2FormerConfig()) == "c2cbd4c0d651231b3a50d5d66e06ca1f");
  CHECK(digest(cache::CacheConfig()) == "3e999547de564446ddf776d9ea43ded1");
  CHECK(digest(uniq::MineConfig()) == "744529cc79073a00ae6cb946561ad26b");
  CHECK(digest(uniq::UniqConfig()) == "ad19bc2bdd4a7d6e54d1887ce9428ce4");
  CHECK(digest(infer::PredictConfig()) == "6d39cf1f2d9ef43dd980491df64359ec");
  json train = train::TrainConfig();
  train["backbone_lr"] = train["backbone_lr_factor"];  // its name until it said that it is a factor
  train.erase("backbone_lr_factor");
  train.erase("images");  // came later: trainings from before are not gone on with
  CHECK(digest(train) == "5ab3e16e681bd2f692e4383f930f16a6");
}
