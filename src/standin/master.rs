//! The nginx master: owns listeners and workers, loads plugins at start and at every HUP.
//!
//! Its signals are blocked except while it waits in `sigsuspend`, so that `/proc/PID/status` tells a working master
//! from an idle one, and several HUPs that come meanwhile count as one (protocols.md B3).

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::cycle::{self, Cycle, NotLoaded};
use super::generation::{AGENT, Handover};
use super::log::{Level, Log};
use super::prefix::Prefix;
use super::shared::Shared;
use super::{Settings, clock, clustering, data_plane, handover, leash, title};

/// How long after new workers were started the old ones are told to go, as in nginx.
const OVERLAP: Duration = Duration::from_millis(100);

/// New workers start to answer this much after the old ones were told to go, so that answers never go back from new to
/// old, which was never seen on a real node.
const HEADWAY: Duration = Duration::from_millis(10);

/// A worker that has not loaded within this time is not waited for.
const LOADING: Duration = Duration::from_mins(1);

struct Flags {
    reload: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
    quit: Arc<AtomicBool>,
}

struct Worker {
    pid: Pid,
    slot: usize,
    /// Was told to go, and is not replaced when it does.
    leaving: bool,
}

struct Bound {
    server: String,
    address: String,
    listener: TcpListener,
}

struct Master {
    file: PathBuf,
    prefix: Prefix,
    settings: Settings,
    log: Log,
    shared: Shared,
    bound: Vec<Bound>,
    cycle: Cycle,
    node_id: String,
    workers: Vec<Worker>,
    /// What vault references stand for, from whoever started it.
    secrets: BTreeMap<String, String>,
}

