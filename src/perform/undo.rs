//! Undo bundles: the rows that a run took out of use, in decK's format, so that muster and decK can bring them back.
//!
//! One file for each workspace: comments that say what it is, then decK's keys (`_format_version`, `_workspace`,
//! `plugins`), with services, routes and consumers named by their ids (go-database-reconciler, pkg/file/types.go). Each
//! value is JSON on one line, which is YAML, too: no number and no text changes on the way.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::hint::Sealed;
use crate::kong::{PluginPage, PluginRow, printable};
use crate::name::{ClusterName, NodeName, Owner, Revision, RunId};

/// The first line.
const FIRST: &str = "# muster undo bundle 1";
/// What the first line begins with, whatever the format.
const ANY: &str = "# muster undo bundle ";
/// What a row hangs on, as decK and Kong call it alike.
const OWNERS: [&str; 4] = ["service", "route", "consumer", "consumer_group"];
/// The order of a row's keys; others follow.
const ORDER: [&str; 4] = ["id", "name", "instance_name", "enabled"];

/// What stands at the head of an undo bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoHead {
    /// Whose inventory it was.
    pub owner: Owner,
    /// The cluster.
    pub cluster: ClusterName,
    /// The commit that was planned from.
    pub commit: Revision,
    /// The run.
    pub run: RunId,
    /// The bundle or plugin, as the inventory named it.
    pub name: String,
    /// Who ran it, `user@host`.
    pub operator: String,
    /// When.
    pub when: Timestamp,
    /// The node through whose Admin API it was done.
    pub node: NodeName,
}

/// A row that was taken out of use.
pub struct UndoRow {
    /// What may be told of it.
    pub row: PluginRow,
    /// The whole row, as the Admin API showed it; it may hold secrets.
    pub whole: Sealed<Value>,
}

/// The rows of one workspace that a run took out of use.
pub struct UndoBundle {
    /// Where it comes from.
    pub head: UndoHead,
    /// The workspace, where there are several.
    pub workspace: Option<String>,
    /// The rows.
    pub rows: Vec<UndoRow>,
}

/// Why a file cannot be read as an undo bundle. Nothing of its content is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UndoError {
    /// The first line is another one.
    #[error("it is no undo bundle of muster")]
    NotOne,
    /// A newer muster wrote it.
    #[error("its format is not known to this muster")]
    Newer,
    /// A line of its head is missing or wrong.
    #[error("its head has no `{0}` that can be read")]
    Head(&'static str),
    /// What follows the head is damaged.
    #[error("its rows cannot be read: {0}")]
    Rows(String),
}

