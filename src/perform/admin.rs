//! Kong's HTTP faces as seen from the node: the Admin API, the status API, the proxy. Reading only.
//!
//! Every request goes over a fresh connection (measured.md 2), every answer is untrusted: another status, a web page,
//! half a document or a redirect is a [`Trouble`] with a word of its own, and no text keeps a control character.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::explain;
use crate::hint::{Hint, Sealed};
use crate::kong::diagnosis::diagnose;
use crate::kong::entities::{AnswerError, NodeStatus, ScopeKind, error_message};
use crate::kong::{NodeInfo, PluginPage, PluginRow, printable};
use crate::name::{PluginName, Shared};
use crate::remote::{Fault, HttpAddress, HttpAnswer, HttpRequest, Remote, RemoteError};
use crate::survey::{AdminFacts, Asked, Trouble};

/// The longest text that is kept, in characters.
const LONGEST: usize = 2000;
/// The most pages of rows that are fetched of one workspace; a page holds up to 1,000 (facts.md C3).
const PAGES: usize = 100;
/// The most workspaces that are read.
const WORKSPACES: usize = 200;

/// A row and the workspace it was listed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The row.
    pub row: PluginRow,
    /// The workspace, where there are several.
    pub workspace: Option<String>,
}

/// A row with everything in it. It has no `Debug`: its configuration may hold secrets.
pub struct WholeRow {
    /// What may be told of it.
    pub row: PluginRow,
    /// The workspace, where there are several, as the Admin API names it.
    pub workspace: Option<String>,
    /// The whole row, as the Admin API shows it.
    pub whole: Sealed<serde_json::Value>,
}

/// One page of a listing.
struct Page<T> {
    items: Vec<T>,
    not_understood: usize,
    offset: Option<String>,
}

/// One of Kong's faces on one node.
#[derive(Clone)]
pub struct Face {
    /// Where it listens.
    pub to: HttpAddress,
    /// The Admin API's token; never given to the status API or the proxy.
    pub token: Option<Arc<Sealed<String>>>,
    /// After how long one request is given up.
    pub deadline: Duration,
}

impl Face {
    /// One `GET`, whatever comes back.
    pub async fn ask(&self, remote: &dyn Remote, path: &str) -> Result<HttpAnswer, RemoteError> {
        self.send(remote, "GET", path, None).await
    }

