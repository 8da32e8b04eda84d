//! A data plane: asks its control plane for the configuration, stores it, and says what it runs.
//!
//! From 3.9 a process of its own does this, which is no worker and has no listener; in 3.4 it is the first worker, which does
//! not where its initialization failed: such a node never hears that the cause is gone (measured.md 13).

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::signal::unix::{SignalKind, signal};

use super::clustering::{Announced, Hello, Said, Told};
use super::generation::Generation;
use super::lmdb::{Store, Stored};
use super::log::{Level, Log};
use super::rows;
use super::{Settings, clock, handover, leash, title::Title};

/// The title of the process that is no worker.
pub(super) const AGENT: &str = "nginx: privileged agent process";

/// Seconds between two signs of life, and at least this many milliseconds.
const PING: (f64, u64) = (30.0, 500);

/// Seconds between an applied configuration and the sign that says so.
const APPLIED: f64 = 0.5;

/// A data plane's end of the connection.
pub(super) struct DataPlane {
    file: PathBuf,
    generation: Generation,
    log: Arc<Log>,
    store: Store,
    id: String,
    settings: Settings,
}

impl DataPlane {
    pub(super) fn new(file: &Path, generation: &Generation, log: Arc<Log>, settings: Settings) -> Self {
        let prefix = generation.prefix();
        let store = Store::of(&prefix);
        Self { file: file.to_owned(), generation: generation.clone(), log, store, id: identity(&prefix), settings }
    }

    fn settings(&self) -> Settings {
        Settings::load(&self.file).unwrap_or_else(|_| self.settings.clone())
    }

    /// Connects again and again.
    pub(super) async fn run(self) {
        let to = self.generation.setting("cluster_control_plane").to_owned();
        loop {
            let problem = match self.talk(&to).await {
                Ok(()) => "failed to receive a frame: closed".to_owned(),
                Err(error) => format!("failed to connect: {}", super::prefix::plain(&error).to_lowercase()),
            };
            let seconds = 5 + u64::from(clock::uuid().as_bytes()[0]) % 6;
            let id = &self.id;
            self.log.write(
                Level::Warn,
                &format!("*1 [lua] data_plane.lua:156: communicate(): [clustering] connection to control plane wss://{to}/v1/outlet?node_id={id} broken: {problem} (retrying after {seconds} seconds) [{to}], context: ngx.timer"),
            );
            #[expect(clippy::cast_precision_loss, reason = "at most 10")]
            tokio::time::sleep(self.settings().scaled(seconds as f64, 50)).await;
        }
    }

    async fn talk(&self, to: &str) -> io::Result<()> {
        let stream = TcpStream::connect(to).await?;
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let settings = self.settings();
        say(&mut writer, &Said::Hello(self.hello(&settings))).await?;
        let mut ping = settings.scaled(PING.0, PING.1);
        loop {
            tokio::select! {
                () = tokio::time::sleep(ping) => {
                    say(&mut writer, &Said::Ping { hash: self.store.read().shown_hash() }).await?;
                    ping = self.settings().scaled(PING.0, PING.1);
                }
                line = lines.next_line() => match line? {
                    Some(line) => {
                        let told: Told = serde_json::from_str(&line)?;
                        self.take(&told.config);
                        ping = self.settings().scaled(APPLIED, 0);
                    }
                    None => return Ok(()),
                },
            }
        }
    }

    fn hello(&self, settings: &Settings) -> Hello {
        let announced = |plugin: &super::generation::Plugin| Announced {
            name: plugin.name.clone(),
            version: plugin.version.clone(),
        };
        Hello {
            id: self.id.clone(),
            hostname: super::admin::hostname(),
            version: settings.version.clone(),
            hash: self.store.read().shown_hash(),
            plugins: self.generation.plugins.iter().map(announced).collect(),
        }
    }

    /// Stores a configuration that names only what is loaded here. Workers act on it from then on, but not those that came up
    /// without a router.
    fn take(&self, config: &Stored) {
        if let Some(name) = rows::names(config.table("plugins")).into_iter().find(|name| !self.generation.has(name)) {
            let problem = format!(
                "in 'plugins':\n  - in entry 1 of 'plugins':\n    in 'name': plugin '{name}' not enabled; add it to the 'plugins' configuration property"
            );
            return self.log.write(Level::Error, &format!("*1 [lua] data_plane.lua:290: [clustering] unable to update running config: bad config received from control plane {problem}, context: ngx.timer"));
        }
        if self.store.read().hash == config.hash {
            return;
        }
        if let Err(error) = self.store.write(config) {
            self.log.write(Level::Error, &format!("*1 [clustering] unable to update running config: {error}"));
        }
    }
}

async fn say(writer: &mut OwnedWriteHalf, said: &Said) -> io::Result<()> {
    let mut text = serde_json::to_vec(said)?;
    text.push(b'\n');
    writer.write_all(&text).await
}

/// The id of a data plane is kept in its prefix (facts.md C1): a restart keeps it, another prefix has another.
fn identity(prefix: &Path) -> String {
    let path = prefix.join("kong.id");
    let kept = std::fs::read_to_string(&path).ok().map(|text| text.trim().to_owned());
    kept.filter(|id| id.len() == 36).unwrap_or_else(|| {
        let id = clock::uuid();
        let _ = std::fs::write(&path, &id);
        id
    })
}

/// Runs the process that is no worker, until it is told to go: it goes at once, and never says that it is going.
pub(super) fn agent(file: &Path) -> ExitCode {
    let _ = Title::open().and_then(|own| own.set(AGENT));
    let Ok(plane) = come_up(file) else { return ExitCode::FAILURE };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let ended = runtime.block_on(until_told(plane));
    runtime.shutdown_timeout(Duration::ZERO);
    ended.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

fn come_up(file: &Path) -> io::Result<DataPlane> {
    let settings = Settings::load(file)?;
    leash::attach(settings.leash.as_deref())?;
    let mut master = super::standard_input()?;
    let received = handover::receive(&master)?;
    let generation = received.handover.generation;
    let log = Arc::new(Log::from_file(received.log, Level::named(&generation.level)));
    let _ = io::Write::write_all(&mut master, b"r");
    Ok(DataPlane::new(file, &generation, log, settings))
}

async fn until_told(plane: DataPlane) -> io::Result<()> {
    let (mut quit, mut terminate) = (signal(SignalKind::quit())?, signal(SignalKind::terminate())?);
    nix::sys::signal::SigSet::empty().thread_set_mask()?;
    tokio::select! {
        () = plane.run() => {}
        _ = quit.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
