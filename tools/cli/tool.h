#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lib/base/config_fields.h"
#include "lib/base/shard.h"

namespace iuq::cli {

/// What a tool's --help opens with.
struct Info {
  const char* name;     // "iuq-eval"
  const char* purpose;  // one line
  const char* example;  // a real command line
  bool stops_between_items = false;  // looks at stop_requested(); a signal ends the others at once
};

/// The flags every tool that can honour them offers, with the same words everywhere.
enum Offer : unsigned {
  kConfig = 1,    // -c/--config, --variant, --set, --print-config, --explain-config, --seed
  kOutput = 2,    // -o/--output (required), -f/--force, -n/--dry-run
  kDevice = 4,    // --device
  kThreads = 8,   // --threads
  kShard = 16,    // --shard
  kResume = 32,   // --resume
  kJson = 64,     // --json
  kMaxErrors = 128,  // --max-errors
  kStrict = 256,  // --strict
};

class Tool {
 public:
  Tool(int argc, char** argv, const Info& info);

  CLI::App& flags() { return app_; }
  /// A required existing input. Error(kNoInput) is thrown by parse() when the path is missing; "-" is allowed.
  void input(const std::string& flag, std::string& path, const std::string& help, bool required = true);
  void inputs(const std::string& flag, std::vector<std::string>& paths, const std::string& help, bool required = true);
  void offer(unsigned offers);
  /// Error(kUsage) when `output` is one of the inputs, by whatever path, or a folder around one that would be replaced with
  /// it. parse() asks for --output.
  void keep_inputs(const std::string& flag, const std::string& output) const;
  /// Handles --help, --version and every parse error; call after all options are added.
  void parse();

  /// The merged config; sections are read by the areas. `sections`: the top-level keys a recipe's config may have.
  const nlohmann::json& config() const { return *config_; }
  /// One section of it, or an empty object.
  const nlohmann::json& section(const char* name) const;
  /// With --print-config or --explain-config: prints the effective config, without or with `docs` of its sections (key "seed"
  /// is the tool's own), and ends the tool with exit code 0.
  void print_config_if_asked(const nlohmann::json& effective, const std::vector<ConfigDoc>& docs) const;

  uint64_t seed() const;  // --seed, else the config's "seed", else 0
  const std::string& output() const { return output_; }
  bool force() const { return force_; }
  bool dry_run() const { return dry_run_; }
  bool resume() const { return resume_; }
  bool json() const { return json_; }
  int64_t max_errors() const { return max_errors_; }
  bool strict() const { return strict_; }
  const std::string& device() const { return device_; }
  int threads() const;  // --threads, else the affinity mask
  const Shard& shard() const { return shard_; }

 private:
  int argc_;
  char** argv_;
  Info info_;
  CLI::App app_;
  std::shared_ptr<nlohmann::json> config_;
  std::vector<std::string*> required_inputs_;
  std::vector<std::vector<std::string>*> required_lists_;
  std::string config_path_, output_, device_ = "cpu", shard_text_ = "0/1";
  std::vector<std::string> variants_, settings_;
  int64_t seed_ = -1, threads_ = 0, max_errors_ = 0;
  bool force_ = false, dry_run_ = false, resume_ = false, json_ = false, print_config_ = false, explain_config_ = false;
  bool strict_ = false, quiet_ = false, verbose_ = false, no_color_ = false, no_provenance_ = false;
  Shard shard_;
};

/// Runs `body` and turns whatever it throws into one line on stderr and the exit code of the error.
int run_main(int argc, char** argv, const Info& info, const std::function<int(Tool&)>& body);

}  // namespace iuq::cli