    /// One request, whatever comes back. Without an answer it is not known whether it was carried out.
    pub async fn send(
        &self,
        remote: &dyn Remote,
        method: &'static str,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<HttpAnswer, RemoteError> {
        let request = HttpRequest {
            to: self.to.clone(),
            method,
            path: path.to_owned(),
            body: body.map(|body| body.to_string().into_bytes()),
            token: self.token.clone(),
            deadline: self.deadline,
        };
        // The transport has the same deadline; this one holds even where a transport forgets it.
        match tokio::time::timeout(self.deadline * 2, remote.http(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(RemoteError::new(
                Fault::TimedOut,
                format!("asking {}{path}", shown(&self.to)),
                format!("no answer in {} s", self.deadline.as_secs() * 2),
            )),
        }
    }

    /// One `GET` that has to be answered with 200: its body, read by `read`.
    async fn read<T>(
        &self,
        remote: &dyn Remote,
        path: &str,
        read: impl FnOnce(&[u8]) -> Result<T, AnswerError>,
    ) -> Result<T, Trouble> {
        let doing = format!("GET {path} at {}", shown(&self.to));
        let answer = self.ask(remote, path).await.map_err(|error| unreachable(&doing, &error))?;
        expect_200(&doing, &answer)?;
        read(&answer.body).map_err(|error| garbled(&doing, &error, &answer.body))
    }

    /// `GET /`: what the answering worker has loaded.
    pub async fn node(&self, remote: &dyn Remote) -> Result<AdminFacts, Trouble> {
        let facts = self.read(remote, "/", read_node).await?;
        Ok(AdminFacts { asked: self.asked(remote), ..facts })
    }

    fn asked(&self, remote: &dyn Remote) -> Asked {
        match (&self.to, remote.asks_by()) {
            (HttpAddress::Web(web), _) => Asked::Url { url: web.to_string() },
            (_, Some(tool)) => Asked::Command { tool },
            (_, None) => Asked::Connection,
        }
    }

    /// Every row of `plugins`, in every workspace. Kong cannot filter by name (facts.md C3), so all pages are read.
    pub async fn rows(&self, remote: &dyn Remote, enterprise: bool) -> Result<Vec<Row>, Trouble> {
        let listed = self.everywhere(remote, enterprise, page).await?;
        Ok(listed.into_iter().map(|(row, space)| Row { row, workspace: space.map(|s| printable(&s, 200)) }).collect())
    }

    /// The rows of these plugins with everything in them, in every workspace, disabled ones too.
    pub async fn whole_rows(
        &self,
        remote: &dyn Remote,
        enterprise: bool,
        plugins: &BTreeSet<PluginName>,
    ) -> Result<Vec<WholeRow>, Trouble> {
        let listed = self.everywhere(remote, enterprise, whole_page).await?;
        let wanted = listed.into_iter().filter(|((row, _), _)| plugins.contains(&row.name));
        Ok(wanted.map(|((row, whole), workspace)| WholeRow { row, workspace, whole }).collect())
    }

    async fn everywhere<T>(
        &self,
        remote: &dyn Remote,
        enterprise: bool,
        read: fn(&[u8]) -> Result<Page<T>, AnswerError>,
    ) -> Result<Vec<(T, Option<String>)>, Trouble> {
        let spaces = if enterprise { self.workspaces(remote).await? } else { Vec::new() };
        let spaces = if spaces.is_empty() { vec![None] } else { spaces.into_iter().map(Some).collect() };
        let mut all = Vec::new();
        for space in spaces {
            let items = self.pages(remote, space.as_deref(), read).await?;
            all.extend(items.into_iter().map(|item| (item, space.clone())));
        }
        Ok(all)
    }

    async fn workspaces(&self, remote: &dyn Remote) -> Result<Vec<String>, Trouble> {
        let doing = format!("GET /workspaces at {}", shown(&self.to));
        let answer = self.ask(remote, "/workspaces?size=1000").await.map_err(|error| unreachable(&doing, &error))?;
        if answer.status == 404 {
            return Ok(Vec::new());
        }
        expect_200(&doing, &answer)?;
        let value: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let more = value["offset"].is_string();
        let names: Option<Vec<String>> = value["data"]
            .as_array()
            .filter(|data| data.len() <= WORKSPACES && !more)
            .and_then(|data| data.iter().map(|space| space["name"].as_str().map(str::to_owned)).collect());
        // A workspace that is left out would hide rows, and hidden rows make a removal unsafe.
        names.ok_or_else(|| {
            let text = format!("{doing}: not a list of at most {WORKSPACES} workspaces");
            trouble("admin-garbled", text, vec![])
        })
    }

    async fn pages<T>(
        &self,
        remote: &dyn Remote,
        space: Option<&str>,
        read: fn(&[u8]) -> Result<Page<T>, AnswerError>,
    ) -> Result<Vec<T>, Trouble> {
        let prefix = prefix(space);
        let mut items = Vec::new();
        let mut path = format!("{prefix}/plugins?size=1000");
        let mut seen = BTreeSet::new();
        while seen.len() < PAGES {
            let page = self.read(remote, &path, read).await?;
            if page.not_understood > 0 {
                let text =
                    format!("GET {path} at {}: {} rows were not understood", shown(&self.to), page.not_understood);
                return Err(trouble("admin-garbled", printable(&text, LONGEST), vec![]));
            }
            items.extend(page.items);
            let Some(offset) = page.offset else { return Ok(items) };
            path = format!("{prefix}/plugins?size=1000&offset={}", encoded(&offset));
            if !seen.insert(offset) {
                let text = format!("GET /plugins at {}: the pages run in a circle", shown(&self.to));
                return Err(trouble("admin-garbled", text, vec![]));
            }
        }
        let text = format!("GET /plugins at {}: more than {PAGES} pages of rows", shown(&self.to));
        Err(trouble("admin-too-many-rows", text, vec![]))
    }

    /// The name of an entity (`services`, `routes`, `consumers`), where it has one.
    pub async fn name_of(&self, remote: &dyn Remote, kind: &str, id: &str) -> Option<String> {
        let answer = self.ask(remote, &format!("/{kind}/{}", encoded(id))).await.ok()?;
        let value: serde_json::Value = serde_json::from_slice(&answer.body).ok().filter(|_| answer.status == 200)?;
        let name = value["name"].as_str().or_else(|| value["username"].as_str())?;
        Some(printable(name, 200))
    }

    /// Whether the node's database answers, by `GET /status`; `None` where the answer does not say (no database).
    pub async fn database_reachable(&self, remote: &dyn Remote) -> Result<Option<bool>, Trouble> {
        Ok(self.read(remote, "/status", NodeStatus::parse).await?.database_reachable)
    }

    /// `GET /status/ready` on the status API: the status code, and whether it complains of an empty configuration.
    pub async fn ready(&self, remote: &dyn Remote) -> Option<Readiness> {
        let answer = self.ask(remote, "/status/ready").await.ok()?;
        let says = |words: &str| String::from_utf8_lossy(&answer.body).contains(words);
        Some(Readiness {
            status: answer.status,
            empty: says("empty configuration"),
            stuck: says("router builds not yet complete"),
        })
    }
}

/// What `/status/ready` says (facts.md C6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// The status code: 200 or 503; 404 before Kong 3.3.
    pub status: u16,
    /// It is not ready because it has no configuration at all, which is nobody's fault.
    pub empty: bool,
    /// It is not ready as a load has wiped what readiness goes by: while a reload runs, and for good after one that failed,
    /// until a worker is respawned or a reload succeeds (measured.md 3).
    pub stuck: bool,
}

