//! What the operator has set on this machine for Admin APIs: `admin.yaml` beside the other settings of muster. Only there are
//! commands named that give a token: a repository is read on behalf of strangers, too.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::hint::{Hint, quoted};
use crate::kong::printable;
use crate::name::ClusterName;

/// A settings file is some hundred lines, a token is one.
const MOST_BYTES: u64 = 1 << 20;

/// Why settings of the operator, or a token, cannot be used. It never holds a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct OperatorError {
    /// What was tried and found.
    pub what: String,
    /// What to do.
    pub hints: Vec<Hint>,
}

impl OperatorError {
    pub(super) fn new(what: impl Into<String>, hint: Hint) -> Self {
        Self { what: what.into(), hints: vec![hint] }
    }
}

/// The file as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    clusters: BTreeMap<ClusterName, ClusterSettings>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClusterSettings {
    token: Option<TokenKeys>,
    url: Option<String>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// An Admin API by URL, as the operator says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UrlKeys {
    /// With `{node}` or `{host}` where each node has its own.
    pub(super) url: String,
    pub(super) ca: Option<PathBuf>,
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

impl ClusterSettings {
    /// The URL with what belongs to it; `Err` where half of it is missing.
    fn url_keys(&self) -> Result<Option<UrlKeys>, &'static str> {
        let identity = match (&self.cert, &self.key) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
            _ => return Err("has one of `cert` and `key`, which go together"),
        };
        match &self.url {
            Some(url) => Ok(Some(UrlKeys { url: url.clone(), ca: self.ca.clone(), identity })),
            None if self.ca.is_some() || identity.is_some() => Err("has `ca`, `cert` or `key` without a `url`"),
            None => Ok(None),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenKeys {
    env: Option<String>,
    file: Option<PathBuf>,
    command: Option<Vec<String>>,
}

/// Where a token is, as the operator says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kept {
    Env(String),
    File(PathBuf),
    Command(Vec<String>),
}

impl TokenKeys {
    /// The one place that is named.
    fn kept(self) -> Option<Kept> {
        match (self.env, self.file, self.command) {
            (Some(name), None, None) => Some(Kept::Env(name)),
            (None, Some(file), None) => Some(Kept::File(file)),
            (None, None, Some(words)) if !words.is_empty() => Some(Kept::Command(words)),
            _ => None,
        }
    }
}

/// The operator: the environment, and what is set.
#[derive(Debug, Clone, Default)]
pub struct Operator {
    vars: BTreeMap<String, String>,
    dir: Option<PathBuf>,
    set: Set,
}

/// What the file says of each cluster.
#[derive(Debug, Clone, Default)]
struct Set {
    tokens: BTreeMap<ClusterName, Kept>,
    urls: BTreeMap<ClusterName, UrlKeys>,
}

impl Operator {
    /// With this environment, and nothing set.
    pub fn with(vars: &BTreeMap<String, String>) -> Self {
        Self { vars: vars.clone(), dir: dir(vars), set: Set::default() }
    }

    /// With what is set in `admin.yaml`, if that is there.
    pub fn read(vars: &BTreeMap<String, String>) -> Result<Self, OperatorError> {
        let plain = Self::with(vars);
        let Some(path) = plain.dir.as_ref().map(|dir| dir.join("admin.yaml")) else { return Ok(plain) };
        let Some(text) = text(&path, Guarded::Writing)? else { return Ok(plain) };
        let set = parse(&text)
            .map_err(|(what, fix)| OperatorError::new(format!("{}: {what}", path.display()), Hint::do_(fix)))?;
        Ok(Self { set, ..plain })
    }

    pub(super) const fn vars(&self) -> &BTreeMap<String, String> {
        &self.vars
    }

    /// The directory of muster's settings, if the environment tells it.
    pub(super) fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    pub(super) fn token_of(&self, cluster: &ClusterName) -> Option<&Kept> {
        self.set.tokens.get(cluster)
    }

