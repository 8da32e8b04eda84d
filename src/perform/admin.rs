//! Kong's HTTP faces as seen from the node: the Admin API, the status API, the proxy. Reading only.
//!
//! Every request goes over a fresh connection (measured.md 2), every answer is untrusted: another status, a web page,
//! half a document or a redirect is a [`Trouble`] with a word of its own, and no text keeps a control character.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::hint::{Hint, Sealed};
use crate::name::PluginName;
use crate::remote::{HttpAddress, HttpAnswer, HttpRequest, Remote, RemoteError};
use crate::survey::{AdminFacts, Trouble};

use super::rows::{self, Row};

/// The longest text of an answer that is kept, in characters.
const LONGEST: usize = 4096;
/// The most pages of rows that are fetched; a page holds up to 1,000 (facts.md C3).
const PAGES: usize = 100;

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
        let request = HttpRequest {
            to: self.to.clone(),
            method: "GET",
            path: path.to_owned(),
            body: None,
            token: self.token.clone(),
            deadline: self.deadline,
        };
        // The transport has the same deadline; this one holds even where a transport forgets it.
        match tokio::time::timeout(self.deadline * 2, remote.http(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(RemoteError::new(
                crate::remote::Fault::TimedOut,
                format!("asking {}{path}", shown(&self.to)),
                format!("no answer in {} s", self.deadline.as_secs() * 2),
            )),
        }
    }

    /// One `GET` that has to be answered with a JSON document and 200.
    pub async fn json(&self, remote: &dyn Remote, path: &str) -> Result<Value, Trouble> {
        let doing = format!("GET {path} at {}", shown(&self.to));
        let answer = self.ask(remote, path).await.map_err(|error| unreachable(&doing, &error))?;
        read_json(&doing, &answer)
    }

    /// `GET /`: what the answering worker has loaded.
    pub async fn node(&self, remote: &dyn Remote) -> Result<AdminFacts, Trouble> {
        let value = self.json(remote, "/").await?;
        node_facts(&value).ok_or_else(|| {
            let text = format!("GET / at {}: the answer is not that of a Kong Admin API", shown(&self.to));
            trouble("admin-garbled", text, vec![Hint::do_("check `admin.listen` of the cluster in the inventory")])
        })
    }

    /// Every row of `plugins`, in every workspace. Kong cannot filter by name (facts.md C3), so all pages are read.
    pub async fn rows(&self, remote: &dyn Remote, enterprise: bool) -> Result<Vec<Row>, Trouble> {
        let spaces = if enterprise { self.workspaces(remote).await? } else { Vec::new() };
        if spaces.is_empty() {
            return self.pages(remote, None).await;
        }
        let mut all = Vec::new();
        for space in spaces {
            all.extend(self.pages(remote, Some(&space)).await?);
        }
        Ok(all)
    }

    async fn workspaces(&self, remote: &dyn Remote) -> Result<Vec<String>, Trouble> {
        let doing = format!("GET /workspaces at {}", shown(&self.to));
        let answer =
            self.ask(remote, "/workspaces?size=1000").await.map_err(|error| unreachable(&doing, &error))?;
        if answer.status == 404 {
            return Ok(Vec::new());
        }
        let value = read_json(&doing, &answer)?;
        let names = value["data"].as_array().into_iter().flatten().filter_map(|space| space["name"].as_str());
        Ok(names.filter(|name| name.len() < 200).map(str::to_owned).collect())
    }

    async fn pages(&self, remote: &dyn Remote, space: Option<&str>) -> Result<Vec<Row>, Trouble> {
        let prefix = space.map(|space| format!("/{}", encoded(space))).unwrap_or_default();
        let mut rows = Vec::new();
        let mut path = format!("{prefix}/plugins?size=1000");
        let mut seen = BTreeSet::new();
        for _ in 0..PAGES {
            let value = self.json(remote, &path).await?;
            let page = rows::page(&value, space).ok_or_else(|| self.odd_page(&path))?;
            rows.extend(page.rows);
            let Some(offset) = page.offset else { return Ok(rows) };
            path = format!("{prefix}/plugins?size=1000&offset={}", encoded(&offset));
            if !seen.insert(offset) {
                return Err(self.odd_page(&path));
            }
        }
        let text = format!("GET /plugins at {}: more than {PAGES} pages of rows", shown(&self.to));
        Err(trouble("admin-too-many-rows", text, vec![]))
    }

    fn odd_page(&self, path: &str) -> Trouble {
        let text = format!("GET {path} at {}: the answer is not a page of plugin rows", shown(&self.to));
        trouble("admin-garbled", clean(&text), vec![])
    }

    /// The name of an entity (`services`, `routes`, `consumers`), where it has one.
    pub async fn name_of(&self, remote: &dyn Remote, kind: &str, id: &str) -> Option<String> {
        let value = self.json(remote, &format!("/{kind}/{}", encoded(id))).await.ok()?;
        let name = value["name"].as_str().or_else(|| value["username"].as_str())?;
        Some(clean(name))
    }

    /// Whether the node's database answers, by `GET /status`; `None` where the answer does not say (no database, or an
    /// older Kong).
    pub async fn database_reachable(&self, remote: &dyn Remote) -> Result<Option<bool>, Trouble> {
        Ok(self.json(remote, "/status").await?["database"]["reachable"].as_bool())
    }

    /// `GET /status/ready` on the status API: the status code, and whether it complains of an empty configuration.
    pub async fn ready(&self, remote: &dyn Remote) -> Option<Readiness> {
        let answer = self.ask(remote, "/status/ready").await.ok()?;
        let empty = String::from_utf8_lossy(&answer.body).contains("empty configuration");
        Some(Readiness { status: answer.status, empty })
    }
}

