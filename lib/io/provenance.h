#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace iuq::io {

/// Where an artifact comes from: a chain of entries, one per tool run, like samtools' @PG lines.
///
/// As JSON: {"digest": D, "entries": [{"id", "tool", "version", "git", "config", "config_digest",
///           "inputs": [{"name", "digest"}], "prev": [id], "volatile": {"argv", "host", "time", "job", "built_with"}}]}
/// The last entry is the run that made the artifact; the others are those of its inputs. `digest` covers tool, config
/// and the digests of the inputs in order; version, git and everything volatile stay outside of it.
class Provenance {
 public:
  /// `config`: exactly the fields that change the numbers.
  Provenance(std::string tool, nlohmann::json config);

  /// An outside file: its content digest is computed. `name` is the role ("annotations").
  void add_file(const std::string& name, const std::string& path);
  /// One of our artifacts: the digest its provenance states; its entries join the chain. `content`: a digest of what it
  /// holds, where the provenance alone does not tell (checkpoints of one run share it).
  void add_artifact(const std::string& name, const nlohmann::json& provenance, const std::string& content = "");
  void add_digest(const std::string& name, const std::string& digest);

  std::string digest() const;
  const nlohmann::json& config() const { return config_; }
  nlohmann::json to_json() const;

 private:
  std::string tool_;
  nlohmann::json config_;
  nlohmann::json inputs_ = nlohmann::json::array();
  nlohmann::json entries_ = nlohmann::json::array();
  nlohmann::json prev_ = nlohmann::json::array();
};

/// Command line kept for the volatile part; null switches the volatile part off (--no-provenance).
void set_command_line(int argc, char** argv);
void drop_volatile_provenance();
const std::string& version_string();  // "0.1.0"
const std::string& git_string();      // "abc1234" or "unknown"
const std::string& built_with();      // "GNU 12.2.0, HDF5 1.10.8, OpenCV 4.6.0, LibTorch 2.13.0": compiler and libraries of this build

/// Checks that `provenance` read from `where` has the shape above. Error(kBadData).
void check_provenance(const nlohmann::json& provenance, const std::string& where);

/// Digest of the input of that name which the last entry states, "" without one.
std::string input_digest(const nlohmann::json& provenance, const std::string& name);

/// For outputs whose format has no place for it (a COCO results list): `path`.provenance.json beside it, which also has the
/// size of `path` as "bytes".
void write_sidecar(const std::string& path, const Provenance& provenance);
/// null when there is none, or when `path` no longer has the size it was written with.
nlohmann::json read_sidecar(const std::string& path);

/// What to do with an output that may exist. True: it is complete and has this digest ("up to date").
/// Error(kCannotCreate) if it is there, is another one, and `force` is false.
bool is_up_to_date(const std::string& path, const nlohmann::json& existing_provenance, const Provenance& wanted,
                   bool force);

}  // namespace iuq::io