    pub(super) fn url_of(&self, cluster: &ClusterName) -> Option<&UrlKeys> {
        self.set.urls.get(cluster)
    }

    /// A file that an inventory names: below the directory of the settings and nowhere else, as the repository says where it
    /// is sent too. Without such a directory there is none.
    pub(super) fn below(&self, path: &str) -> PathBuf {
        self.dir.as_deref().unwrap_or(Path::new("/dev/null")).join(path)
    }

    /// A path of the settings: absolute, in the home directory, or below the directory of the settings.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), self.vars.get("HOME")) {
            (Ok(rest), Some(home)) => Path::new(home).join(rest),
            _ => self.dir.as_deref().unwrap_or(Path::new("/")).join(path),
        }
    }
}

/// `$XDG_CONFIG_HOME/muster`, else `~/.config/muster`.
fn dir(vars: &BTreeMap<String, String>) -> Option<PathBuf> {
    let absolute = |name: &str| vars.get(name).filter(|dir| dir.starts_with('/')).map(PathBuf::from);
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(config.join("muster"))
}

/// No text of the file is repeated: a token may have been written into it.
fn parse(text: &str) -> Result<Set, (String, String)> {
    const FORM: &str =
        "write clusters: { NAME: { token: { command: [WORD, WORD] } } }, or { file: PATH }, or { env: NAME }";
    if text.trim().is_empty() {
        return Ok(Set::default());
    }
    let settings: Settings = serde_yaml::from_str(text).map_err(|error| {
        let place =
            error.location().map(|at| format!("line {}, column {}: ", at.line(), at.column())).unwrap_or_default();
        let said = error.to_string();
        let key = said.split_once("unknown field `").and_then(|(_, rest)| rest.split('`').next());
        let what = key
            .map_or_else(|| "not as it should be".to_owned(), |key| format!("`{}` is no key here", printable(key, 40)));
        (format!("{place}{what}"), FORM.to_owned())
    })?;
    let mut set = Set::default();
    for (cluster, keys) in settings.clusters {
        match keys.url_keys() {
            Ok(Some(url)) => drop(set.urls.insert(cluster.clone(), url)),
            Ok(None) => {}
            Err(why) => return Err((format!("cluster {cluster} {why}"), URL_FORM.to_owned())),
        }
        let Some(token) = keys.token else { continue };
        let kept =
            token.kept().ok_or_else(|| (format!("the token of {cluster} is to be in one place"), FORM.to_owned()))?;
        set.tokens.insert(cluster, kept);
    }
    Ok(set)
}

/// How a URL is written.
const URL_FORM: &str =
    "write clusters: { NAME: { url: \"https://{node}.DOMAIN:8444\", ca: FILE, cert: FILE, key: FILE } }";

/// What nobody else may do to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guarded {
    /// It is run, or decides what is run.
    Writing,
    /// It is secret.
    Reading,
}

