#pragma once

namespace iuq {

/// Ignores SIGPIPE and SIGXFSZ: writing to a closed pipe, or beyond the limit of a file's size, then fails with a message
/// instead of ending the process without one.
void ignore_write_signals();
/// From here on INT, TERM and USR1 set a flag that loops look at between items; a second INT ends the process at once.
/// Only for programs that look at it: any other would no longer react to TERM.
void catch_stop_signals();
bool stop_requested();
/// Error(kInterrupted) saying `what_is_kept` if a stop was requested.
void throw_if_stopped(const char* what_is_kept);

}  // namespace iuq
