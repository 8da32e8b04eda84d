//! Paths: on a node (absolute) and inside a bundle (relative).

use super::{NameError, text_id};

fn parts(text: &str) -> Result<(), String> {
    for part in text.split('/') {
        match part {
            "" => return Err("it has an empty part (`//`, or a `/` at the end)".to_owned()),
            "." | ".." => return Err(format!("it has a part `{part}`")),
            _ => {}
        }
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("it contains the control character {c:?}")),
        None => Ok(()),
    }
}

fn absolute(text: &str) -> Result<(), String> {
    match text.strip_prefix('/') {
        None => Err("it is not absolute; begin it with /".to_owned()),
        Some("") => Ok(()),
        Some(rest) => parts(rest),
    }
}

fn relative(text: &str) -> Result<(), String> {
    if text.starts_with('/') {
        return Err("it is absolute".to_owned());
    }
    if text.contains('\\') {
        return Err("it contains a backslash".to_owned());
    }
    if text.len() > 1000 {
        return Err("it is longer than 1000 bytes".to_owned());
    }
    parts(text)
}

text_id!(
    /// An absolute path on a node, without `.`/`..` parts and control characters, so that it travels as one line.
    NodePath, "path on a node", "^/", absolute
);
text_id!(
    /// A path inside a bundle, relative to the Lua root: never absolute, never with `..`, never with control characters.
    BundlePath, "path in a bundle", "^[^/]", relative
);

impl NodePath {
    /// This path with `relative` below it; an error if that would leave it.
    pub fn join(&self, below: &str) -> Result<Self, NameError> {
        Self::parse(&format!("{}/{below}", self.as_str().trim_end_matches('/')))
    }
}

impl BundlePath {
    /// The parts between the slashes.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.as_str().split('/')
    }

    /// This path with `below` behind it.
    pub fn join(&self, below: &str) -> Result<Self, NameError> {
        Self::parse(&format!("{}/{below}", self.as_str()))
    }
}
