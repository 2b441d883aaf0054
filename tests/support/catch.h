#pragma once
// Catch2 v2 and v3 under one name.
#ifdef IUQ_CATCH2_V3
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
