#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/data/lookalikes.h"
#include "tools/cli/tool.h"

namespace {

constexpr iuq::cli::Info kInfo = {
    "iuq-synth",
    "Make the built-in \"lookalikes\" data set: textured shapes that resemble each other, with exact masks.",
    "iuq-synth --images 400 --val-images 100 --size 128x128 --seed 1 -o runs/toy/scenes",
    /*stops_between_items=*/true};

/// "HxW" -> height and width.
void parse_size(const std::string& text, int64_t& height, int64_t& width) {
  const size_t cross = text.find('x');
  const auto side = [&](const std::string& digits) {
    if (digits.empty() || digits.size() > 6 || digits.find_first_not_of("0123456789") != std::string::npos) {
      throw iuq::Error(iuq::ErrorCode::kUsage, iuq::cat("--size \"", text, "\" is not HEIGHTxWIDTH, such as 128x160"));
    }
    return int64_t{std::stol(digits)};
  };
  height = side(text.substr(0, cross));
  width = side(cross == std::string::npos ? "" : text.substr(cross + 1));
}

int run(iuq::cli::Tool& tool) {
  int64_t images = 0, val_images = 0;
  std::string size, format;
  auto& flags = tool.flags();
  auto* images_flag = flags.add_option("--images", images, "training images (default 400)")->type_name("N");
  auto* val_flag = flags.add_option("--val-images", val_images, "validation images (default 100)")->type_name("N");
  auto* size_flag = flags.add_option("--size", size, "image size (default 128x128)")->type_name("HxW");
  auto* format_flag = flags.add_option("--format", format, "coco (default), or lvis: long-tailed categories, "
                                       "federated labels")->type_name("FORMAT");
  tool.offer(iuq::cli::kConfig | iuq::cli::kOutput | iuq::cli::kThreads);
  tool.parse();

  auto config = tool.section("synth").get<iuq::data::SynthConfig>();
  config.seed = tool.seed();
  if (*images_flag) config.images = images;
  if (*val_flag) config.val_images = val_images;
  if (*size_flag) parse_size(size, config.height, config.width);
  if (*format_flag) config.format = format;
  config.check();

  tool.print_config_if_asked({{"seed", config.seed}, {"synth", config}}, {iuq::describe_section("synth", config)});
  if (tool.dry_run()) {
    iuq::log::info(iuq::cat("would write ", config.images, " + ", config.val_images, " images of ", config.height, "x",
                            config.width, " to \"", tool.output(), "\", at most ",
                            (iuq::data::lookalikes_bytes(config) >> 20) + 1, " MiB"));
    return 0;
  }
  iuq::data::write_lookalikes(config, tool.output(), tool.threads(), tool.force());
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return iuq::cli::run_main(argc, argv, kInfo, run); }
