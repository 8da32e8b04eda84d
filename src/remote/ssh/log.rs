//! What ssh writes into its log while it connects and while a master lives. It is written at the first debug level: only
//! there does ssh say that it asks a security key, and that a server refused a forward.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::remote::fault::one_line;

/// The most that is read at once, in bytes.
const MOST: u64 = 256 << 10;

/// A log from a place on.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    from: u64,
}

impl Log {
    /// The whole log.
    pub(super) fn whole(path: &Path) -> Self {
        Self { path: path.to_owned(), from: 0 }
    }

    /// What is written from now on.
    pub(super) fn from_here(path: &Path) -> Self {
        let from = fs::metadata(path).map_or(0, |meta| meta.len());
        Self { path: path.to_owned(), from }
    }

    /// The text; empty if there is none.
    pub(super) fn text(&self) -> String {
        let mut bytes = Vec::new();
        if let Ok(mut file) = fs::File::open(&self.path)
            && file.seek(SeekFrom::Start(self.from)).is_ok()
        {
            let _ = file.take(MOST).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Why the server did not open the last channel to this target, in its words. The line that says so has only the
    /// channel's number; the next one about that channel has the target.
    pub(super) fn refusal(&self, target: &Target) -> Option<String> {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines.iter().enumerate().rev().find_map(|(at, line)| {
            let (channel, why) = line.strip_prefix("channel ")?.split_once(": open failed: ")?;
            let free = format!("channel {channel}: free: ");
            let end = lines[at..].iter().find(|line| line.contains(&free))?;
            end.contains(&target.0).then(|| one_line(why.as_bytes()))
        })
    }
}

/// Where a channel leads to, as the log has it.
#[derive(Debug, Clone)]
pub(super) struct Target(String);

impl Target {
    /// A host, or a socket's path, and a port.
    pub(super) fn tcp(host: &str, port: u16) -> Self {
        Self(format!(" for {host} port {port},"))
    }

    /// A socket on the node.
    pub(super) fn unix(path: &str) -> Self {
        Self(format!(" for {path} port "))
    }
}

/// The security key that ssh waits for, if the last thing it did was to ask one: the server has accepted the key and no
/// signature has come yet.
pub(super) fn waiting_key(log: &str) -> Option<String> {
    let last = log.lines().rev().find(|line| {
        line.contains("Server accepts key: ") || line.contains("Authenticated") || line.contains("Authentications that")
    })?;
    let key = last.split_once("Server accepts key: ")?.1;
    let kind = |word: &str| word.ends_with("-SK") || word.starts_with("sk-");
    key.split_whitespace().any(kind).then(|| one_line(key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "debug1: Next authentication method: publickey\n\
        debug1: Offering public key: /home/x/.ssh/id_ed25519_sk ED25519-SK SHA256:abc authenticator\n\
        debug1: Server accepts key: /home/x/.ssh/id_ed25519_sk ED25519-SK SHA256:abc authenticator\n";

    #[test]
    fn a_security_key_is_waited_for_between_acceptance_and_signature() {
        let key = "/home/x/.ssh/id_ed25519_sk ED25519-SK SHA256:abc authenticator";
        assert_eq!(waiting_key(OFFER).as_deref(), Some(key));
        assert_eq!(waiting_key(&format!("{OFFER}Authenticated to eu-1 using \"publickey\".\n")), None);
        let refused = format!("{OFFER}debug1: Authentications that can continue: publickey\n");
        assert_eq!(waiting_key(&refused), None);
    }

    #[test]
    fn an_ordinary_key_is_not_waited_for() {
        assert_eq!(waiting_key("debug1: Server accepts key: /home/x/.ssh/id_ed25519 ED25519 SHA256:abc agent\n"), None);
        assert_eq!(waiting_key(""), None);
    }

    #[test]
    fn a_refusal_is_read_from_the_mark_on_and_for_its_target_only() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = "channel 1: open failed: connect failed: Connection refused\ndebug1: x\ndebug1: channel 1: free: \
            direct-tcpip: listening port -2 for 127.0.0.1 port 8001, connect from  port 0 to /x/f0 port 0, nchannels 4\n";
        fs::write(file.path(), refused).unwrap();
        let (one, two) = (Target::tcp("127.0.0.1", 8001), Target::tcp("127.0.0.1", 800));
        let whole = Log::whole(file.path());
        assert_eq!(whole.refusal(&one).as_deref(), Some("connect failed: Connection refused"));
        assert_eq!(whole.refusal(&two), None);
        let log = Log::from_here(file.path());
        assert_eq!(log.refusal(&one), None);
        let more = "channel 2: open failed: administratively prohibited: open failed\ndebug1: channel 2: free: \
            direct-streamlocal@openssh.com: listening port 0 for /run/kong.sock port -2, connect from\n";
        fs::write(file.path(), refused.to_owned() + more).unwrap();
        let unix = Target::unix("/run/kong.sock");
        assert_eq!(log.refusal(&unix).as_deref(), Some("administratively prohibited: open failed"));
    }

    #[test]
    fn a_missing_log_is_empty() {
        assert_eq!(Log::whole(Path::new("/nonexistent/log")).text(), "");
    }
}
