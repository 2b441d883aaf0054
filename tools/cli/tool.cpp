#include "tools/cli/tool.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <new>
#include <nlohmann/json.hpp>

#include "lib/base/config.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/parallel.h"
#include "lib/base/signals.h"
#include "lib/io/atomic_file.h"
#include "lib/io/provenance.h"

namespace iuq::cli {
namespace {

constexpr const char* kOutOfMemory = "out of memory; use a smaller model, batches or images, or a machine with more";

// Ends the tool early with a good conscience (--help, --version, --print-config, --explain-config).
struct Exit {
  int code;
};

std::string version_text(const char* name) {
  return cat(name, " ", io::version_string(), " (", io::git_string(), ")");
}

// "about" is for people: a line, or a list of them.
void read_about(ConfigReader& sections, const nlohmann::json& config) {
  std::string line;
  std::vector<std::string> lines;
  const auto it = config.find("about");
  if (it != config.end() && it->is_array()) sections("about", lines);
  else sections("about", line);
}

// What a variable that is not set makes of "--weights $FILE" must not count as "no weights".
std::string refuse_empty(const std::string& path) { return path.empty() ? "the path is empty" : ""; }

void require_exists(const std::string& path) {
  if (path != "-" && !io::exists(path)) throw Error(ErrorCode::kNoInput, cat("\"", path, "\" does not exist"));
}

}  // namespace

Tool::Tool(int argc, char** argv, const Info& info)
    : argc_(argc), argv_(argv), info_(info), app_(info.purpose, info.name),
      config_(std::make_shared<nlohmann::json>(nlohmann::json::object())) {
  app_.footer(cat("Example:\n  ", info.example,
                  "\n\nExit codes: 0 done, 1 verdict is no, 64 usage, 65 bad data, 66 no input, 69 no device,\n"
                  "70 our bug, 73 cannot create output, 74 I/O, 75 interrupted but resumable, 78 config."));
  app_.set_version_flag("--version", version_text(info.name));
  app_.add_flag("-q,--quiet", quiet_, "only warnings and errors on stderr");
  app_.add_flag("-v,--verbose", verbose_, "say more on stderr");
  app_.add_flag("--no-color", no_color_, "plain text, also with NO_COLOR set or off a terminal");
  app_.add_flag("--no-provenance", no_provenance_, "leave host, time and command line out of what is written");
}

void Tool::input(const std::string& flag, std::string& path, const std::string& help, bool required) {
  auto* option = app_.add_option(flag, path, help)->type_name("FILE")->check(CLI::Validator(refuse_empty, ""));
  if (required) option->required();
  required_inputs_.push_back(&path);
}

void Tool::inputs(const std::string& flag, std::vector<std::string>& paths, const std::string& help, bool required) {
  auto* option = app_.add_option(flag, paths, help)->type_name("FILE")->check(CLI::Validator(refuse_empty, ""));
  if (required) option->required();
  required_lists_.push_back(&paths);
}

void Tool::offer(unsigned offers) {
  if (offers & kConfig) {
    app_.add_option("-c,--config", config_path_, "the one JSON config, a section per area")->type_name("FILE")
        ->check(CLI::Validator(refuse_empty, ""));
    app_.add_option("--variant", variants_, "apply these named patches of the config, in this order")
        ->delimiter(',')->type_name("NAME[,NAME]");
    app_.add_option("--set", settings_, "set one config field, or take it away with null; repeat for more")
        ->type_name("SECTION.KEY=VALUE");
    app_.add_option("--seed", seed_, "overrides \"seed\" of the config (default 0)")
        ->check(CLI::Range(int64_t{0}, INT64_MAX))->type_name("N");
    app_.add_flag("--print-config", print_config_, "print the resulting config and exit");
    app_.add_flag("--explain-config", explain_config_, "the same with what each field means, its range and its default");
  }
  if (offers & kOutput) {
    app_.add_option("-o,--output", output_, "where the result goes; written aside and renamed")
        ->required()->type_name("PATH")->check(CLI::Validator(refuse_empty, ""));
    app_.add_flag("-f,--force", force_, "replace an existing output");
    app_.add_flag("-n,--dry-run", dry_run_, "check flags, config and inputs, say what would be done, write nothing");
  }
  if (offers & kDevice) {
    app_.add_option("--device", device_, "cpu, cuda, cuda:N or auto (default cpu)")->type_name("DEVICE");
  }
  if (offers & kThreads) {
    app_.add_option("--threads", threads_, "threads for everything (default: the cores this process may use)")
        ->check(CLI::Range(int64_t{1}, int64_t{1024}))->type_name("N");
  }
  if (offers & kShard) {
    app_.add_option("--shard", shard_text_, "do the items with index % n == i only")->type_name("i/n");
  }
  if (offers & kResume) app_.add_flag("--resume", resume_, "go on where an interrupted run of the same config stopped");
  if (offers & kMaxErrors) {
    app_.add_option("--max-errors", max_errors_, "images that may be left out as they cannot be read (default 0)")
        ->check(CLI::Range(int64_t{0}, INT64_MAX))->type_name("N");
  }
  if (offers & kStrict) {
    app_.add_flag("--strict", strict_, "what is left out of the annotations or mended is an error that lists every case");
  }
  if (offers & kJson) app_.add_flag("--json", json_, "the report as one JSON object on stdout");
}

void Tool::keep_inputs(const std::string& flag, const std::string& output) const {
  namespace fs = std::filesystem;
  if (output.empty() || output == "-") return;
  std::error_code none;
  const fs::path folder = fs::weakly_canonical(output, none);
  const auto check = [&](const std::string& path) {
    if (path.empty() || path == "-") return;
    const fs::path kept = fs::weakly_canonical(path, none);
    const bool same = fs::equivalent(path, output, none);
    const bool inside = std::mismatch(folder.begin(), folder.end(), kept.begin(), kept.end()).first == folder.end();
    if (!same && !(inside && shard_.is_whole())) return;  // shards are put beside what is there
    throw Error(ErrorCode::kUsage, cat(flag, " \"", output, same ? "\" is also an input, \"" : "\" holds the input \"", path,
                                       "\"; choose another"));
  };
  for (const std::string* path : required_inputs_) check(*path);
  for (const auto* paths : required_lists_) {
    for (const std::string& path : *paths) check(path);
  }
  check(config_path_);
}

void Tool::parse() {
  // What a config comes to can be asked without anything to use it on.
  const auto asks = [](const std::string& word) { return word == "--print-config" || word == "--explain-config"; };
  if (std::any_of(argv_, argv_ + argc_, asks)) {
    for (CLI::Option* option : app_.get_options()) option->required(false);
  }
  try {
    app_.parse(argc_, argv_);
  } catch (const CLI::CallForHelp&) {
    std::cout << app_.help();
    throw Exit{0};
  } catch (const CLI::CallForVersion&) {
    std::cout << version_text(info_.name) << "\nbuilt with " << io::built_with() << "\n";
    throw Exit{0};
  } catch (const CLI::ParseError& e) {
    throw Error(ErrorCode::kUsage, cat(e.what(), "; see ", info_.name, " --help"));
  }
  log::set_up(info_.name, quiet_ ? log::Level::kQuiet : verbose_ ? log::Level::kVerbose : log::Level::kNormal);
  log::verbose(cat(version_text(info_.name), ", built with ", io::built_with()));
  if (no_provenance_) io::drop_volatile_provenance();
  shard_ = Shard::parse(shard_text_);
  for (const std::string* path : required_inputs_) {
    if (!path->empty()) require_exists(*path);
  }
  for (const auto* paths : required_lists_) {
    for (const std::string& path : *paths) require_exists(path);
  }
  keep_inputs("--output", output_);
  *config_ = load_config(config_path_, variants_, settings_);
  ConfigReader sections(*config_, "config");
  for (const char* name : {"synth", "input", "view", "model", "cache", "mine", "train", "uniq", "predict"}) {
    sections.section(name);
  }
  uint64_t unused = 0;
  sections("seed", unused);
  read_about(sections, *config_);
  sections.done();
}

const nlohmann::json& Tool::section(const char* name) const {
  static const nlohmann::json empty = nlohmann::json::object();
  const auto it = config_->find(name);
  return it == config_->end() ? empty : *it;
}

void Tool::print_config_if_asked(const nlohmann::json& effective, const std::vector<ConfigDoc>& docs) const {
  if (!print_config_ && !explain_config_) return;
  if (explain_config_) {
    std::vector<ConfigDoc> all;
    if (effective.contains("seed")) all.push_back({"seed", "seed of every random stream", ">= 0; default 0", {}});
    all.insert(all.end(), docs.begin(), docs.end());
    std::cout << explain_config(effective, all);
  } else {
    std::cout << effective.dump(2) << "\n";
  }
  throw Exit{0};
}

uint64_t Tool::seed() const {
  if (seed_ >= 0) return static_cast<uint64_t>(seed_);
  const auto it = config_->find("seed");
  if (it == config_->end()) return 0;
  check_config(it->is_number_unsigned(), "seed", *it, "an integer >= 0");
  return it->get<uint64_t>();
}

int Tool::threads() const {
  return threads_ > 0 ? static_cast<int>(threads_) : usable_threads();
}

int run_main(int argc, char** argv, const Info& info, const std::function<int(Tool&)>& body) {
  log::set_up(info.name, log::Level::kNormal);
  io::set_command_line(argc, argv);
  ignore_write_signals();
  if (info.stops_between_items) catch_stop_signals();
  const auto fail = [](ErrorCode code, const std::string& message) {
    std::cout.flush();
    log::error(message);
    return static_cast<int>(code);
  };
  try {
    Tool tool(argc, argv, info);
    const int code = body(tool);
    std::cout.flush();
    if (!std::cout) return fail(ErrorCode::kIo, "cannot write to stdout");
    return code;
  } catch (const Exit& exit) {
    return exit.code;
  } catch (const Error& e) {
    return fail(e.code(), e.what());
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kIo, kOutOfMemory);
  } catch (const std::exception& e) {
    // LibTorch's messages end in a stack trace that helps nobody who runs the tool.
    std::string what = e.what();
    what = what.substr(0, std::min(what.find("\nException raised from"), what.find("\nframe #")));
    for (const char* sign : {"can't allocate memory", "out of memory"}) {
      if (what.find(sign) != std::string::npos) return fail(ErrorCode::kIo, cat(kOutOfMemory, " (", what, ")"));
    }
    return fail(ErrorCode::kInternal, cat("internal error: ", what));
  }
}

}  // namespace iuq::cli
