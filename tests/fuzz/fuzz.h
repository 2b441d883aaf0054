#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// The entry that libFuzzer and tests/fuzz/driver.cpp call. A property that does not hold ends in abort().
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace iuq::fuzz {

/// What the driver begins with, and what it inserts: words that mutation alone would hardly find. Each target has its own.
std::vector<std::string> seeds();
std::vector<std::string> tokens();

/// Says `what` and aborts unless `ok`.
void require(bool ok, const char* what);

}  // namespace iuq::fuzz