/// The text of a file that is the operator's alone; `None` if it is not there.
pub(super) fn text(path: &Path, guarded: Guarded) -> Result<Option<String>, OperatorError> {
    let shown = path.display();
    let failed = |error: std::io::Error| {
        OperatorError::new(format!("{shown} cannot be read: {error}"), Hint::do_("put it right, or delete it"))
    };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Of what was opened, so that nothing else is read than what was looked at.
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(OperatorError::new(format!("{shown} is no regular file"), Hint::do_("write a file in its place")));
    }
    let own = nix::unistd::geteuid().as_raw();
    if meta.uid() != own && meta.uid() != 0 {
        let what = format!("{shown} belongs to another user ({})", meta.uid());
        return Err(OperatorError::new(what, Hint::type_(format!("chown {own} {}", quoted(&shown.to_string())))));
    }
    let (others, mode) = match guarded {
        Guarded::Writing => (0o022, "go-w"),
        Guarded::Reading => (0o077, "0600"),
    };
    if meta.mode() & others != 0 {
        let may = if guarded == Guarded::Writing { "write" } else { "read" };
        let what = format!("others may {may} {shown} (mode {:04o})", meta.mode() & 0o7777);
        return Err(OperatorError::new(what, Hint::type_(format!("chmod {mode} {}", quoted(&shown.to_string())))));
    }
    let mut text = String::new();
    let read = file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if read as u64 > MOST_BYTES {
        return Err(OperatorError::new(
            format!("{shown} is larger than {MOST_BYTES} bytes"),
            Hint::do_("name another file"),
        ));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn written(text: &str, mode: u32) -> (tempfile::TempDir, BTreeMap<String, String>) {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("muster");
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("admin.yaml"), text).unwrap();
        std::fs::set_permissions(dir.join("admin.yaml"), std::fs::Permissions::from_mode(mode)).unwrap();
        let vars = BTreeMap::from([("XDG_CONFIG_HOME".to_owned(), home.path().display().to_string())]);
        (home, vars)
    }

    #[test]
    fn the_file_names_a_token_for_each_cluster() {
        let text = "clusters:\n  eu: { token: { command: [pass, show, kong/eu] } }\n  us: { token: { file: us.token } }\n  \
                    ap: { token: { env: AP } }\n";
        let (_home, vars) = written(text, 0o644);
        let operator = Operator::read(&vars).unwrap();
        let of = |name: &str| operator.token_of(&ClusterName::parse(name).unwrap()).cloned();
        let words = ["pass", "show", "kong/eu"].map(str::to_owned).to_vec();
        assert_eq!(of("eu"), Some(Kept::Command(words)));
        assert_eq!(of("us"), Some(Kept::File("us.token".into())));
        assert_eq!(of("ap"), Some(Kept::Env("AP".to_owned())));
        assert_eq!(of("no"), None);
    }

    #[test]
    fn a_file_that_others_may_write_is_refused_with_the_line_to_type() {
        let (_home, vars) = written("clusters: {}\n", 0o664);
        let error = Operator::read(&vars).unwrap_err();
        assert!(error.what.starts_with("others may write "), "{error}");
        assert!(matches!(&error.hints[0], Hint::Type(line) if line.starts_with("chmod go-w ")), "{:?}", error.hints);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place_and_never_with_its_text() {
        for (text, said) in [
            ("clusters: { eu: { token: s3cret } }", "line 1"),
            ("clusters: { eu: { tokn: { env: X } } }", "`tokn` is no key here"),
            ("clusters: { eu: { token: { env: s3cret, file: b } } }", "token of eu is to be in one place"),
            ("clusters: { eu: { token: { command: s3cret } } }", "line 1"),
            ("clusters: { eu: { token: { command: [] } } }", "one place"),
            ("clusters: { eu: { url: \"https://a\", cert: s3cret } }", "cluster eu has one of `cert` and `key`"),
            ("clusters: { eu: { ca: s3cret } }", "without a `url`"),
            ("s3cret", "not as it should be"),
        ] {
            let (_home, vars) = written(text, 0o600);
            let error = Operator::read(&vars).unwrap_err();
            assert!(error.what.contains(said) && !error.what.contains("s3cret"), "{text}: {error}");
            assert!(error.hints[0].to_string().contains("write clusters: { NAME: { "));
        }
    }

    #[test]
    fn without_a_file_nothing_is_set() {
        let home = tempfile::tempdir().unwrap();
        let vars = BTreeMap::from([("HOME".to_owned(), home.path().display().to_string())]);
        let operator = Operator::read(&vars).unwrap();
        assert_eq!(operator.dir(), Some(home.path().join(".config/muster").as_path()));
        assert_eq!(operator.path(Path::new("~/x")), home.path().join("x"));
        assert_eq!(operator.path(Path::new("x")), home.path().join(".config/muster/x"));
        assert_eq!(operator.path(Path::new("/x")), Path::new("/x"));
        assert!(Operator::read(&BTreeMap::new()).unwrap().dir().is_none());
    }
}
