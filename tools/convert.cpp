#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/io/safetensors.h"
#include "lib/weights/convert.h"
#include "tools/cli/tool.h"

namespace {

struct Options {
  std::string input, output;
  iuq::weights::ConvertOptions convert;
  bool list = false, force = false;

  void add_to(iuq::cli::Tool& tool) {
    tool.input("--input", input, "weights: .pth, .pt or .ckpt of torch.save, .pkl of numpy arrays, .safetensors, or the "
               "index or folder of weights in several files");
    auto& flags = tool.flags();
    flags.add_option("--from", convert.from, "naming of the input: auto, iuq, detectron2 (AdelaiDet, Mask2Former), torchvision, "
                     "microsoft, timm, hf, mmdet, solo")
        ->capture_default_str()->type_name("NAMING");
    flags.add_option("--to", convert.to, "naming of the output: the same, but auto")->capture_default_str()->type_name("NAMING");
    flags.add_option("--preprocessing", convert.preprocessing,
                     "images the weights want: rgb (torchvision), caffe-bgr (MSRA), or auto: by the file")
        ->capture_default_str()->type_name("KIND");
    flags.add_option("--prefix", convert.prefix, "of several copies of a model in the file take the one below this name: teacher, "
                     "student, ema_state_dict, ema_ (mmcv)")
        ->type_name("NAME");
    flags.add_flag("--list", list, "print source name -> target name with shapes, and write only if -o is given");
    flags.add_option("-o,--output", output, "the .safetensors file to write")->type_name("PATH");
    flags.add_flag("-f,--force", force, "replace an existing output");
  }
};

int run(iuq::cli::Tool& tool) {
  Options options;
  options.add_to(tool);
  tool.parse();
  tool.keep_inputs("--output", options.output);
  if (options.output.empty() && !options.list) throw iuq::Error(iuq::ErrorCode::kUsage, "pass -o FILE or --list");
  if (!options.output.empty() &&
      iuq::io::is_up_to_date(options.output, iuq::weights::written_provenance(options.output),
                             iuq::weights::convert_provenance(options.input, options.convert), options.force)) {
    return 0;
  }
  options.convert.allow_unknown = options.output.empty();
  const auto conversion = iuq::weights::convert(options.input, options.convert);
  if (!conversion.copies.empty() && options.convert.prefix.empty()) {
    iuq::log::info(iuq::cat("the input holds other copies of the weights; --prefix takes one: ", iuq::listed(conversion.copies)));
  }
  if (options.list) std::cout << iuq::weights::to_text(conversion);
  if (options.output.empty()) return 0;
  iuq::io::write_safetensors(options.output, conversion.file);
  const auto& lines = conversion.map.lines;
  const auto left_out = std::count_if(lines.begin(), lines.end(), [](const auto& line) { return line.target.empty(); });
  if (left_out > 0 && options.convert.to != "iuq") {
    iuq::log::warning(iuq::cat(left_out, " tensors have no name among those of \"", options.convert.to,
                               "\" and were left out; --list shows them"));
  }
  iuq::log::info(iuq::cat("wrote ", conversion.file.tensors.size(), " tensors; the input is named as by ",
                          conversion.naming->describe));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return iuq::cli::run_main(argc, argv,
                            {"iuq-convert", "Weights of PyTorch projects into model.safetensors under this project's "
                             "names, and back. Nothing in the input is run.",
                             "iuq-convert --input R-50.pkl -o r50.safetensors"}, run);
}
