//! Access of Admin APIs: from the environment, from a file, or from a command of the operator's; each asked for once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use super::operator::{Guarded, Kept, Operator, OperatorError, text};
use super::url::urls;
use crate::hint::{Hint, Sealed, quoted};
use crate::inventory::{Inventory, Node, TokenSource};
use crate::kong::printable;
use crate::name::{ClusterName, NodeName};
use crate::remote::Web;

/// How long a command may take: enough to touch a key, or to be asked by an agent of the operator's.
const PATIENCE: Duration = Duration::from_mins(1);
/// How much of what a command says is read, in bytes.
const SAID: u64 = 64 << 10;

/// A token.
pub type Token = Arc<Sealed<String>>;

/// How the Admin APIs of all nodes are entered.
#[derive(Clone, Default)]
pub struct Access {
    nodes: BTreeMap<NodeName, Token>,
    clusters: BTreeMap<NodeName, ClusterName>,
    urls: BTreeMap<NodeName, Web>,
}

impl Access {
    /// The token for a node's Admin API, if one is needed.
    pub fn of(&self, node: &NodeName) -> Option<&Token> {
        self.nodes.get(node)
    }

    /// Where a node's Admin API is asked from here, if it is.
    pub fn url(&self, node: &NodeName) -> Option<&Web> {
        self.urls.get(node)
    }

    /// Clusters that are given the same token: whoever may read it on a node of one of them may use it on the others.
    pub fn shared(&self) -> Vec<BTreeSet<ClusterName>> {
        let mut groups: BTreeMap<&str, BTreeSet<ClusterName>> = BTreeMap::new();
        for (node, token) in &self.nodes {
            groups.entry(token.open()).or_default().extend(self.clusters.get(node).cloned());
        }
        groups.into_values().filter(|clusters| clusters.len() > 1).collect()
    }
}

impl Operator {
    /// Where the token of a node is: the operator's own settings come before the inventory.
    fn kept(&self, node: &Node) -> Option<Kept> {
        let own = || match node.admin.token.as_ref()? {
            TokenSource::Env(name) => Some(Kept::Env(name.to_string())),
            TokenSource::File(path) => Some(Kept::File(self.below(path.as_str()))),
        };
        self.token_of(&node.cluster).cloned().or_else(own)
    }

    /// The variables of the environment that hold tokens. No child needs them.
    pub fn secret_vars(&self, inventory: &Inventory) -> BTreeSet<String> {
        let kept = inventory.nodes().filter_map(|node| self.kept(node));
        kept.filter_map(|kept| if let Kept::Env(name) = kept { Some(name) } else { None }).collect()
    }

    /// Gets what is needed for every node that is not out.
    pub async fn access(&self, inventory: &Inventory) -> Result<Access, OperatorError> {
        let mut known: BTreeMap<Kept, Token> = BTreeMap::new();
        let mut tokens = Access { urls: urls(self, inventory)?, ..Access::default() };
        for node in inventory.nodes().filter(|node| node.out.is_none()) {
            let Some(kept) = self.kept(node) else { continue };
            let token = if let Some(token) = known.get(&kept) {
                token.clone()
            } else {
                let token = self.get(&kept, node).await?;
                known.insert(kept, token.clone());
                token
            };
            tokens.nodes.insert(node.name.clone(), token);
            tokens.clusters.insert(node.name.clone(), node.cluster.clone());
        }
        Ok(tokens)
    }

