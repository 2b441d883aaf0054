#pragma once

#include <string>
#include <string_view>

namespace iuq::io {

/// What the first bytes of a file are when it is no file of weights but something that often lies in the place of one: a Git LFS
/// pointer, a web page, an archive, the index of shards. "a web page (HTML), ...; download it again": a phrase for messages with
/// what to do. "" when nothing is known of it.
std::string foreign_kind(std::string_view bytes);

/// "model-00002-of-00003.safetensors" is one of 3; 0 when the name says no such thing.
int shards_in_name(const std::string& path);

}  // namespace iuq::io
