//! The log: to a file, never to the terminal, which belongs to the screen.

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use super::{Env, Options};
use crate::failure::Failure;

/// Starts the log if one was asked for. Keep the guard: dropping it writes what is still in memory.
pub(super) fn start(options: &Options, env: &Env) -> Result<Option<WorkerGuard>, Failure> {
    let Some(path) = &options.log else { return Ok(None) };
    let path = env.dir.join(path);
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    let file = file.map_err(|error| Failure::internal(&format!("opening the log {}", path.display()), &error))?;
    let (writer, guard) = tracing_appender::non_blocking(file);
    let level = env.vars.get("MUSTER_LOG").map_or("muster=info", String::as_str);
    let filter = EnvFilter::try_new(level).map_err(|error| Failure::internal("reading MUSTER_LOG", &error))?;
    let started = tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(writer).try_init();
    // Tests run the program several times in one process: the first log stays.
    drop(started);
    Ok(Some(guard))
}
