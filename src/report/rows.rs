//! `muster restore-rows`: the rows of undo bundles, and what they are now.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;

use super::words::{clean, count};
use crate::hint::Hint;
use crate::kong::PluginRow;
use crate::name::{ClusterName, RunId};
use crate::run::Cause;

/// What is left to be done about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Left {
    /// Nothing.
    Nothing,
    /// It can be brought back.
    ToDo,
    /// It cannot, or must not, without somebody looking at it.
    ForAPerson,
}

/// What a row is now, or came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// In words.
    pub words: String,
    /// What is left.
    pub left: Left,
}

/// An undo bundle with its rows.
pub struct Shown {
    /// Where it is.
    pub path: String,
    /// The cluster.
    pub cluster: ClusterName,
    /// The bundle or plugin.
    pub name: String,
    /// The workspace, where there are several.
    pub workspace: Option<String>,
    /// When the rows were taken out of use.
    pub when: Timestamp,
    /// Why they would not be brought back now.
    pub in_the_way: Option<Cause>,
    /// The rows, or why they could not be compared or brought back.
    pub rows: Result<Vec<(PluginRow, Fate)>, Cause>,
}

impl Shown {
    /// Nothing is left that a person has to look at.
    pub fn is_well(&self) -> bool {
        self.rows.as_ref().is_ok_and(|rows| rows.iter().all(|(_, fate)| fate.left != Left::ForAPerson))
    }

    fn to_do(&self) -> usize {
        self.rows.iter().flatten().filter(|(_, fate)| fate.left == Left::ToDo).count()
    }
}

fn scope(row: &PluginRow) -> String {
    if row.scope.is_empty() {
        return "global".to_owned();
    }
    let each = row.scope.iter().map(|(kind, id)| format!("{} {id}", kind.word()));
    each.collect::<Vec<_>>().join(", ")
}

/// For people. `command` is what brings them back; with none, that was done.
pub fn text(bundles: &[Shown], command: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
    for bundle in bundles {
        let Shown { path, cluster, name, workspace, when, rows, .. } = bundle;
        let space = workspace.as_ref().map(|space| format!(", workspace {space}")).unwrap_or_default();
        let at = when.strftime("%Y-%m-%d %H:%M:%S UTC");
        writeln!(out, "{}", clean(&format!("{cluster}   {name}{space}, taken out of use {at}")))?;
        writeln!(out, "{}", clean(&format!("  kept in {path}")))?;
        match rows {
            Ok(rows) => {
                for (row, fate) in rows {
                    let off = if row.enabled { "" } else { ", disabled" };
                    writeln!(out, "{}", clean(&format!("  {}  {}{off}: {}", row.name, scope(row), fate.words)))?;
                }
            }
            Err(cause) => {
                writeln!(out, "{}", clean(&format!("  not brought back: {}  ({})", cause.text, cause.code)))?;
                let more = cause.details.iter().cloned().chain(cause.hints.iter().map(ToString::to_string));
                for line in more {
                    writeln!(out, "{}", clean(&format!("    {line}")))?;
                }
            }
        }
    }
    let to_do: usize = bundles.iter().map(Shown::to_do).sum();
    if let Some(command) = command.filter(|_| to_do > 0) {
        writeln!(out)?;
        writeln!(out, "nothing was changed. To bring {} back:", count(to_do, "row"))?;
        for cause in bundles.iter().filter_map(|bundle| bundle.in_the_way.as_ref()) {
            writeln!(out, "{}", clean(&format!("  first: {}", cause.text)))?;
            for line in cause.details.iter().cloned().chain(cause.hints.iter().map(ToString::to_string)) {
                writeln!(out, "{}", clean(&format!("    {line}")))?;
            }
        }
        writeln!(out, "  {}", Hint::type_(command))?;
    }
    out.flush()
}

/// As one line of JSON.
pub fn json(run: &RunId, bundles: &[Shown], done: bool, out: &mut dyn Write) -> io::Result<()> {
    let bundle = |shown: &Shown| {
        let row = |(row, fate): &(PluginRow, Fate)| {
            serde_json::json!({
                "id": row.id, "plugin": row.name, "scope": scope(row), "enabled": row.enabled,
                "now": fate.words, "left": fate.left,
            })
        };
        let rows: Option<Vec<_>> = shown.rows.as_ref().ok().map(|rows| rows.iter().map(row).collect());
        serde_json::json!({
            "path": shown.path, "cluster": shown.cluster, "name": shown.name, "workspace": shown.workspace,
            "when": shown.when, "in_the_way": shown.in_the_way, "rows": rows, "cause": shown.rows.as_ref().err(),
        })
    };
    let bundles: Vec<_> = bundles.iter().map(bundle).collect();
    super::json::line(
        &serde_json::json!({"muster": "restore-rows", "format": 1, "run": run, "done": done, "bundles": bundles}),
        out,
    )
}