    async fn get(&self, kept: &Kept, node: &Node) -> Result<Token, OperatorError> {
        let cluster = &node.cluster;
        let (text, from) = match kept {
            Kept::Env(name) => {
                let value = self.vars().get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
                    let what =
                        format!("the token of cluster {cluster} is to come from the variable {name}, which is not set");
                    OperatorError::new(what, Hint::do_(format!("export {name} before calling muster")))
                })?;
                (Sealed::new(value.clone()), format!("the variable {name}"))
            }
            Kept::File(path) => {
                let path = self.path(path);
                (of_file(&path, cluster)?, path.display().to_string())
            }
            Kept::Command(words) => (self.of_command(words, cluster).await?, format!("`{}`", shown(words))),
        };
        let line = text.open().lines().next().unwrap_or_default().trim();
        if line.is_empty() || line.chars().any(char::is_control) {
            let what = format!("the token of cluster {cluster} is to come from {from}, whose first line is none");
            return Err(OperatorError::new(what, Hint::do_("put the token there, in one line")));
        }
        Ok(Arc::new(Sealed::new(line.to_owned())))
    }

    /// The output of a command, which is run as it is, without a shell, in the directory of the settings.
    async fn of_command(&self, words: &[String], cluster: &ClusterName) -> Result<Sealed<String>, OperatorError> {
        let line = shown(words);
        let failed = |why: String| {
            let what = format!("the token of cluster {cluster} is to come from `{line}`: {why}");
            OperatorError::new(printable(&what, 1000), Hint::type_(line.clone()))
        };
        let mut command = tokio::process::Command::new(&words[0]);
        command.args(&words[1..]).env_clear().envs(self.vars()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(dir) = self.dir() {
            command.current_dir(dir);
        }
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let ended = async {
            let (out, err) = tokio::join!(heard(out), heard(err));
            (child.wait().await, Sealed::new(out), err)
        };
        let late = |_| failed(format!("no end within {} s", PATIENCE.as_secs()));
        let (status, out, err) = tokio::time::timeout(PATIENCE, ended).await.map_err(late)?;
        let status = status.map_err(|error| failed(error.to_string()))?;
        if status.success() {
            return Ok(out);
        }
        // What it says of its failure is shown, unless the token is in it.
        let first = out.open().lines().next().unwrap_or_default().trim();
        let said = if first.is_empty() { err } else { err.replace(first, "…") };
        let said = said.trim();
        let said = if said.is_empty() { "it said nothing" } else { said };
        Err(failed(format!("{status}, {said}")))
    }
}

fn of_file(path: &Path, cluster: &ClusterName) -> Result<Sealed<String>, OperatorError> {
    let doing = format!("the token of cluster {cluster}");
    match text(path, Guarded::Reading) {
        Ok(Some(text)) => Ok(Sealed::new(text)),
        Ok(None) => {
            let path = path.display().to_string();
            let hint =
                Hint::type_(format!("install -D -m 0600 /dev/stdin {}    (paste it, then Ctrl-D)", quoted(&path)));
            Err(OperatorError::new(format!("{doing}: there is no {path}"), hint))
        }
        Err(error) => Err(OperatorError { what: format!("{doing}: {}", error.what), ..error }),
    }
}

