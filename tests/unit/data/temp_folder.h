#pragma once

#include <string>
#include <vector>

#include "lib/base/error.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace iuq::test {

/// Whether `call` throws an Error of this code whose message has every one of `parts`; prints what it got if not.
template <class Call>
bool fails_with(ErrorCode code, const std::vector<std::string>& parts, Call&& call) {
  try {
    call();
  } catch (const Error& e) {
    bool ok = e.code() == code;
    for (const std::string& part : parts) ok = ok && std::string(e.what()).find(part) != std::string::npos;
    if (!ok) WARN("got (" << static_cast<int>(e.code()) << ") " << e.what());
    return ok;
  }
  WARN("got no error");
  return false;
}

}  // namespace iuq::test
