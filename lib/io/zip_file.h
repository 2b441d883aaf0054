#pragma once

#include <map>
#include <string>
#include <string_view>

namespace iuq::io {

/// The entries of a zip archive whose entries are stored, not compressed (as torch.save writes them), as views into
/// `bytes`. zip64 is understood. Error(kBadData) opening with `where` for anything out of range, compressed, encrypted,
/// named twice or spread over several disks. Checksums are not verified: torch.save may leave them out.
std::map<std::string, std::string_view> read_stored_zip(std::string_view bytes, const std::string& where);

}  // namespace iuq::io
