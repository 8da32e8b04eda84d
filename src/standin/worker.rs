//! An nginx worker: takes connections on the master's listeners and answers from the generation that it was given.

use std::io::{self, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::generation::Handover;
use super::lmdb::Live;
use super::log::{Level, Log};
use super::shared::Shared;
use super::{Settings, admin, clustering, control_plane, data_plane, handover, http, leash, proxy, title::Title};

/// The exit code of a worker that could not come up; nginx does not replace one that ended with it.
pub(super) const FATAL: i32 = 2;

/// How long a connection that was taken before the worker was told to go may still send its first request: no new
/// connection fails during a reload (measured.md 9).
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// What every connection of a worker shares.
pub(super) struct Node {
    pub(super) handover: Handover,
    pub(super) shared: Shared,
    pub(super) log: Arc<Log>,
    pub(super) plugins: proxy::Plugins,
    /// The stored configuration of a node without a database.
    pub(super) live: Live,
    /// As they were when the worker came up.
    settings: Settings,
}

impl Node {
    /// The settings as they are now; as they were where the file cannot be read, as after changing the user.
    pub(super) fn settings(&self) -> Settings {
        Settings::load(&self.handover.file).unwrap_or_else(|_| self.settings.clone())
    }
}

/// Runs one worker until it is told to go or its owner ends.
pub(super) fn run(file: &Path) -> ExitCode {
    let fatal = ExitCode::from(u8::try_from(FATAL).unwrap_or(1));
    let title = Title::open().ok();
    retitle(title.as_ref(), "nginx: worker process");
    let Ok((node, listeners)) = come_up(file) else { return fatal };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return fatal };
    let outcome = runtime.block_on(serve(node, listeners, title));
    runtime.shutdown_background();
    outcome.map_or(fatal, |()| ExitCode::SUCCESS)
}

fn retitle(title: Option<&Title>, text: &str) {
    let _ = title.map(|title| title.set(text));
}

fn come_up(file: &Path) -> io::Result<(Arc<Node>, Vec<TcpListener>)> {
    let settings = Settings::load(file)?;
    leash::attach(settings.leash.as_deref())?;
    let mut master = super::standard_input()?;
    let received = handover::receive(&master)?;
    let handover = received.handover;
    limit_files(handover.generation.files);
    change_user(settings.worker_user.as_deref())?;
    let log = Arc::new(Log::from_file(received.log, Level::named(&handover.generation.level)));
    let shared = Shared::from_file(received.shared);
    let plugins = proxy::Plugins::load(&handover.generation, &settings, &log).map_err(io::Error::other)?;
    shared.announce(handover.slot, std::process::id())?;
    if let Some(problem) = &handover.generation.broken {
        log.write(Level::Crit, &format!("*1 [lua] init.lua:796: init_worker(): worker initialization error: {problem}; this node must be restarted, context: init_worker_by_lua*"));
    } else if handover.respawned {
        // One respawned worker was enough to bring readiness back on a real node.
        (0..handover.generation.workers).try_for_each(|slot| shared.ready(slot))?;
    } else {
        shared.ready(handover.slot)?;
    }
    // Nobody listens to a worker of the first generation or to a respawned one.
    let _ = master.write_all(b"r");
    let live = Live::of(&handover.generation.prefix());
    Ok((Arc::new(Node { handover, shared, log, plugins, live, settings }), received.listeners))
}

/// As `worker_rlimit_nofile` does; more than this process may have is left, as nginx leaves it.
fn limit_files(files: Option<u64>) {
    use nix::sys::resource::{Resource, setrlimit};
    if let Some(files) = files {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, files, files);
    }
}

/// As `nginx_main_user` does; only root can, and only then does nginx try.
fn change_user(name: Option<&str>) -> io::Result<()> {
    let Some(name) = name.filter(|_| nix::unistd::geteuid().is_root()) else { return Ok(()) };
    let user = nix::unistd::User::from_name(name)?.ok_or_else(|| io::Error::other(format!("no user {name}")))?;
    nix::unistd::setgroups(&[user.gid])?;
    nix::unistd::setgid(user.gid)?;
    Ok(nix::unistd::setuid(user.uid)?)
}

