//! What ssh and sudo say, sorted into [`Fault`]s. The texts are those of OpenSSH's portable client with `LC_ALL=C`; the
//! kinds of `io::Error` that the openssh crate makes of them do not tell them apart (crates.md 1).

use super::Fault;

/// The longest text of a peer that goes into an error, in characters.
const LONGEST: usize = 600;

/// How the line begins that names the key which is known: `Offending ED25519 key in FILE:LINE`.
const OFFENDING: &str = "Offending ";

/// The file of known keys that an error of [`classify`] names.
pub(super) fn key_file(found: &str) -> Option<&str> {
    let (_, place) = found.split_once(OFFENDING)?.1.split_once(" key in ")?;
    let (file, line) = place.rsplit_once(':')?;
    (file.starts_with('/') && line.bytes().all(|byte| byte.is_ascii_digit())).then_some(file)
}

/// Texts that tell the class, in the order in which they are looked for: a changed key is followed by lines that an
/// unknown key has too, and a dropped connection ends in the same words as a refused one.
const TEXTS: &[(&str, Fault)] = &[
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", Fault::HostKeyChanged),
    ("REVOKED HOST KEY", Fault::HostKeyChanged),
    ("is marked as revoked", Fault::HostKeyChanged),
    ("host key is known for", Fault::HostKeyUnknown),
    ("Host key verification failed", Fault::HostKeyUnknown),
    ("Could not resolve hostname", Fault::NoSuchHost),
    // What a jump host's server says of a name that it does not know.
    ("Name or service not known", Fault::NoSuchHost),
    ("Temporary failure in name resolution", Fault::NoSuchHost),
    ("Permission denied (", Fault::LoginRefused),
    ("Too many authentication failures", Fault::LoginRefused),
    ("No more authentication methods", Fault::LoginRefused),
    ("Not allowed at this time", Fault::Dropped),
    ("bad configuration option", Fault::Client),
    ("Bad configuration option", Fault::Client),
    ("Bad owner or permissions", Fault::Client),
    ("too long for Unix domain socket", Fault::Client),
    ("Can't open user config file", Fault::Client),
    ("Connection refused", Fault::ConnectionRefused),
    ("timed out", Fault::TimedOut),
    ("No route to host", Fault::Unreachable),
    ("Network is unreachable", Fault::Unreachable),
    ("Network is down", Fault::Unreachable),
    ("Host is down", Fault::Unreachable),
    ("Unable to negotiate", Fault::Other),
    ("kex_exchange_identification", Fault::Dropped),
    ("Connection closed by", Fault::Dropped),
    ("Connection reset by", Fault::Dropped),
];

/// Sorts what ssh said while it connected, and gives it as one line. Debug lines are left out.
pub(super) fn classify(said: &str) -> (Fault, String) {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !is_debug(line)).collect();
    let found = TEXTS.iter().find_map(|(text, fault)| {
        let line = lines.iter().find(|line| line.contains(text))?;
        Some((*fault, *line))
    });
    match found {
        // The banner around a changed key is twelve lines; the one with file and line number says what to do.
        Some((Fault::HostKeyChanged, line)) => {
            let place = lines.iter().find(|line| line.starts_with(OFFENDING));
            let found = one_line(place.unwrap_or(&line).as_bytes());
            let word = if line.to_lowercase().contains("revoked") { "revoked" } else { "changed" };
            (Fault::HostKeyChanged, format!("host key {word}: {found}"))
        }
        Some((Fault::HostKeyUnknown, line)) => {
            (Fault::HostKeyUnknown, format!("host key not known: {}", one_line(line.as_bytes())))
        }
        Some((fault, line)) => (fault, one_line(line.as_bytes())),
        None if lines.is_empty() => (Fault::Other, "ssh said nothing".to_owned()),
        None => (Fault::Other, one_line(lines.join("\n").as_bytes())),
    }
}

fn is_debug(line: &str) -> bool {
    line.is_empty()
        || line.starts_with("debug1:")
        || line.starts_with("OpenSSH_")
        || line.starts_with("Authenticated to")
}

/// Whether this is sudo refusing, or not being there. Its texts are translated on many nodes, so the sign is who speaks.
pub(super) fn is_sudo(said: &str) -> bool {
    said.lines().any(|line| {
        line.starts_with("sudo:")
            || line.starts_with("sudo-rs:")
            || line.contains("sudo: not found")
            || line.contains("sudo: command not found")
            || line.contains("sudoers")
            || line.contains("is not allowed to execute")
    })
}

