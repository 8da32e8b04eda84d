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

    /// Why the server did not open a channel, if it says so.
    pub(super) fn refusal(&self) -> Option<String> {
        let text = self.text();
        let line = text.lines().rev().find(|line| line.starts_with("channel ") && line.contains("open failed: "))?;
        let why = one_line(line.split_once("open failed: ")?.1.as_bytes());
        Some(if why.contains("prohibited") {
            format!("the server forbids forwarding ({why}); asking by a command on the node instead is not built yet")
        } else {
            format!("nothing answers there ({why})")
        })
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
    fn a_refusal_is_read_from_the_mark_on() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "channel 1: open failed: connect failed: Connection refused\n").unwrap();
        assert!(Log::whole(file.path()).refusal().unwrap().contains("nothing answers there"));
        let log = Log::from_here(file.path());
        assert_eq!(log.refusal(), None);
        let more = "x\nchannel 2: open failed: administratively prohibited: open failed\ndebug1: channel 2: free\n";
        let before = fs::read_to_string(file.path()).unwrap();
        fs::write(file.path(), before + more).unwrap();
        assert!(log.refusal().unwrap().contains("forbids forwarding"));
    }

    #[test]
    fn a_missing_log_is_empty() {
        assert_eq!(Log::whole(Path::new("/nonexistent/log")).text(), "");
    }
}
