//! The program: hands its arguments to the library and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    #[cfg(feature = "lua")]
    if args.next().is_some_and(|first| first == muster::standin::ARGUMENT) {
        return muster::standin::main(args);
    }
    let _ = args;
    ExitCode::SUCCESS
}