/// An address as a person writes it.
pub fn shown(address: &HttpAddress) -> String {
    match address {
        HttpAddress::Tcp(address) => address.to_string(),
        HttpAddress::Unix(path) => format!("unix:{path}"),
        HttpAddress::Web(web) => web.to_string(),
    }
}

/// The path of one row. Only an id names a row: by a name Kong answers 204 and deletes nothing (measured.md 5).
pub fn row_path(workspace: Option<&str>, id: &str) -> String {
    format!("{}/plugins/{}", prefix(workspace), encoded(id))
}

/// Where a row is asked about without being written (facts.md C2).
pub(super) fn validate_path(workspace: Option<&str>) -> String {
    format!("{}/schemas/plugins/validate", prefix(workspace))
}

/// The word for what a row is applied to, and its path.
pub(super) fn scope_path(workspace: Option<&str>, kind: ScopeKind, id: &str) -> (&'static str, String) {
    let (word, table) = match kind {
        ScopeKind::Service => ("service", "services"),
        ScopeKind::Route => ("route", "routes"),
        ScopeKind::Consumer => ("consumer", "consumers"),
        ScopeKind::ConsumerGroup => ("consumer group", "consumer_groups"),
    };
    (word, format!("{}/{table}/{}", prefix(workspace), encoded(id)))
}

fn prefix(workspace: Option<&str>) -> String {
    workspace.map(|space| format!("/{}", encoded(space))).unwrap_or_default()
}

/// Whether this Kong has workspaces: the Enterprise edition, which before 3.6 only the version tells (facts.md C1, C4).
pub fn has_workspaces(facts: &AdminFacts) -> bool {
    facts.edition.as_deref() == Some("enterprise") || facts.version.contains("enterprise")
}

/// What an answer that is none of the expected ones says of itself. Kong's message may quote a row's configuration, so that only
/// the name of the error is told.
pub fn answered(answer: &HttpAnswer) -> String {
    let value: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let name = value["name"].as_str().map(|name| format!(", {}", printable(name, 80))).unwrap_or_default();
    let odd = if value.is_object() { "" } else { ", which is not how Kong answers" };
    let body = if answer.body.is_empty() { ", an empty body" } else { odd };
    format!("{}{name}{body}", answer.status)
}

/// What to do about an answer that is none of the expected ones.
pub(super) fn advice(answer: &HttpAnswer) -> Vec<Hint> {
    match diagnose(&answer.body).first() {
        Some(known) => explain::advice(known).into(),
        None => vec![Hint::do_("look at the error log of Kong on the node")],
    }
}

fn page(body: &[u8]) -> Result<Page<PluginRow>, AnswerError> {
    let page = PluginPage::parse(body)?;
    Ok(Page { items: page.rows, not_understood: page.not_understood, offset: page.offset })
}

/// The rows as they are understood, each beside what it was read from.
fn whole_page(body: &[u8]) -> Result<Page<(PluginRow, Sealed<serde_json::Value>)>, AnswerError> {
    let read = page(body)?;
    let mut value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let data = value["data"].as_array_mut().map(std::mem::take).unwrap_or_default();
    // Where all were understood, each has its place; where not, the listing is an error anyway.
    let items = read.items.into_iter().zip(data).map(|(row, whole)| (row, Sealed::new(whole))).collect();
    Ok(Page { items, not_understood: read.not_understood, offset: read.offset })
}

