#pragma once

#include <functional>
#include <string>

#include "lib/base/error.h"
#include "tests/support/catch.h"

namespace iuq::test {

/// What the Error says that `body` throws, whatever its code. Fails the test when there is none.
inline std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    return e.what();
  }
  FAIL("no error");
  return "";
}

/// The same for an error of this code alone.
inline std::string error_of(const std::function<void()>& body, ErrorCode code = ErrorCode::kBadData) {
  return message_of([&] {
    try {
      body();
    } catch (const Error& e) {
      INFO(e.what());
      CHECK(e.code() == code);
      throw;
    }
  });
}

}  // namespace iuq::test
