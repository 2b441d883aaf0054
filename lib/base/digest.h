#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace iuq {

/// 128-bit XXH3, fed piece by piece. Tells artifacts apart and finds damage; it is no protection against an attacker.
class Digest {
 public:
  Digest();
  ~Digest();
  Digest& add(const void* data, size_t bytes);
  Digest& add(std::string_view text) { return add(text.data(), text.size()); }
  std::string hex() const;  // 32 characters

 private:
  struct State;
  std::unique_ptr<State> state_;
};

uint64_t hash64(const void* data, size_t bytes);      // XXH3-64, for row checksums
std::string digest_of(std::string_view text);         // hex
std::string digest_of_file(const std::string& path);  // hex; Error(kNoInput | kIo)

}  // namespace iuq
