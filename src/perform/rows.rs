//! The rows of Kong's `plugins` entity, as the Admin API pages them (facts.md C3).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::survey::PluginRow;

use super::admin::clean;

/// A row with what is needed to name its scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The plugin's name, as text: it need not be loaded.
    pub plugin: String,
    /// The row itself; its scope has ids until [`name_scopes`].
    pub row: PluginRow,
    /// The entities it is bound to: word, path in the Admin API, id.
    pub bound: Vec<(&'static str, &'static str, String)>,
}

/// One page.
#[derive(Debug)]
pub struct Page {
    /// Its rows.
    pub rows: Vec<Row>,
    /// What asks for the next page, if there is one.
    pub offset: Option<String>,
}

const SCOPES: [(&str, &str); 4] = [
    ("service", "services"),
    ("route", "routes"),
    ("consumer", "consumers"),
    ("consumer_group", "consumer_groups"),
];

/// Reads a page; `None` when it is none.
pub fn page(value: &Value, workspace: Option<&str>) -> Option<Page> {
    // Lua's empty table is an object in some versions.
    let data = &value["data"];
    let none = data.as_object().is_some_and(serde_json::Map::is_empty);
    let list = if none { &[] } else { data.as_array()?.as_slice() };
    let rows = list.iter().map(|entry| row(entry, workspace)).collect::<Option<Vec<_>>>()?;
    let offset = value["offset"].as_str().filter(|offset| !offset.is_empty()).map(str::to_owned);
    Some(Page { rows, offset })
}

fn row(entry: &Value, workspace: Option<&str>) -> Option<Row> {
    let bound: Vec<_> = SCOPES
        .iter()
        .filter_map(|(word, path)| Some((*word, *path, entry[*word]["id"].as_str()?.to_owned())))
        .collect();
    let row = PluginRow {
        id: clean(entry["id"].as_str()?),
        enabled: entry["enabled"].as_bool().unwrap_or(true),
        scope: scope(&bound, &BTreeMap::new()),
        workspace: workspace.map(clean),
    };
    Some(Row { plugin: clean(entry["name"].as_str()?), row, bound })
}

fn scope(bound: &[(&str, &str, String)], names: &BTreeMap<String, String>) -> String {
    if bound.is_empty() {
        return "global".to_owned();
    }
    let words = bound.iter().map(|(word, _, id)| {
        let name = names.get(id).cloned().unwrap_or_else(|| clean(id));
        format!("{} {name}", word.replace('_', " "))
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Puts names in the place of ids, where they are known.
pub fn name_scopes(rows: &mut [Row], names: &BTreeMap<String, String>) {
    for row in rows {
        row.row.scope = scope(&row.bound, names);
    }
}

/// The rows by plugin.
pub fn by_plugin(rows: Vec<Row>) -> BTreeMap<String, Vec<PluginRow>> {
    let mut map: BTreeMap<String, Vec<PluginRow>> = BTreeMap::new();
    for row in rows {
        map.entry(row.plugin).or_default().push(row.row);
    }
    map
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_is_read_with_scopes_and_disabled_rows() {
        let value = json!({"data": [
            {"id": "1", "name": "acme-auth", "enabled": false, "service": null, "route": {"id": "r1"}, "consumer": {"id": "c1"}},
            {"id": "2", "name": "acme-auth", "service": null},
        ], "offset": "WyI", "next": "/plugins?offset=WyI"});
        let mut page = page(&value, None).unwrap();
        assert_eq!(page.offset.as_deref(), Some("WyI"));
        assert_eq!(page.rows[0].row.scope, "route r1, consumer c1");
        assert!(!page.rows[0].row.enabled);
        assert_eq!((page.rows[1].row.scope.as_str(), page.rows[1].row.enabled), ("global", true));
        name_scopes(&mut page.rows, &BTreeMap::from([("r1".to_owned(), "login".to_owned())]));
        assert_eq!(page.rows[0].row.scope, "route login, consumer c1");
        assert_eq!(by_plugin(page.rows)["acme-auth"].len(), 2);
    }

    #[test]
    fn what_is_not_a_page_is_none() {
        for odd in [json!([]), json!({}), json!({"data": 3}), json!({"data": [{"id": 7}]}), json!({"data": [null]})] {
            assert!(page(&odd, None).is_none(), "{odd}");
        }
        let empty = page(&json!({"data": {}, "next": null}), None).unwrap();
        assert!(empty.rows.is_empty() && empty.offset.is_none());
    }
}
