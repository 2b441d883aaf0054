#pragma once

namespace iuq {

/// INT, TERM and USR1 set a flag that loops look at between items; a second INT ends the process at once.
void install_signal_handlers();
bool stop_requested();
/// Error(kInterrupted) saying `what_is_kept` if a stop was requested.
void throw_if_stopped(const char* what_is_kept);

}  // namespace iuq