/// A command as it can be typed.
fn shown(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

async fn heard(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // Half of what it says is as much as there is.
        let _ = pipe.take(SAID).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const INVENTORY: &str = "version: 1\nowner: o\nclusters:\n  eu: { topology: traditional, nodes: [a, b] }\n  us: { topology: \
                             traditional, admin: { token: { file: us.token } }, nodes: [c] }\n";

    struct Home(tempfile::TempDir);

    impl Home {
        fn new() -> Self {
            let home = Self(tempfile::tempdir().unwrap());
            std::fs::create_dir(home.0.path().join("muster")).unwrap();
            home
        }

        fn write(&self, name: &str, text: &str, mode: u32) {
            let path = self.0.path().join("muster").join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }

        async fn tokens(&self) -> Result<Access, OperatorError> {
            let inventory = crate::inventory::parse("inventory.yaml", INVENTORY.as_bytes()).unwrap();
            let path = "/usr/local/bin:/usr/bin:/bin".to_owned();
            let vars =
                [("XDG_CONFIG_HOME", self.0.path().display().to_string()), ("PATH", path), ("EU", "t-env".into())];
            let vars = vars.map(|(key, value)| (key.to_owned(), value)).into();
            Operator::read(&vars)?.access(&inventory).await
        }
    }

    fn of(tokens: &Access, node: &str) -> Option<String> {
        tokens.of(&NodeName::parse(node).unwrap()).map(|token| token.open().clone())
    }

    #[tokio::test]
    async fn a_token_comes_from_where_it_is_kept() {
        let home = Home::new();
        home.write("us.token", "t-file\nsecond line\n", 0o600);
        assert_eq!(of(&home.tokens().await.unwrap(), "a"), None);
        for (eu, token) in [
            ("{ env: EU }", "t-env"),
            ("{ file: eu.token }", "t-eu"),
            ("{ command: [printf, 't-command\\nmore\\n'] }", "t-command"),
            ("{ command: [sh, -c, 'pwd | sed s,.*/,,'] }", "muster"),
        ] {
            home.write("eu.token", " t-eu \n", 0o600);
            home.write("admin.yaml", &format!("clusters: {{ eu: {{ token: {eu} }} }}"), 0o600);
            let tokens = home.tokens().await.unwrap_or_else(|error| panic!("{eu}: {error}"));
            assert_eq!((of(&tokens, "a").as_deref(), of(&tokens, "b").as_deref()), (Some(token), Some(token)), "{eu}");
            assert_eq!(of(&tokens, "c").as_deref(), Some("t-file"));
            assert_eq!(tokens.shared(), []);
        }
    }

    #[tokio::test]
    async fn a_repository_names_files_below_the_settings_and_none_of_the_home_directory() {
        let home = Home::new();
        let secret = home.0.path().join("secret");
        std::fs::write(&secret, "s-private\n").unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        let text = INVENTORY.replace("us.token", "~/secret");
        let inventory = crate::inventory::parse("inventory.yaml", text.as_bytes()).unwrap();
        for vars in [
            vec![("HOME", home.0.path()), ("XDG_CONFIG_HOME", home.0.path())],
            vec![("HOME", home.0.path())],
            Vec::new(),
        ] {
            let vars = vars.into_iter().map(|(key, path)| (key.to_owned(), path.display().to_string())).collect();
            let error = Operator::read(&vars).unwrap().access(&inventory).await.map(|_| ()).unwrap_err();
            assert!(error.what.contains("~/secret") && !error.what.contains("s-private"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_command_is_run_once_for_all_nodes_and_its_failure_is_told_without_a_token() {
        let home = Home::new();
        home.write("us.token", "t\n", 0o600);
        let eu = |command: &str| {
            home.write("admin.yaml", &format!("clusters: {{ eu: {{ token: {{ command: {command} }} }} }}"), 0o600);
        };
        eu("[sh, -c, 'echo x >>count; echo t-1']");
        home.tokens().await.unwrap();
        assert_eq!(std::fs::read_to_string(home.0.path().join("muster/count")).unwrap(), "x\n");
        for (command, said) in [
            ("[sh, -c, 'echo t-secret; echo locked, t-secret >&2; exit 3']", "exit status: 3, locked, …"),
            ("[no-such-program-here]", "No such file"),
            ("['true']", "whose first line is none"),
            ("['false']", "it said nothing"),
        ] {
            eu(command);
            let error = home.tokens().await.map(|_| ()).unwrap_err();
            assert!(error.what.starts_with("the token of cluster eu is to come from `"), "{error}");
            // The command itself is the operator's own text.
            let why = error.what.rsplit("`: ").next().unwrap().rsplit("`, ").next().unwrap();
            assert!(why.contains(said) && !why.contains("t-secret"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_file_that_others_may_read_is_refused_with_the_line_to_type() {
        let home = Home::new();
        home.write("us.token", "t\n", 0o640);
        let error = home.tokens().await.map(|_| ()).unwrap_err();
        assert!(error.what.starts_with("the token of cluster us: others may read "), "{error}");
        assert!(matches!(&error.hints[0], Hint::Type(line) if line.starts_with("chmod 0600 ")), "{:?}", error.hints);
        std::fs::remove_file(home.0.path().join("muster/us.token")).unwrap();
        let error = home.tokens().await.map(|_| ()).unwrap_err();
        assert!(error.what.contains("there is no "), "{error}");
    }

    #[tokio::test]
    async fn one_token_for_two_clusters_is_found() {
        let home = Home::new();
        home.write("us.token", "the-same\n", 0o600);
        home.write("admin.yaml", "clusters: { eu: { token: { command: [echo, the-same] } } }", 0o600);
        let shared = home.tokens().await.unwrap().shared();
        let names: Vec<Vec<&str>> =
            shared.iter().map(|group| group.iter().map(ClusterName::as_str).collect()).collect();
        assert_eq!(names, [["eu", "us"]]);
    }
}
