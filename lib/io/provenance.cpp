#include "lib/io/provenance.h"

#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>

#include "lib/base/digest.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/io/atomic_file.h"
#include "lib/io/json_file.h"
#include "lib/io/version.h"

namespace iuq::io {
namespace {

using nlohmann::json;

std::vector<std::string> command_line;
bool with_volatile = true;

json volatile_part() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  char time[32] = "";
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%SZ", &utc);
  const char* job = std::getenv("SLURM_JOB_ID");
  return {{"argv", command_line}, {"host", host}, {"time", time}, {"job", job ? job : ""}, {"built_with", built_with()}};
}

}  // namespace

Provenance::Provenance(std::string tool, json config) : tool_(std::move(tool)), config_(std::move(config)) {}

void Provenance::add_file(const std::string& name, const std::string& path) {
  add_digest(name, digest_of_file(path));
}

void Provenance::add_digest(const std::string& name, const std::string& digest) {
  inputs_.push_back({{"name", name}, {"digest", digest}});
}

void Provenance::add_artifact(const std::string& name, const json& provenance, const std::string& content) {
  check_provenance(provenance, name);
  add_digest(name, provenance.at("digest"));
  if (!content.empty()) add_digest(name + " content", content);
  for (const json& entry : provenance.at("entries")) {
    bool known = false;
    for (const json& mine : entries_) known = known || mine.at("id") == entry.at("id");
    if (!known) entries_.push_back(entry);
  }
  prev_.push_back(provenance.at("entries").back().at("id"));
}

std::string Provenance::digest() const {
  json key = {{"tool", tool_}, {"config", config_}, {"inputs", inputs_}};
  return digest_of(key.dump());
}

json Provenance::to_json() const {
  json entry = {{"id", cat(tool_, "-", digest().substr(0, 12))},
                {"tool", tool_},
                {"version", version_string()},
                {"git", git_string()},
                {"config", config_},
                {"config_digest", digest_of(config_.dump())},
                {"inputs", inputs_},
                {"prev", prev_}};
  if (with_volatile) entry["volatile"] = volatile_part();
  json entries = entries_;
  entries.push_back(entry);
  return {{"digest", digest()}, {"entries", entries}};
}

void set_command_line(int argc, char** argv) { command_line.assign(argv, argv + argc); }
void drop_volatile_provenance() { with_volatile = false; }

const std::string& version_string() {
  static const std::string version = IUQ_VERSION;
  return version;
}

const std::string& built_with() {
  static const std::string libraries = IUQ_BUILT_WITH;
  return libraries;
}

const std::string& git_string() {
  static const std::string git = IUQ_GIT;
  return git;
}

void check_provenance(const json& provenance, const std::string& where) {
  const bool ok = provenance.is_object() && provenance.contains("digest") && provenance["digest"].is_string() &&
                  provenance.contains("entries") && provenance["entries"].is_array() &&
                  !provenance["entries"].empty() && provenance["entries"].back().is_object() &&
                  provenance["entries"].back().contains("id");
  if (!ok) throw Error(ErrorCode::kBadData, cat("\"", where, "\" has no valid provenance; it was not made by iuq"));
}

std::string input_digest(const json& provenance, const std::string& name) {
  for (const json& input : provenance.at("entries").back().value("inputs", json::array())) {
    if (input.value("name", "") == name) return input.value("digest", "");
  }
  return "";
}

void write_sidecar(const std::string& path, const Provenance& provenance) {
  if (path == "-") return;
  json sidecar = provenance.to_json();
  sidecar["bytes"] = std::filesystem::file_size(path);
  write_json(path + ".provenance.json", sidecar);
}

json read_sidecar(const std::string& path) {
  const std::string sidecar = path + ".provenance.json";
  if (path == "-" || !exists(sidecar)) return json();
  const json found = read_json(sidecar);
  std::error_code none;
  const auto bytes = std::filesystem::file_size(path, none);
  return !found.is_object() || !found.contains("bytes") || found["bytes"] == bytes ? found : json();
}

bool is_up_to_date(const std::string& path, const json& existing, const Provenance& wanted, bool force) {
  if (path == "-" || !exists(path) || force) return false;
  if (existing.is_object() && existing.value("digest", "") == wanted.digest()) {
    log::info(cat("\"", path, "\" is up to date"));
    return true;
  }
  throw Error(ErrorCode::kCannotCreate,
              cat("\"", path, "\" exists and was made otherwise; remove it, choose another --output, or pass --force"));
}

}  // namespace iuq::io
