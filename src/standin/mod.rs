//! The stand-in gateway: behaves like Kong where muster looks, and says that it is none.
//!
//! The same binary as `muster`, behind one hidden first argument (`--stand-in FILE kong|master|worker …`), so that tests
//! and the demo have nodes with real processes, real signals, real files and real plugin loading on a machine without
//! Kong. It shares no code with [`crate::kong`], so that a misreading there shows. What keeps it honest is the contract
//! suite (`tests/suite/contract`), which also runs against a real Kong.
//!
//! What it does not do:
//! - nginx: of its language only words, blocks and includes, and of directives only those of `nginx.rs` by name; it acts on a
//!   dozen. Servers of a custom template answer what their `return` says. No TLS listeners, no streams, no `USR1`/`USR2`.
//! - Routing: every path is answered 200 unless a plugin exits. Only `rewrite`, `access`, `header_filter`, `log` and
//!   `init_worker` of custom plugins run, with stubs for almost all of the PDK; bundled plugins are names without code.
//! - A stub takes every call and is always true: plugin code that loops until a stub says no hangs the worker.
//! - A worker runs the loaded sources anew where a real one is a fork: state that a module built while it was loaded
//!   (time, random numbers, files read) is built again. The master waits for that before it counts the 100 ms to the
//!   end of the old workers, so a plugin that is slow to load takes its time twice.
//! - Schemas are checked for shape and type names only; rows are never validated against them.
//! - PostgreSQL is a JSON file with a lock. Its "connection" is a flag. Migrations are a list of plugin names.
//! - LMDB is a JSON file in `dbless.lmdb`. Configurations are looked at for their shape and the names of plugins only.
//! - Hybrid: control and data planes speak a protocol of their own, without TLS; certificates have to be there and are not
//!   looked at. No telemetry, no incremental sync, no wasm filters, no several control planes for one data plane.
//! - Enterprise is what its documentation says, as nothing of it was measured: workspaces, RBAC by endpoint, consumer groups.
//! - Vaults: the environment's, in whole values of settings; what it stood for is handed to the master in clear.
//! - No Go or Python plugin servers.
//! - About half of Kong's configuration keys are known, with no check of most values. `_blank_` in a value is not split.
//! - A master that was killed and not yet buried counts as gone; a real `kong health` takes it for running.
//! - The CLI takes milliseconds where Kong's takes a third of a second (`time_scale` slows it), needs no perl, starts no
//!   further processes, and of warnings prints that about `ulimit`. `KONG_NGINX_DAEMON=off` keeps it in the foreground but
//!   does not pass signals on; `nginx` itself does.
//! - A log level that is set through the Admin API is remembered and told, and changes nothing that is logged.
//! - Releases: 3.9.1 and 3.4.2 are told apart where a test of the contract says so; 2.8 only in what is looked at.

mod admin;
mod clock;
mod clustering;
mod command;
mod conf;
mod config_api;
mod control_plane;
mod cycle;
mod data_plane;
mod debug;
mod declarative;
mod defaults;
mod effective;
mod entities;
mod generation;
mod handover;
mod http;
mod leash;
mod lmdb;
mod load;
mod log;
mod master;
mod nginx;
mod prefix;
mod proxy;
mod rbac;
mod row_schema;
mod rows;
mod sandbox;
mod settings;
mod shared;
mod signaller;
pub mod site;
mod template;
mod title;
mod worker;
mod workspaces;

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

pub use leash::Leash;
pub use settings::{Edition, Faults, RbacUser, Release, Right, Settings, write_wrapper};

/// The first argument that makes the program a part of a stand-in.
pub const ARGUMENT: &str = "--stand-in";

/// Runs as a part of a stand-in node. `args` are those behind [`ARGUMENT`]: the settings file, then `kong` with the
/// arguments of its CLI, `nginx` with those of nginx, or (between its own processes) `master PREFIX` or `worker`.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let (Some(file), Some(part)) = (args.next(), args.next()) else { return misused() };
    let file = PathBuf::from(file);
    match part.to_str() {
        Some("kong") => command::run(file, args.collect()),
        Some("master") => match (Settings::load(&file), args.next()) {
            (Ok(settings), Some(prefix)) => master::run(file, prefix.into(), settings, standard_input().ok()),
            _ => misused(),
        },
        Some("nginx") => signaller::run(file, args.collect()),
        Some("worker") => worker::run(&file),
        Some("agent") => data_plane::agent(&file),
        _ => misused(),
    }
}

fn misused() -> ExitCode {
    command::complain(&format!(
        "{ARGUMENT} wants FILE kong|nginx|master|worker; it is for the wrapper that muster writes"
    ));
    ExitCode::FAILURE
}

/// Standard input as the socket that whoever started this process made of it.
fn standard_input() -> std::io::Result<UnixStream> {
    Ok(UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?))
}
