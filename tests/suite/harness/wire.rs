//! The wire between ssh and one sshd: a listener of ours, and for each connection an `sshd -i` on a socket pair, the bytes
//! pumped in between. So every fault of a network is one line, and no sshd outlives its test (seams.md 4).

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Pair;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

/// What the wire does to connections.
#[derive(Debug, Clone, Default)]
struct Mood {
    frozen: bool,
    delay: Duration,
    /// New connections are accepted, and nothing ever answers on them.
    silent: bool,
    /// That many new connections are closed at once.
    dropped: usize,
}

struct Shared {
    mood: watch::Sender<Mood>,
    /// How many more bytes the servers may send; all connections are closed then.
    budget: watch::Sender<Option<usize>>,
    serving: AtomicUsize,
    accepted: AtomicUsize,
    pumps: Mutex<Vec<AbortHandle>>,
    reset: watch::Sender<u64>,
    sshd: PathBuf,
    config: PathBuf,
    log: PathBuf,
}

/// One sshd behind a wire that can be damaged.
pub(crate) struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl Wire {
    /// Listens; `sshd -f config` is started for each connection and writes to `log`.
    pub(crate) fn new(listener: TcpListener, sshd: PathBuf, config: PathBuf, log: PathBuf) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            mood: watch::Sender::default(),
            budget: watch::Sender::default(),
            serving: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            pumps: Mutex::default(),
            reset: watch::Sender::default(),
            sshd,
            config,
            log,
        });
        let listening = Mutex::new(Some(tokio::spawn(accept(listener, shared.clone()))));
        Self { address, shared, listening }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nothing listens any more; connections that are there stay.
    pub(crate) async fn refuse(&self) {
        let task = self.listening.lock().unwrap().take();
        if let Some(task) = task {
            task.abort();
            let _ = task.await;
        }
    }

    /// Listens again at the same address.
    pub(crate) async fn listen(&self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        *self.listening.lock().unwrap() = Some(tokio::spawn(accept(listener, self.shared.clone())));
    }

    /// No byte goes through until [`Wire::thaw`].
    pub(crate) fn freeze(&self) {
        self.shared.mood.send_modify(|mood| mood.frozen = true);
    }

    /// Ends a freeze.
    pub(crate) fn thaw(&self) {
        self.shared.mood.send_modify(|mood| mood.frozen = false);
    }

    /// Every piece of bytes takes this long, in each direction.
    pub(crate) fn delay(&self, delay: Duration) {
        self.shared.mood.send_modify(|mood| mood.delay = delay);
    }

    /// New connections are accepted and get no answer.
    pub(crate) fn silence(&self) {
        self.shared.mood.send_modify(|mood| mood.silent = true);
    }

    /// The next `count` connections are closed before a greeting, as by `MaxStartups`.
    pub(crate) fn drop_next(&self, count: usize) {
        self.shared.mood.send_modify(|mood| mood.dropped = count);
    }

    /// All connections are closed once the servers have sent that many bytes more.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.shared.budget.send_replace(Some(bytes));
    }

    /// Takes [`Wire::cut_after`] back.
    pub(crate) fn uncut(&self) {
        self.shared.budget.send_replace(None);
    }

    /// All connections are closed now, in order.
    pub(crate) fn cut(&self) {
        for pump in self.shared.pumps.lock().unwrap().drain(..) {
            pump.abort();
        }
    }

    /// All connections are reset now.
    pub(crate) fn reset(&self) {
        self.shared.reset.send_modify(|count| *count += 1);
    }

    /// How many sshd of this node live.
    pub(crate) fn serving(&self) -> usize {
        self.shared.serving.load(Ordering::SeqCst)
    }

    /// How many connections were accepted in all.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(task) = self.listening.lock().unwrap().take() {
            task.abort();
        }
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        let _ = stream.set_nodelay(true);
        let mut dropped = false;
        shared.mood.send_if_modified(|mood| {
            dropped = mood.dropped > 0;
            mood.dropped = mood.dropped.saturating_sub(1);
            dropped
        });
        if dropped {
            continue;
        }
        let task = tokio::spawn(serve(stream, shared.clone()));
        let mut pumps = shared.pumps.lock().unwrap();
        pumps.retain(|pump| !pump.is_finished());
        pumps.push(task.abort_handle());
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    if shared.mood.borrow().silent {
        let mut stream = stream;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        return;
    }
    let server = match start(&shared) {
        Ok(server) => server,
        Err(error) => panic!("sshd could not be started: {error}"),
    };
    let mut resets = shared.reset.subscribe();
    let (mut from_client, mut to_client) = stream.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = pump(&mut from_client, &mut to_server, &shared, false);
    let down = pump(&mut from_server, &mut to_client, &shared, true);
    let reset = tokio::select! {
        () = async { tokio::join!(up, down); } => false,
        () = spent(&shared) => false,
        _ = resets.changed() => true,
    };
    if reset && let Ok(stream) = from_client.reunite(to_client) {
        let _ = stream.set_zero_linger();
    }
}

/// Starts an sshd for one connection. Its end is awaited by a task of its own, so that none is left unreaped.
fn start(shared: &Arc<Shared>) -> io::Result<UnixStream> {
    let (ours, theirs) = Pair::pair()?;
    ours.set_nonblocking(true)?;
    let output: OwnedFd = theirs.try_clone()?.into();
    let mut child = Command::new(&shared.sshd)
        .arg("-i")
        .arg("-f")
        .arg(&shared.config)
        .arg("-E")
        .arg(&shared.log)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(output))
        .stderr(Stdio::null())
        .spawn()?;
    shared.serving.fetch_add(1, Ordering::SeqCst);
    let shared = shared.clone();
    tokio::spawn(async move {
        let _ = child.wait().await;
        shared.serving.fetch_sub(1, Ordering::SeqCst);
    });
    UnixStream::from_std(ours)
}

async fn spent(shared: &Shared) {
    let mut budget = shared.budget.subscribe();
    let _ = budget.wait_for(|budget| *budget == Some(0)).await;
}

/// Carries bytes one way until the end, through whatever mood the wire is in.
async fn pump(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin), shared: &Shared, counted: bool) {
    let mut mood = shared.mood.subscribe();
    let mut piece = vec![0; 32 << 10];
    while let Ok(n @ 1..) = from.read(&mut piece).await {
        let delay = mood.borrow().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if mood.wait_for(|mood| !mood.frozen).await.is_err() {
            return;
        }
        let n = if counted { take(shared, n) } else { n };
        if to.write_all(&piece[..n]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// How many of `n` bytes the budget still allows.
fn take(shared: &Shared, n: usize) -> usize {
    let mut allowed = n;
    shared.budget.send_if_modified(|budget| match budget {
        Some(left) => {
            allowed = n.min(*left);
            *left -= allowed;
            *left == 0
        }
        None => false,
    });
    allowed
}
