//! The program: hands its arguments to the library and nothing else.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    #[cfg(feature = "lua")]
    if args.first().is_some_and(|first| first == muster::standin::ARGUMENT) {
        return muster::standin::main(args.into_iter().skip(1));
    }
    let _ = args;
    ExitCode::SUCCESS
}
