#include "lib/base/digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "lib/base/error.h"

namespace iuq {

struct Digest::State {
  XXH3_state_t xxh;
};

Digest::Digest() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
Digest::~Digest() = default;

Digest& Digest::add(const void* data, size_t bytes) {
  if (bytes > 0) XXH3_128bits_update(&state_->xxh, data, bytes);
  return *this;
}

std::string Digest::hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&state_->xxh);
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

uint64_t hash64(const void* data, size_t bytes) { return XXH3_64bits(data, bytes); }

std::string digest_of(std::string_view text) { return Digest().add(text).hex(); }

std::string digest_of_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) throw Error(ErrorCode::kNoInput, cat("cannot open \"", path, "\": ", std::strerror(errno)));
  if (std::filesystem::is_character_file(path)) {  // may never end
    throw Error(ErrorCode::kNoInput, cat("\"", path, "\" is a device, not a file"));
  }
  Digest digest;
  std::vector<char> block(1 << 20);
  size_t got;
  while ((got = std::fread(block.data(), 1, block.size(), file.get())) > 0) digest.add(block.data(), got);
  if (std::ferror(file.get())) throw Error(ErrorCode::kIo, cat("cannot read \"", path, "\": ", std::strerror(errno)));
  return digest.hex();
}

}  // namespace iuq
