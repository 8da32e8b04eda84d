//! Rows of Kong's `plugins` entity in words: what each is applied to, by name where that is cheap.

use std::collections::{BTreeMap, BTreeSet};

use crate::kong::entities::ScopeKind;
use crate::name::PluginName;
use crate::remote::Remote;
use crate::survey::PluginRow;

use super::admin::{Face, Row};

/// The most entities whose names are asked for on one node. More rows than these are told apart by their ids.
const NAMES: usize = 12;

const fn words(kind: ScopeKind) -> (&'static str, &'static str) {
    match kind {
        ScopeKind::Service => ("service", "services"),
        ScopeKind::Route => ("route", "routes"),
        ScopeKind::Consumer => ("consumer", "consumers"),
        ScopeKind::ConsumerGroup => ("consumer group", "consumer_groups"),
    }
}

/// The rows by plugin. Names are asked for only where a row is of a plugin that matters here.
pub(crate) async fn in_words(
    face: &Face,
    remote: &dyn Remote,
    rows: Vec<Row>,
    matters: &BTreeSet<PluginName>,
) -> BTreeMap<String, Vec<PluginRow>> {
    let names = names(face, remote, &rows, matters).await;
    by_plugin(rows, &names)
}

/// The names of what the rows that matter are applied to, by id.
pub(super) async fn names(
    face: &Face,
    remote: &dyn Remote,
    rows: &[Row],
    matters: &BTreeSet<PluginName>,
) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for (kind, id) in concerned(rows, matters) {
        if let Some(name) = face.name_of(remote, words(kind).1, &id).await {
            names.insert(id, name);
        }
    }
    names
}

/// What the rows that matter are applied to. Rows of another workspace keep their ids: their entities live there too.
fn concerned(rows: &[Row], matters: &BTreeSet<PluginName>) -> BTreeSet<(ScopeKind, String)> {
    let rows = rows.iter().filter(|row| row.workspace.is_none() && matters.contains(&row.row.name));
    let all: BTreeSet<_> = rows.flat_map(|row| row.row.scope.iter().map(|(kind, id)| (*kind, id.clone()))).collect();
    all.into_iter().take(NAMES).collect()
}

/// The rows by plugin, in words as far as names are known; ids stand for the others.
pub(super) fn by_plugin(rows: Vec<Row>, names: &BTreeMap<String, String>) -> BTreeMap<String, Vec<PluginRow>> {
    let mut map: BTreeMap<String, Vec<PluginRow>> = BTreeMap::new();
    for Row { row, workspace } in rows {
        let scope = scope(&row.scope, names);
        let plugin = row.name.to_string();
        let crate::kong::PluginRow { id, enabled, tags, updated_at, .. } = row;
        map.entry(plugin).or_default().push(PluginRow { id, enabled, scope, workspace, tags, updated_at });
    }
    map
}

fn scope(scope: &BTreeMap<ScopeKind, String>, names: &BTreeMap<String, String>) -> String {
    if scope.is_empty() {
        return "global".to_owned();
    }
    let each = scope.iter().map(|(kind, id)| format!("{} {}", words(*kind).0, names.get(id).unwrap_or(id)));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, plugin: &str, scope: &[(ScopeKind, &str)]) -> Row {
        let row = crate::kong::PluginRow {
            id: id.to_owned(),
            name: PluginName::parse(plugin).unwrap(),
            enabled: true,
            scope: scope.iter().map(|(kind, id)| (*kind, (*id).to_owned())).collect(),
            instance_name: None,
            tags: vec!["edge".to_owned()],
            updated_at: Some(7),
        };
        Row { row, workspace: None }
    }

    #[test]
    fn a_scope_is_told_by_name_where_it_is_known() {
        let rows = vec![row("1", "a", &[(ScopeKind::Route, "r"), (ScopeKind::Consumer, "c")]), row("2", "a", &[])];
        let map = by_plugin(rows, &BTreeMap::from([("r".to_owned(), "login".to_owned())]));
        let scopes: Vec<_> = map["a"].iter().map(|row| row.scope.as_str()).collect();
        assert_eq!(scopes, ["route login, consumer c", "global"]);
        assert_eq!((map["a"][0].tags.as_slice(), map["a"][0].updated_at), (&["edge".to_owned()][..], Some(7)));
    }

    #[test]
    fn names_are_asked_for_only_where_they_matter_and_not_without_end() {
        let id = |n: usize| format!("s{n:03}");
        let mut rows: Vec<Row> = (0..100).map(|n| row(&id(n), "ours", &[(ScopeKind::Service, &id(n))])).collect();
        rows.push(row("x", "other", &[(ScopeKind::Service, "foreign")]));
        let asked = concerned(&rows, &BTreeSet::from([PluginName::parse("ours").unwrap()]));
        assert_eq!(asked.len(), NAMES);
        assert!(asked.iter().all(|(_, id)| id != "foreign"));
    }
}