/// Runs a master for this prefix until it is told to stop. `starter` hears `ok` or the error in nginx's words; without one
/// it is in the foreground, and the error goes to standard error.
pub(super) fn run(file: PathBuf, prefix: PathBuf, settings: Settings, starter: Option<UnixStream>) -> ExitCode {
    let prefix = Prefix::new(prefix);
    let outcome = prepare(file, &prefix, settings);
    if let (None, Err(problem)) = (&starter, &outcome) {
        super::command::complain(problem);
    }
    if let Some(mut stream) = starter {
        let text = outcome.as_ref().map_or_else(Clone::clone, |_| "ok".to_owned());
        let _ = stream.write_all(text.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
    match outcome {
        Ok((mut master, flags)) => {
            master.wait(&flags);
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn prepare(file: PathBuf, prefix: &Prefix, settings: Settings) -> Result<(Master, Flags), String> {
    blocked().thread_block().map_err(|error| format!("nginx: [emerg] sigprocmask failed: {error}"))?;
    let flags = Flags::register().map_err(|error| format!("nginx: [emerg] sigaction failed: {error}"))?;
    let _ = rustix::process::setsid();
    let title =
        format!("nginx: master process {} -p {} -c nginx.conf", settings.nginx.display(), prefix.dir().display());
    let _ = title::Title::open().and_then(|own| own.set(&title));
    leash::attach(settings.leash.as_deref()).map_err(|error| format!("the stand-in's owner is gone: {error}"))?;
    let master = Master::start(file, prefix.clone(), settings)?;
    Ok((master, flags))
}

/// The signals that nginx's master waits for.
fn blocked() -> SigSet {
    let mut set = SigSet::empty();
    for signal in [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGCHLD,
        Signal::SIGALRM,
        Signal::SIGIO,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGWINCH,
    ] {
        set.add(signal);
    }
    set
}

impl Flags {
    fn register() -> io::Result<Self> {
        let flag = |signals: &[Signal]| {
            let flag = Arc::new(AtomicBool::new(false));
            for signal in signals {
                signal_hook::flag::register(*signal as i32, Arc::clone(&flag))?;
            }
            Ok::<_, io::Error>(flag)
        };
        // These only have to interrupt the waiting and not to end the process.
        flag(&[Signal::SIGCHLD, Signal::SIGALRM, Signal::SIGIO, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGWINCH])?;
        Ok(Self {
            reload: flag(&[Signal::SIGHUP])?,
            terminate: flag(&[Signal::SIGTERM, Signal::SIGINT])?,
            quit: flag(&[Signal::SIGQUIT])?,
        })
    }
}

impl Master {
    fn start(file: PathBuf, prefix: Prefix, settings: Settings) -> Result<Self, String> {
        let nginx = |problem: &str| format!("nginx: {problem}");
        let emerg = |problem: String| nginx(&format!("[emerg] {problem}"));
        let files = prefix.read_nginx().map_err(emerg)?;
        let log = Log::open(&files.error_log, Level::named(&files.level)).map_err(|error| emerg(error.to_string()))?;
        let shared = Shared::create().map_err(|error| emerg(error.to_string()))?;
        let mut secrets = BTreeMap::new();
        let cycle = match cycle::load(&prefix, &settings, &file, &shared, &mut secrets) {
            Ok(cycle) => cycle,
            Err(problem) => {
                problem.write(&log);
                return Err(nginx(&problem.to_string()));
            }
        };
        let bound = bind(&cycle, &[]).map_err(|problem| {
            log.write(Level::Emerg, &problem);
            emerg(problem)
        })?;
        let pid = format!("{}\n", std::process::id());
        std::fs::write(prefix.path("pids/nginx.pid"), pid).map_err(|error| emerg(error.to_string()))?;
        let node_id = clock::uuid();
        let mut master = Self { file, prefix, settings, log, shared, bound, cycle, node_id, workers: vec![], secrets };
        master.tell_loaded();
        master.start_workers(Duration::ZERO);
        Ok(master)
    }

    /// Waits for signals, with nothing blocked meanwhile, and works on them with everything blocked.
    fn wait(&mut self, flags: &Flags) {
        let nothing = SigSet::empty();
        let mut quitting = false;
        loop {
            if self.workers.is_empty() && quitting {
                break;
            }
            let _ = nothing.suspend();
            self.reap(quitting);
            if flags.terminate.load(Ordering::Relaxed) {
                self.log.write(Level::Notice, "signal 15 (SIGTERM) received, exiting");
                self.terminate();
                break;
            }
            if flags.quit.swap(false, Ordering::Relaxed) && !quitting {
                self.log.write(Level::Notice, "signal 3 (SIGQUIT) received, shutting down");
                self.bound.clear();
                self.tell_old(Signal::SIGQUIT, usize::MAX);
                quitting = true;
            }
            if flags.reload.swap(false, Ordering::Relaxed) && !quitting {
                self.log.write(Level::Notice, "signal 1 (SIGHUP) received, reconfiguring");
                self.reload();
            }
        }
        let _ = std::fs::remove_file(self.prefix.path("pids/nginx.pid"));
        self.log.write(Level::Notice, "exit");
    }

    /// One reload. Whatever goes wrong in it leaves the old workers, the old listeners and the old generation.
    fn reload(&mut self) {
        self.log.write(Level::Notice, "reconfiguring");
        if let Ok(fresh) = Settings::load(&self.file) {
            self.settings = fresh;
        }
        let cycle = match cycle::load(&self.prefix, &self.settings, &self.file, &self.shared, &mut self.secrets) {
            Ok(cycle) => cycle,
            Err(problem) => return problem.write(&self.log),
        };
        match bind(&cycle, &self.bound) {
            Ok(bound) => self.bound = bound,
            Err(problem) => return self.log.write(Level::Emerg, &problem),
        }
        self.cycle = cycle;
        if let Ok(log) = Log::open(&self.cycle.error_log, Level::named(&self.cycle.generation.level)) {
            self.log = log;
        }
        self.tell_loaded();
        let old = self.workers.len();
        let words = self.start_workers(OVERLAP + HEADWAY);
        await_words(words);
        std::thread::sleep(OVERLAP);
        self.tell_old(Signal::SIGQUIT, old);
    }

    /// What a real log shows of a good load: one line per plugin at `debug`, from the master (facts.md B5).
    fn tell_loaded(&self) {
        let is_34 = self.settings.is_34();
        let line = if is_34 { 284 } else { 300 };
        for plugin in &self.cycle.generation.plugins {
            let text = format!("[lua] plugins.lua:{line}: load_plugin(): Loading plugin: {}", plugin.name);
            self.log.write(Level::Debug, &text);
        }
        if !is_34 {
            let token = clock::uuid();
            self.log.write(
                Level::Notice,
                &format!("[lua] init.lua:794: init(): [request-debug] token for request debugging: {token}"),
            );
        }
        self.log.write(Level::Notice, "start worker processes");
    }

    /// Starts a generation of workers; each says a word on its socket when it has loaded.
    fn start_workers(&mut self, busy: Duration) -> Vec<UnixStream> {
        let agent = clustering::has_agent(&self.cycle.generation, self.settings.is_34()).then_some(AGENT);
        (0..self.cycle.generation.workers)
            .chain(agent)
            .filter_map(|slot| self.start_worker(slot, false, busy))
            .collect()
    }

    fn start_worker(&mut self, slot: usize, respawned: bool, busy: Duration) -> Option<UnixStream> {
        match self.spawn(slot, respawned, busy) {
            Ok((pid, socket)) => {
                self.log.write(Level::Notice, &format!("start worker process {pid}"));
                self.workers.push(Worker { pid, slot, leaving: false });
                Some(socket)
            }
            Err(error) => {
                self.log.write(Level::Alert, &format!("could not start a worker: {error}"));
                None
            }
        }
    }

    fn spawn(&self, slot: usize, respawned: bool, busy: Duration) -> io::Result<(Pid, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let (part, title) =
            if slot == AGENT { ("agent", data_plane::AGENT) } else { ("worker", "nginx: worker process") };
        let child = Command::new("/proc/self/exe")
            .arg0(title)
            .arg("--stand-in")
            .arg(&self.file)
            .arg(part)
            .env_clear()
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let handover = Handover {
            generation: self.cycle.generation.clone(),
            file: self.file.clone(),
            node_id: self.node_id.clone(),
            master: Pid::this().as_raw(),
            slot,
            respawned,
            busy: u64::try_from(busy.as_millis()).unwrap_or(0),
            listeners: self.bound.iter().map(|bound| (bound.server.clone(), bound.address.clone())).collect(),
        };
        let listeners: Vec<&TcpListener> = self.bound.iter().map(|bound| &bound.listener).collect();
        handover::send(&ours, &handover, self.shared.file(), self.log.file(), &listeners)?;
        Ok((Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX)), ours))
    }

    /// Sends a signal to the first `count` workers and takes them off the list of those to be replaced.
    fn tell_old(&mut self, signal: Signal, count: usize) {
        for worker in self.workers.iter_mut().take(count) {
            worker.leaving = true;
            let _ = kill(worker.pid, signal);
        }
    }

    /// Buries ended children, and replaces a worker that was not told to go: from memory, not from disk.
    fn reap(&mut self, quitting: bool) {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            let (pid, end, replace) = match status {
                WaitStatus::Exited(pid, code) => {
                    (pid, format!("exited with code {code}"), code != super::worker::FATAL)
                }
                WaitStatus::Signaled(pid, signal, _) => (pid, format!("exited on signal {}", signal as i32), true),
                _ => break,
            };
            let Some(at) = self.workers.iter().position(|worker| worker.pid == pid) else { continue };
            let worker = self.workers.remove(at);
            let level = if worker.leaving { Level::Notice } else { Level::Alert };
            self.log.write(level, &format!("worker process {pid} {end}"));
            if !worker.leaving && replace && !quitting {
                self.start_worker(worker.slot, true, Duration::ZERO);
            }
        }
    }

    /// Fast shutdown: workers get a second, then SIGKILL.
    fn terminate(&mut self) {
        self.tell_old(Signal::SIGTERM, usize::MAX);
        let deadline = Instant::now() + Duration::from_secs(1);
        while !self.workers.is_empty() {
            if Instant::now() > deadline {
                self.tell_old(Signal::SIGKILL, usize::MAX);
            }
            std::thread::sleep(Duration::from_millis(1));
            self.reap(true);
        }
    }
}

/// A real worker is a fork and has everything loaded; this one loads again, and only then may the old ones go.
fn await_words(sockets: Vec<UnixStream>) {
    for mut socket in sockets {
        let _ = socket.set_read_timeout(Some(LOADING));
        let _ = socket.read(&mut [0; 1]);
    }
}

impl NotLoaded {
    fn write(&self, log: &Log) {
        let level = if self.is_emergency() { Level::Emerg } else { Level::Error };
        log.write(level, self.text());
    }
}

/// Binds as nginx does, which tries an address that is taken five times, half a second apart (nginx's
/// `ngx_open_listening_sockets`): who was killed may still be on the way out.
fn bound(address: &str) -> io::Result<TcpListener> {
    for _ in 1..5 {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => std::thread::sleep(Duration::from_millis(500)),
            tried => return tried,
        }
    }
    TcpListener::bind(address)
}

/// Keeps the sockets whose address stays and opens the others.
fn bind(cycle: &Cycle, old: &[Bound]) -> Result<Vec<Bound>, String> {
    let mut fresh = Vec::new();
    for (server, address) in &cycle.listeners {
        let kept = old.iter().find(|bound| bound.address == *address).map(|bound| bound.listener.try_clone());
        let listener = kept.unwrap_or_else(|| bound(address)).map_err(|error| {
            format!(
                "bind() to {address} failed ({}: {})",
                error.raw_os_error().unwrap_or(0),
                super::prefix::plain(&error)
            )
        })?;
        fresh.push(Bound { server: server.clone(), address: address.clone(), listener });
    }
    Ok(fresh)
}
