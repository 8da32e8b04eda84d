//! Kong's own rules, pure.
//!
//! Owns: how Kong reads its configuration, what its Admin API and its error log say, which versions mean what. Each fact
//! comes from reading or running Kong and names its place (facts.md, measured.md, protocols.md). Must not know: how the
//! bytes came here, what is wanted, or what will be done about it.

pub mod conf;
pub mod diagnosis;
pub mod directive;
pub mod entities;
pub mod env_file;
pub mod listen;
pub mod origin;
pub mod search_path;
pub mod service;
pub mod setting;
pub mod topology;
pub mod version;

pub use conf::{Conf, EditError, Reading};
pub use diagnosis::{Cause, Diagnosis};
pub use directive::{Directive, DirectiveProblem, Word};
pub use entities::{NodeInfo, PluginPage, PluginRow};
pub use env_file::EnvFile;
pub use listen::{Listen, LocalAddress};
pub use search_path::{Reach, SearchPath, StagedRelease};
pub use topology::Topology;
pub use version::{KongVersion, Support, clean_plugin_version};

/// Text from a node made fit for a screen or a log: control characters and characters that turn the direction of writing
/// become U+FFFD, and what is longer than `limit` characters is cut and ends in `…`.
pub fn printable(text: &str, limit: usize) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut clean: String =
        text.chars().take(limit).map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(limit).is_some() {
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_cannot_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2J\r\nb\u{9b}c\u{202e}", 80), "a\u{fffd}[2J\u{fffd}\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("abc", 3), "abc");
    }
}
