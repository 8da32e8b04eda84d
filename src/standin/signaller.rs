//! `nginx` as units and containers call it: a start in the foreground, `-s SIGNAL`, `-t` (facts.md A6).

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::sys::signal::{Signal, kill};

use super::command::complain;
use super::prefix::Prefix;
use super::{Settings, master};

/// Runs one call. Of the options only `-p`, `-c`, `-s` and `-t` mean something; `-c` is always the prefix's own file.
pub(super) fn run(file: PathBuf, args: Vec<OsString>) -> ExitCode {
    let words: Vec<String> = args.into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let after = |option: &str| words.iter().skip_while(|word| *word != option).nth(1);
    let settings = match Settings::load(&file) {
        Ok(settings) => settings,
        Err(error) => return fails(&error.to_string()),
    };
    let dir = after("-p").map_or_else(|| settings.default_prefix.clone(), PathBuf::from);
    let prefix = Prefix::new(std::path::absolute(&dir).unwrap_or(dir));
    let read = match prefix.read_nginx() {
        Ok(read) => read,
        Err(problem) => return fails(&problem),
    };
    if words.iter().any(|word| word == "-t") {
        let conf = prefix.path("nginx.conf").display().to_string();
        complain(&format!("nginx: the configuration file {conf} syntax is ok"));
        complain(&format!("nginx: configuration file {conf} test is successful"));
        return ExitCode::SUCCESS;
    }
    if let Some(word) = after("-s") {
        return signal(&prefix, word);
    }
    if read.daemon {
        return super::command::background(&file, &settings, &prefix);
    }
    master::run(file, prefix.dir().to_owned(), settings, None)
}

fn fails(problem: &str) -> ExitCode {
    complain(&format!("nginx: [emerg] {problem}"));
    ExitCode::FAILURE
}

fn signal(prefix: &Prefix, word: &str) -> ExitCode {
    let signal = match word {
        "reload" => Signal::SIGHUP,
        "quit" => Signal::SIGQUIT,
        "stop" => Signal::SIGTERM,
        "reopen" => Signal::SIGUSR1,
        _ => return fails(&format!("invalid option: \"-s {word}\"")),
    };
    match prefix.pid().map(|pid| kill(pid, signal)) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => fails(&format!("kill() failed ({error})")),
        None => fails(&format!("invalid PID number \"\" in \"{}\"", prefix.path("pids/nginx.pid").display())),
    }
}
