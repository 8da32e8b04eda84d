//! The command line: arguments in, an exit code out.
