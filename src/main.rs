//! The program: hands its world to the library and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    let env = muster::cli::Env::of_process();
    #[cfg(feature = "lua")]
    if env.args.first().is_some_and(|first| first == muster::standin::ARGUMENT) {
        return muster::standin::main(env.args.into_iter().skip(1));
    }
    ExitCode::from(muster::cli::main_with(env))
}
