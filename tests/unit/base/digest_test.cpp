#include "lib/base/digest.h"

#include "tests/support/catch.h"

TEST_CASE("digest: feeding in pieces changes nothing; the empty text has XXH3's known value", "[base][golden]") {
  REQUIRE(iuq::digest_of("") == "99aa06d3014798d86001c324468d497f");
  iuq::Digest pieces;
  pieces.add("a").add("bc");
  REQUIRE(pieces.hex() == iuq::digest_of("abc"));
}
