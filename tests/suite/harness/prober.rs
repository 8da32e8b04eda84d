//! A client that asks a gateway all the time.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use muster::standin::site::{self, Node};

/// Asks a proxy port all the time, on fresh connections.
pub(crate) struct Prober {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Prober {
    pub(crate) fn of(node: &Node) -> Self {
        Self::every(Duration::from_millis(5), node)
    }

    /// With this long a rest between two requests.
    pub(crate) fn every(rest: Duration, node: &Node) -> Self {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (over, count, to) = (stop.clone(), asked.clone(), SocketAddr::from((node.address, site::PROXY)));
        let thread = std::thread::spawn(move || {
            let mut missed = Vec::new();
            while !over.load(Ordering::Relaxed) {
                if let Err(error) = ask(to) {
                    missed.push(format!("request {}: {error}", count.load(Ordering::Relaxed)));
                }
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(rest);
            }
            missed
        });
        Self { stop, asked, thread: Some(thread) }
    }

    /// The requests that were not answered; and how many were made.
    pub(crate) fn missed(mut self) -> (Vec<String>, u64) {
        self.stop.store(true, Ordering::Relaxed);
        let missed = self.thread.take().unwrap().join().unwrap();
        (missed, self.asked.load(Ordering::Relaxed))
    }
}

/// One request on a connection of its own; the whole head of the answer.
pub(crate) fn ask(to: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 ") { Ok(answer) } else { Err(std::io::Error::other(format!("{answer:?}"))) }
}