/// What `/status/ready` says (facts.md C6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// The status code: 200 or 503; 404 before Kong 3.3.
    pub status: u16,
    /// It is not ready because it has no configuration at all, which is nobody's fault.
    pub empty: bool,
}

/// An address as a person writes it.
pub fn shown(address: &HttpAddress) -> String {
    match address {
        HttpAddress::Tcp(address) => address.to_string(),
        HttpAddress::Unix(path) => format!("unix:{path}"),
    }
}

/// Text of a node, shortened and without control characters.
pub fn clean(text: &str) -> String {
    text.chars().take(LONGEST).map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

pub(crate) fn trouble(code: &str, text: String, hints: Vec<Hint>) -> Trouble {
    Trouble { code: code.to_owned(), text, hints }
}

fn unreachable(doing: &str, error: &RemoteError) -> Trouble {
    let mut hints = error.hints.clone();
    if hints.is_empty() {
        hints.push(Hint::do_("check `admin.listen` of the cluster in the inventory, and that Kong runs"));
    }
    trouble("admin-unreachable", clean(&format!("{doing}: {}", error.found)), hints)
}

fn read_json(doing: &str, answer: &HttpAnswer) -> Result<Value, Trouble> {
    let of = |code: &str, found: String, hint: &str| {
        Err(trouble(code, clean(&format!("{doing}: {found}")), vec![Hint::do_(hint)]))
    };
    match answer.status {
        200 => serde_json::from_slice(&answer.body).or_else(|error| {
            let found = format!("200, but the body is not JSON ({error}); it begins with {}", beginning(&answer.body));
            of("admin-garbled", found, "check that `admin.listen` of the cluster is Kong's Admin API")
        }),
        401 | 403 => {
            let found = format!("{}, the Admin API wants a token, or another one", answer.status);
            of("admin-unauthorized", found, "name the variable that holds the token: admin: { token: { env: NAME } }")
        }
        300..=399 => {
            let found = format!("{}, a redirect, which is not followed", answer.status);
            of("admin-redirected", found, "name the plain HTTP address of the Admin API in the inventory")
        }
        status => {
            let found = format!("{status}, {}", beginning(&answer.body));
            of("admin-error", found, "look at the error log of Kong on the node")
        }
    }
}

fn beginning(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(&body[..body.len().min(400)]).chars().take(80).collect();
    if text.is_empty() { "an empty body".to_owned() } else { format!("\"{}\"", clean(&text)) }
}

/// Reads `GET /` (facts.md C1); `None` when it is not such an answer.
fn node_facts(value: &Value) -> Option<AdminFacts> {
    let configuration = value.get("configuration")?;
    let setting = |key: &str| configuration[key].as_str().map(clean);
    let (loaded, odd) = loaded(value.get("plugins")?.get("available_on_server")?)?;
    Some(AdminFacts {
        version: clean(value.get("version")?.as_str()?),
        edition: value["edition"].as_str().map(clean),
        loaded,
        odd,
        plugins: words(&configuration["plugins"]),
        // Long on purpose: cutting it could cut the digest that the proof looks for.
        lua_package_path: configuration["lua_package_path"].as_str().map(whole),
        database: setting("database"),
        role: setting("role"),
        log_level: setting("log_level"),
        workers: pids(&value["pids"]["workers"]),
        master: value["pids"]["master"].as_u64().and_then(|pid| u32::try_from(pid).ok()),
        rows: BTreeMap::new(),
        rows_trouble: None,
    })
}

fn whole(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

type Loaded = (BTreeMap<PluginName, Option<String>>, Vec<String>);

/// `available_on_server`: name to `true` before 3.0, to version and priority since; Lua's empty table may be `[]`.
fn loaded(value: &Value) -> Option<Loaded> {
    if value.as_array().is_some_and(Vec::is_empty) {
        return Some(Loaded::default());
    }
    let mut found = Loaded::default();
    for (name, about) in value.as_object()? {
        let version = about["version"].as_str().map(clean);
        match PluginName::parse(name) {
            Ok(name) => drop(found.0.insert(name, version)),
            Err(_) => found.1.push(clean(name)),
        }
    }
    Some(found)
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text.split(',').map(|word| clean(word.trim())).collect(),
        Value::Array(words) => words.iter().filter_map(Value::as_str).map(clean).collect(),
        _ => Vec::new(),
    }
}

fn pids(value: &Value) -> Option<BTreeSet<u32>> {
    let pids = value.as_array()?.iter().map(|pid| pid.as_u64().and_then(|pid| u32::try_from(pid).ok()));
    pids.collect::<Option<BTreeSet<u32>>>().filter(|pids| !pids.is_empty())
}

#[cfg(test)]
mod tests;
