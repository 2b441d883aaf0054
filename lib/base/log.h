#pragma once

#include <string>

namespace iuq::log {

enum class Level { kQuiet, kNormal, kVerbose };

/// Program name put before each line, and how much is said. Set once by run_main.
void set_up(const std::string& program, Level level);

void error(const std::string& message);    // "iuq-x: error: ..."
void warning(const std::string& message);  // "iuq-x: warning: ..."
void info(const std::string& message);     // not with --quiet
void verbose(const std::string& message);  // with --verbose only

bool stderr_is_tty();
bool is_quiet();

}  // namespace iuq::log