/// What is escaped in a path: all but letters, digits, `-` and `_`.
const ODD: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_');

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, ODD).to_string()
}

pub(crate) fn trouble(code: &str, text: String, hints: Vec<Hint>) -> Trouble {
    Trouble { code: code.to_owned(), text, hints }
}

fn unreachable(doing: &str, error: &RemoteError) -> Trouble {
    let mut hints = error.hints.clone();
    if hints.is_empty() {
        hints.push(Hint::do_("check `admin.listen` of the cluster in the inventory, and that Kong runs"));
    }
    // Something may listen where no answer came in time.
    let code = if error.fault == Fault::TimedOut { "admin-slow" } else { "admin-unreachable" };
    trouble(code, printable(&format!("{doing}: {}", error.found), LONGEST), hints)
}

fn garbled(doing: &str, error: &AnswerError, body: &[u8]) -> Trouble {
    let text = format!("{doing}: {error}; it begins with {}", beginning(body));
    let hint = Hint::do_("check that `admin.listen` of the cluster in the inventory is Kong's Admin API");
    trouble("admin-garbled", printable(&text, LONGEST), vec![hint])
}

/// Anything but 200 is a trouble with a word of its own.
fn expect_200(doing: &str, answer: &HttpAnswer) -> Result<(), Trouble> {
    let (code, found, hint) = match answer.status {
        200 => return Ok(()),
        401 => (
            "admin-unauthorized",
            "the Admin API wants a token, or another one".to_owned(),
            "say where it is: admin: { token: { env: NAME } } in the inventory, or a command in ~/.config/muster/admin.yaml",
        ),
        403 => (
            "admin-unauthorized",
            "the token may not do this".to_owned(),
            "give the role of its user the right to it in Kong's RBAC, in every workspace, or name another token",
        ),
        300..=399 => (
            "admin-redirected",
            "a redirect, which is not followed".to_owned(),
            "name the plain HTTP address of the Admin API in the inventory",
        ),
        _ => {
            let said = error_message(&answer.body).unwrap_or_else(|| beginning(&answer.body));
            let text = format!("{doing}: {}, {said}", answer.status);
            return Err(trouble("admin-error", printable(&text, LONGEST), advice(answer)));
        }
    };
    let text = format!("{doing}: {}, {found}", answer.status);
    Err(trouble(code, printable(&text, LONGEST), vec![Hint::do_(hint)]))
}

fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
    if text.is_empty() { "an empty body".to_owned() } else { format!("\"{}\"", printable(&text, 80)) }
}

/// `GET /` as facts. An object that is not Kong's own is an error: nothing could be told from what it lacks.
fn read_node(body: &[u8]) -> Result<AdminFacts, AnswerError> {
    let info = NodeInfo::parse(body)?;
    let Some(version) = info.version else {
        return Err(AnswerError::NotUnderstood("it names no version of Kong".to_owned()));
    };
    let setting = |key: &str| info.configuration.get(key).cloned();
    let plugins = setting("plugins").unwrap_or_default();
    let priorities = info.loaded.iter().filter_map(|(name, plugin)| Some((name.clone(), plugin.priority?))).collect();
    Ok(AdminFacts {
        version: version.to_string(),
        edition: info.edition,
        loaded: info.loaded.into_iter().map(|(name, plugin)| (name, plugin.version)).collect(),
        priorities,
        odd: odd_names(body),
        plugins: plugins.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        lua_package_path: setting("lua_package_path"),
        database: setting("database"),
        role: setting("role"),
        log_level: setting("log_level"),
        workers: Some(info.pids.workers).filter(|workers| !workers.is_empty()),
        master: info.pids.master,
        rows: Shared::default(),
        rows_trouble: None,
        asked: Asked::default(),
    })
}

/// Loaded names that muster has no name for: they are shown, and nothing else.
fn odd_names(body: &[u8]) -> Vec<String> {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let names = value["plugins"]["available_on_server"].as_object().into_iter().flatten().map(|(name, _)| name);
    names.filter(|name| PluginName::parse(name).is_err()).take(100).map(|name| printable(name, 80)).collect()
}

#[cfg(test)]
#[path = "admin_tests.rs"]
mod tests;
