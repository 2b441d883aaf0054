#pragma once

namespace iuq {

/// A closed pipe or a file that may not grow is an error of the write, with a message, not a silent death.
void ignore_write_signals();
/// From here on INT, TERM and USR1 set a flag that loops look at between items; a second INT ends the process at once.
/// For programs that look at it: any other would be deaf to TERM.
void catch_stop_signals();
bool stop_requested();
/// Error(kInterrupted) saying `what_is_kept` if a stop was requested.
void throw_if_stopped(const char* what_is_kept);

}  // namespace iuq