async fn serve(node: Arc<Node>, listeners: Vec<TcpListener>, title: Option<Title>) -> io::Result<()> {
    let (mut quit, mut terminate) = (signal(SignalKind::quit())?, signal(SignalKind::terminate())?);
    // The master's mask was inherited, so that nothing was lost before the handlers stood.
    nix::sys::signal::SigSet::empty().thread_set_mask()?;
    let (stop, stopped) = watch::channel(false);
    // Held by every connection: when the last one is dropped, nothing is in flight any more.
    let (busy, mut idle) = mpsc::channel::<()>(1);
    tokio::time::sleep(Duration::from_millis(node.handover.busy)).await;
    for (listener, (server, _)) in listeners.into_iter().zip(node.handover.listeners.clone()) {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::spawn(accept(Arc::clone(&node), listener, server, stopped.clone(), busy.clone()));
    }
    let client = client_of(&node);
    drop((busy, stopped));
    tokio::select! {
        _ = terminate.recv() => return Ok(()),
        _ = quit.recv() => {}
    }
    client.inspect(tokio::task::JoinHandle::abort);
    retitle(title.as_ref(), "nginx: worker process is shutting down");
    node.log.write(Level::Notice, "gracefully shutting down");
    // A good reload logs errors, too (measured.md 2).
    node.log.write(Level::Error, "*1 [lua] worker.lua:325: communicate(): event worker failed to communicate with broker (failed to receive the header bytes: closed), context: ngx.timer");
    let _ = stop.send(true);
    tokio::select! {
        _ = terminate.recv() => return Ok(()),
        _ = idle.recv() => {}
    }
    node.settings().linger(0.7);
    node.log.write(Level::Notice, "exit");
    Ok(())
}

/// The first worker of a data plane holds its connection where no process of its own does, unless it came up without a router.
fn client_of(node: &Arc<Node>) -> Option<tokio::task::JoinHandle<()>> {
    let Handover { generation, file, slot: 0, .. } = &node.handover else { return None };
    let settings = node.settings();
    let is_agent = clustering::has_agent(generation, settings.is_34());
    if generation.role() != "data_plane" || is_agent || generation.broken.is_some() {
        return None;
    }
    let plane = data_plane::DataPlane::new(file, generation, Arc::clone(&node.log), settings);
    Some(tokio::spawn(plane.run()))
}

async fn accept(
    node: Arc<Node>,
    listener: tokio::net::TcpListener,
    server: String,
    mut stopped: watch::Receiver<bool>,
    busy: mpsc::Sender<()>,
) {
    loop {
        let stream = tokio::select! {
            _ = stopped.changed() => return,
            taken = listener.accept() => taken,
        };
        match stream {
            Ok((stream, _)) => {
                tokio::spawn(connection(Arc::clone(&node), stream, server.clone(), stopped.clone(), busy.clone()));
            }
            // Out of descriptors: wait for some to come back instead of spinning.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(
    node: Arc<Node>,
    stream: TcpStream,
    server: String,
    mut stopped: watch::Receiver<bool>,
    _busy: mpsc::Sender<()>,
) {
    let _ = stream.set_nodelay(true);
    if server == control_plane::SERVER {
        return control_plane::serve(&node, stream, stopped).await;
    }
    let mut stream = BufReader::new(stream);
    let mut first = true;
    loop {
        let grace = if first { FIRST_REQUEST } else { Duration::ZERO };
        tokio::select! {
            biased;
            begun = stream.fill_buf() => if !begun.is_ok_and(|bytes| !bytes.is_empty()) { return },
            () = told_to_go(&mut stopped, grace) => return,
        }
        let Ok(Some(request)) = http::read(&mut stream).await else { return };
        // No answer at all is what a broken worker and a vanished Admin API look like: curl's code 52.
        let Some(mut response) = answer(&node, &server, &request).await else { return };
        if request.method == "HEAD" {
            response.body.clear();
        }
        let close = *stopped.borrow() || request.wants_close();
        if http::write(&mut stream, &response, close).await.is_err() || close {
            return;
        }
        first = false;
    }
}

async fn told_to_go(stopped: &mut watch::Receiver<bool>, grace: Duration) {
    let _ = stopped.wait_for(|stop| *stop).await;
    tokio::time::sleep(grace).await;
}

async fn answer(node: &Node, server: &str, request: &http::Request) -> Option<http::Response> {
    match server {
        "kong_admin" => {
            let settings = node.settings();
            (!settings.faults.admin_gone).then(|| admin::answer(node, &settings, request))
        }
        "kong_status" => Some(admin::status(node, &node.settings(), request)),
        "kong" => proxy::answer(node, request).await,
        // A server that only a template of somebody's own has.
        own => Some(match node.handover.generation.returns.get(own).cloned() {
            Some((status, text)) => http::Response { status, headers: vec![], body: text.into_bytes() },
            None => http::Response::message(404, "Not Found"),
        }),
    }
}