/// Text of a peer as one line: control characters become blanks, runs of blanks one, and the end is kept when it is
/// too long, as the last line usually says why.
pub(super) fn one_line(bytes: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c if c.is_control() => '?',
            c => c,
        })
        .collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let surplus = line.chars().count().saturating_sub(LONGEST);
    if surplus == 0 { line } else { format!("…{}", line.chars().skip(surplus).collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_says_has_a_class() {
        let cases = [
            ("ssh: Could not resolve hostname nowhere.invalid: Name or service not known", Fault::NoSuchHost),
            ("ssh: connect to host 10.0.0.1 port 22: Connection refused", Fault::ConnectionRefused),
            ("ssh: connect to host 10.0.0.1 port 22: Connection timed out", Fault::TimedOut),
            ("Connection timed out during banner exchange\nConnection to 10.0.0.1 port 22 timed out", Fault::TimedOut),
            ("ssh: connect to host 10.0.0.1 port 22: No route to host", Fault::Unreachable),
            ("ssh: connect to host 10.0.0.1 port 22: Network is unreachable", Fault::Unreachable),
            ("No ED25519 host key is known for eu-1 and you have requested strict checking.", Fault::HostKeyUnknown),
            ("deploy@10.0.0.1: Permission denied (publickey,password).", Fault::LoginRefused),
            ("kex_exchange_identification: read: Connection reset by peer", Fault::Dropped),
            ("kex_exchange_identification: Connection closed by remote host", Fault::Dropped),
            ("Connection closed by 10.0.0.1 port 22", Fault::Dropped),
            ("unix_listener: path \"/x\" too long for Unix domain socket", Fault::Client),
            ("/x/config: line 3: Bad configuration option: foo", Fault::Client),
            ("Unable to negotiate with 10.0.0.1 port 22: no matching host key type found.", Fault::Other),
            ("something else", Fault::Other),
            ("", Fault::Other),
        ];
        for (said, fault) in cases {
            assert_eq!(classify(said).0, fault, "{said}");
        }
    }

    #[test]
    fn a_changed_key_is_told_with_its_place_and_not_taken_for_an_unknown_one() {
        let said = "@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@\nIT IS POSSIBLE\n\
                    Offending ED25519 key in /home/x/.ssh/known_hosts:3\nHost key verification failed.\n";
        let found = "host key changed: Offending ED25519 key in /home/x/.ssh/known_hosts:3".to_owned();
        assert_eq!(key_file(&found), Some("/home/x/.ssh/known_hosts"));
        assert_eq!(classify(said), (Fault::HostKeyChanged, found));
    }

    #[test]
    fn the_headline_of_a_key_says_what_is_wrong_with_it() {
        for (said, headline) in [
            (
                "No ED25519 host key is known for [10.0.0.1]:2222 and you have requested strict checking.",
                "host key not known: No ED",
            ),
            ("Host key verification failed.", "host key not known: Host key verification failed."),
            ("@ WARNING: REVOKED HOST KEY DETECTED! @", "host key revoked: "),
        ] {
            assert!(classify(said).1.starts_with(headline), "{said}");
        }
        assert_eq!(key_file("host key not known: x"), None);
    }

    #[test]
    fn debug_lines_of_the_log_decide_nothing() {
        let said =
            "debug1: connect to address 10.0.0.1 port 22: Connection refused\nssh: Could not resolve hostname x: no";
        assert_eq!(classify(said).0, Fault::NoSuchHost);
    }

    #[test]
    fn sudo_is_recognised_whatever_its_language() {
        for said in [
            "sudo: a password is required",
            "sudo: Ein Passwort ist notwendig",
            "sudo: no new privileges flag is set",
            "deploy is not in the sudoers file.",
            "Sorry, user deploy is not allowed to execute '/bin/sh' as root on eu-1.",
            "sh: 1: exec: sudo: not found",
            "noise\nsudo: a terminal is required",
        ] {
            assert!(is_sudo(said), "{said}");
        }
        assert!(!is_sudo("sh: 1: dd: not found"));
    }

    #[test]
    fn text_of_a_peer_becomes_one_bounded_harmless_line() {
        assert_eq!(one_line(b"a\r\n\n b\x1b[31m\tc\xff\n"), "a b?[31m c\u{fffd}");
        let long = one_line(&b"x".repeat(10_000));
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(long.starts_with('…'));
    }
}