impl UndoHead {
    fn lines(&self) -> [(&'static str, String); 8] {
        [
            ("owner", self.owner.to_string()),
            ("cluster", self.cluster.to_string()),
            ("commit", self.commit.to_string()),
            ("run", self.run.to_string()),
            ("plugin", self.name.clone()),
            ("operator", self.operator.clone()),
            ("when", self.when.to_string()),
            ("node", self.node.to_string()),
        ]
    }

    fn parse(lines: &[&str]) -> Result<Self, UndoError> {
        fn read<T>(lines: &[&str], key: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<T, UndoError> {
            let is = |line: &&str| line.strip_prefix("# ")?.strip_prefix(key)?.strip_prefix(' ').map(str::to_owned);
            lines.iter().find_map(is).and_then(|text| parse(&text)).ok_or(UndoError::Head(key))
        }
        Ok(Self {
            owner: read(lines, "owner", |text| Owner::parse(text).ok())?,
            cluster: read(lines, "cluster", |text| ClusterName::parse(text).ok())?,
            commit: read(lines, "commit", |text| Revision::parse(text).ok())?,
            run: read(lines, "run", |text| RunId::parse(text).ok())?,
            name: read(lines, "plugin", |text| Some(text.to_owned()))?,
            operator: read(lines, "operator", |text| Some(text.to_owned()))?,
            when: read(lines, "when", |text| text.parse().ok())?,
            node: read(lines, "node", |text| NodeName::parse(text).ok())?,
        })
    }
}

impl UndoBundle {
    /// The file. `words` tells what a row is applied to, by its id, for people who read it.
    pub fn render(&self, words: impl Fn(&str) -> Option<String>) -> Sealed<String> {
        let mut text = format!("{FIRST}\n");
        for (key, value) in self.head.lines() {
            let _ = writeln!(text, "# {key} {}", printable(&value, 400));
        }
        let run = &self.head.run;
        let _ = write!(
            text,
            "#\n# These rows were in use until this run took them out of use. They may hold secrets.\n\
             # `muster restore-rows {run}` brings them back.\n\
             # decK reads this file, too: `deck gateway apply`; never `deck gateway sync`, which deletes what is not in it.\n\
             _format_version: \"3.0\"\n"
        );
        if let Some(space) = &self.workspace {
            let _ = writeln!(text, "_workspace: {}", json(&space.as_str().into()));
        }
        text.push_str("plugins:\n");
        for row in &self.rows {
            let about = words(&row.row.id).map(|words| format!(" # {}", printable(&words, 400))).unwrap_or_default();
            for (at, (key, value)) in as_deck(row.whole.open()).iter().enumerate() {
                let (lead, about) = if at == 0 { ("-", about.as_str()) } else { (" ", "") };
                let _ = writeln!(text, "{lead} {}: {}{about}", plain_key(key), json(value));
            }
        }
        Sealed::new(text)
    }

    /// How its file is named, without an ending: NAME or NAME.WORKSPACE, of harmless characters.
    pub fn file_name(&self) -> String {
        let space = self.workspace.as_ref().map(|space| format!(".{space}")).unwrap_or_default();
        let tame = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
        format!("{}{space}", self.head.name).chars().map(tame).take(120).collect()
    }

    /// Reads a file as [`UndoBundle::render`] writes it.
    pub fn parse(text: &str) -> Result<Self, UndoError> {
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        match head.first() {
            Some(&FIRST) => {}
            Some(line) if line.starts_with(ANY) => return Err(UndoError::Newer),
            _ => return Err(UndoError::NotOne),
        }
        let head = UndoHead::parse(&head)?;
        // The parser's own words may quote what stands there, and that may be a secret.
        let file: Value = serde_yaml::from_str(text).map_err(|_| UndoError::Rows("they are no YAML".to_owned()))?;
        let workspace = file["_workspace"].as_str().map(str::to_owned);
        let plugins = file["plugins"].as_array().ok_or_else(|| UndoError::Rows("there is no list".to_owned()))?;
        let rows = plugins
            .iter()
            .enumerate()
            .map(|(at, row)| read_row(row).ok_or_else(|| UndoError::Rows(format!("row {} is not one", at + 1))));
        Ok(Self { head, workspace, rows: rows.collect::<Result<_, _>>()? })
    }
}

/// A row as decK has it: what it hangs on by its id alone, and nothing that is empty. decK knows no `updated_at`.
pub(super) fn as_deck(row: &Value) -> Map<String, Value> {
    let Some(row) = row.as_object() else { return Map::new() };
    let first = ORDER.iter().chain(&OWNERS).filter_map(|key| row.get_key_value(*key));
    let rest = row.iter().filter(|(key, _)| !ORDER.contains(&key.as_str()) && !OWNERS.contains(&key.as_str()));
    let kept = first.chain(rest).filter(|(key, value)| !value.is_null() && key.as_str() != "updated_at");
    kept.map(|(key, value)| {
        let id = value.get("id").filter(|_| OWNERS.contains(&key.as_str()));
        (key.clone(), id.unwrap_or(value).clone())
    })
    .collect()
}

/// The same as Kong has it, checked as every row of the Admin API is.
fn read_row(row: &Value) -> Option<UndoRow> {
    let mut whole = row.as_object()?.clone();
    for owner in OWNERS {
        if let Some(id) = whole.get(owner).and_then(Value::as_str) {
            let id = serde_json::json!({ "id": id });
            whole.insert(owner.to_owned(), id);
        }
    }
    let whole = Value::Object(whole);
    let page = serde_json::json!({ "data": [whole] }).to_string();
    let row = PluginPage::parse(page.as_bytes()).ok()?.rows.pop()?;
    Some(UndoRow { row, whole: Sealed::new(whole) })
}

/// A key, quoted unless it is one that no YAML takes for anything but text (`on`, `y` and `no` are not).
fn plain_key(key: &str) -> String {
    let plain = key == "id" || key.len() > 3 && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if plain { key.to_owned() } else { json(&key.into()) }
}

/// JSON on one line that YAML reads alike: what YAML does not take as it stands is escaped.
fn json(value: &Value) -> String {
    let odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    let text = value.to_string();
    let escaped = text.chars().map(|c| if odd(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() });
    escaped.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::perform) fn head() -> UndoHead {
        UndoHead {
            owner: Owner::parse("edge-team").unwrap(),
            cluster: ClusterName::parse("eu-prod").unwrap(),
            commit: Revision::parse(&"3f2a91c4b5".repeat(4)).unwrap(),
            run: RunId::from_parts(1, 2),
            name: "legacy-hmac".to_owned(),
            operator: "ann@ops".to_owned(),
            when: "2026-03-02T14:05:00Z".parse().unwrap(),
            node: NodeName::parse("eu-1").unwrap(),
        }
    }

    fn row() -> Value {
        json!({
            "id": "b77146b4-1a61-5104-84b1-3198d5885b48", "name": "legacy-hmac", "enabled": false, "service": { "id": "s-1" },
            "route": null, "consumer": null, "consumer_group": { "id": "g-1" }, "instance_name": null, "tags": ["yes", "no: x"], "created_at": 1_700_000_000,
            "updated_at": 1_700_000_001, "protocols": ["http"],
            "config": { "secret": "s3cr\u{1b}et # \u{85}\u{2028}'\"", "on": "on", "limit": 1e30, "none": null, "n": -3 },
        })
    }

    fn bundle(workspace: Option<&str>) -> UndoBundle {
        let page = json!({ "data": [row()] }).to_string();
        let known = PluginPage::parse(page.as_bytes()).unwrap().rows.remove(0);
        let rows = vec![UndoRow { row: known, whole: Sealed::new(row()) }];
        UndoBundle { head: head(), workspace: workspace.map(str::to_owned), rows }
    }

    #[test]
    fn what_is_written_is_read_back_without_a_change() {
        for space in [None, Some("team a: \"x\"")] {
            let text = bundle(space).render(|_| Some("service billing\n- fake".to_owned()));
            let back = UndoBundle::parse(text.open()).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((&back.head, back.workspace.as_deref(), back.rows.len()), (&head(), space, 1));
            let mut wanted = row();
            let fields = wanted.as_object_mut().unwrap();
            fields.retain(|key, value| !value.is_null() && key != "updated_at");
            assert_eq!(back.rows[0].whole.open(), &wanted);
            // decK knows no such time.
            let known = PluginRow { updated_at: None, ..bundle(None).rows[0].row.clone() };
            assert_eq!(back.rows[0].row, known);
        }
    }

    /// Held as text, so that a change of the format is seen: files of today are read for ever.
    #[test]
    fn the_file_is_one_that_people_and_deck_can_read() {
        let mut plain = bundle(Some("default"));
        let whole = json!({ "id": "1", "name": "legacy-hmac", "enabled": true, "service": { "id": "s-1" }, "config": { "a": 1 } });
        plain.rows[0].whole = Sealed::new(whole);
        let text = plain.render(|_| Some("service billing".to_owned()));
        insta::assert_snapshot!(text.open(), @r#"
        # muster undo bundle 1
        # owner edge-team
        # cluster eu-prod
        # commit 3f2a91c4b53f2a91c4b53f2a91c4b53f2a91c4b5
        # run 00000000010000000000000002
        # plugin legacy-hmac
        # operator ann@ops
        # when 2026-03-02T14:05:00Z
        # node eu-1
        #
        # These rows were in use until this run took them out of use. They may hold secrets.
        # `muster restore-rows 00000000010000000000000002` brings them back.
        # decK reads this file, too: `deck gateway apply`; never `deck gateway sync`, which deletes what is not in it.
        _format_version: "3.0"
        _workspace: "default"
        plugins:
        - id: "1" # service billing
          name: "legacy-hmac"
          enabled: true
          service: "s-1"
          config: {"a":1}
        "#);
    }

    #[test]
    fn what_is_no_undo_bundle_is_told_apart_and_nothing_of_it_is_quoted() {
        let text = bundle(None).render(|_| None);
        let text = text.open();
        let of = |text: &str| UndoBundle::parse(text).err();
        assert_eq!(of("plugins: []\n"), Some(UndoError::NotOne));
        assert_eq!(of(&text.replace("bundle 1\n", "bundle 2\n")), Some(UndoError::Newer));
        assert_eq!(of(&text.replace("# run ", "# ran ")), Some(UndoError::Head("run")));
        assert_eq!(of(&text.replace("b77146b4", "../x/")), Some(UndoError::Rows("row 1 is not one".to_owned())));
        let torn = of(&text[..text.find("s3cr").unwrap() + 4]).unwrap();
        assert!(!torn.to_string().contains("s3cr"), "{torn}");
    }
}
