//! Bringing back the rows of an undo bundle: what is missing is put, what is there is left as it is.
//!
//! `PUT /plugins/ID` makes a row with that id or replaces it, answered with 200 (`put_entity_endpoint` in Kong's
//! `kong/api/endpoints.lua`); decK brings rows with ids back the same way (`Create` in go-kong's
//! `kong/plugin_service.go`). As it
//! replaces, it is asked for only where a listing has no such row.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::hint::Hint;
use crate::kong::{PluginRow, printable};
use crate::name::PluginName;
use crate::remote::Remote;
use crate::run::Cause;

use super::admin::{Face, WholeRow, advice, answered, has_workspaces, row_path, scope_path};
use super::cause::{advised, cause, of_remote, of_trouble};
use super::undo::{UndoBundle, UndoRow, as_deck};

/// What a row of an undo bundle is now, or came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowFate {
    /// It is not there, and can be brought back.
    Missing,
    /// It is there, and is disabled since.
    Disabled,
    /// It is there as it was.
    Same,
    /// It is there, and somebody changed it: it is left as it is.
    Differs,
    /// What it hangs on is gone: `service 4b1c…`.
    OwnerGone(String),
    /// It was brought back.
    Restored,
}

impl RowFate {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Missing => "is not there, and is brought back".to_owned(),
            Self::Disabled => "is disabled, and is enabled again".to_owned(),
            Self::Same => "is there as it was".to_owned(),
            Self::Differs => "is there and was changed since; it is left as it is".to_owned(),
            Self::OwnerGone(owner) => format!("cannot come back: {owner} is gone"),
            Self::Restored => "brought back".to_owned(),
        }
    }
}

/// A row of an undo bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The row.
    pub row: PluginRow,
    /// What it is, or came to.
    pub fate: RowFate,
}

/// What [`restore`] would do with each row. Changes nothing.
pub async fn compare(remote: &dyn Remote, face: &Face, bundle: &UndoBundle) -> Result<Vec<Restored>, Cause> {
    let now = list(remote, face, bundle).await?;
    let mut rows = Vec::new();
    for row in &bundle.rows {
        let is_now = match now.iter().find(|other| other.row.id == row.row.id) {
            Some(other) => beside(row, other.whole.open()),
            None => match gone_owner(remote, face, bundle, row).await? {
                Some(owner) => RowFate::OwnerGone(owner),
                None => RowFate::Missing,
            },
        };
        rows.push(Restored { row: row.row.clone(), fate: is_now });
    }
    Ok(rows)
}

/// Brings back what is missing and enables what was disabled, and proves it by a listing. An error in the middle says how far
/// it came; asking again goes on there.
pub async fn restore(remote: &dyn Remote, face: &Face, bundle: &UndoBundle) -> Result<Vec<Restored>, Cause> {
    let mut rows = compare(remote, face, bundle).await?;
    let wanted = rows.iter().filter(|row| matches!(row.fate, RowFate::Missing | RowFate::Disabled)).count();
    let mut done = 0;
    for (compared, row) in rows.iter_mut().zip(&bundle.rows) {
        let far = |why: Cause| Cause {
            text: printable(&format!("{done} of {wanted} rows brought back, then: {}", why.text), 1000),
            ..why
        };
        match compared.fate {
            RowFate::Missing => put(remote, face, bundle, row, "PUT", &body(row)).await.map_err(far)?,
            RowFate::Disabled => {
                put(remote, face, bundle, row, "PATCH", &json!({ "enabled": true })).await.map_err(far)?;
            }
            _ => continue,
        }
        done += 1;
        compared.fate = RowFate::Restored;
    }
    let now = list(remote, face, bundle).await?;
    let is_back = |row: &UndoRow| {
        now.iter().any(|other| other.row.id == row.row.id && beside(row, other.whole.open()) == RowFate::Same)
    };
    let lost =
        rows.iter().zip(&bundle.rows).find(|(compared, row)| compared.fate == RowFate::Restored && !is_back(row));
    match lost {
        Some((lost, _)) => {
            Err(cause("not-restored", format!("Kong took the row {} and does not list it as it was", lost.row.id)))
        }
        None => Ok(rows),
    }
}

async fn list(remote: &dyn Remote, face: &Face, bundle: &UndoBundle) -> Result<Vec<WholeRow>, Cause> {
    let plugins: BTreeSet<PluginName> = bundle.rows.iter().map(|row| row.row.name.clone()).collect();
    let facts = face.node(remote).await.map_err(of_trouble)?;
    let listed = face.whole_rows(remote, has_workspaces(&facts), &plugins).await.map_err(of_trouble)?;
    Ok(listed.into_iter().filter(|row| bundle.workspace.is_none() || row.workspace == bundle.workspace).collect())
}

/// A row of the bundle beside the one that is there: times do not count.
fn beside(row: &UndoRow, now: &Value) -> RowFate {
    let (mut was, mut is) = (timeless(row.whole.open()), timeless(now));
    if was == is {
        return RowFate::Same;
    }
    let disabled = was.remove("enabled") != Some(false.into()) && is.remove("enabled") == Some(false.into());
    if disabled && was == is { RowFate::Disabled } else { RowFate::Differs }
}

fn timeless(row: &Value) -> Map<String, Value> {
    let mut row = as_deck(row);
    row.remove("created_at");
    row
}

fn body(row: &UndoRow) -> Value {
    let mut whole = row.whole.open().clone();
    if let Some(fields) = whole.as_object_mut() {
        fields.retain(|key, _| key != "created_at" && key != "updated_at");
    }
    whole
}

/// The first thing that a row hangs on and that is not there any more.
async fn gone_owner(
    remote: &dyn Remote,
    face: &Face,
    bundle: &UndoBundle,
    row: &UndoRow,
) -> Result<Option<String>, Cause> {
    for (kind, id) in &row.row.scope {
        let (word, path) = scope_path(bundle.workspace.as_deref(), *kind, id);
        let answer = face.ask(remote, &path).await.map_err(|error| of_remote(&error))?;
        match answer.status {
            200 => {}
            404 => return Ok(Some(format!("{word} {id}"))),
            _ => return Err(cause("admin-error", format!("GET {path}: {}", answered(&answer)))),
        }
    }
    Ok(None)
}

async fn put(
    remote: &dyn Remote,
    face: &Face,
    bundle: &UndoBundle,
    row: &UndoRow,
    method: &'static str,
    body: &Value,
) -> Result<(), Cause> {
    let path = row_path(bundle.workspace.as_deref(), &row.row.id);
    let answer = face.send(remote, method, &path, Some(body)).await.map_err(|error| of_remote(&error))?;
    let text = format!("{method} {path}: {}", answered(&answer));
    match answer.status {
        200 | 201 => Ok(()),
        400 if String::from_utf8_lossy(&answer.body).contains("not enabled; add it") => Err(advised(
            "not-enabled",
            format!("{} is not loaded there, so that Kong refuses its rows", row.row.name),
            Hint::do_("put the plugin back into the inventory and apply, then bring its rows back"),
        )),
        409 => Err(advised(
            "in-the-way",
            format!("{text}: another row of {} is applied to the same", row.row.name),
            Hint::do_("look at that row; if it is the new one, nothing has to come back"),
        )),
        _ => Err(Cause { hints: advice(&answer), ..cause("admin-error", printable(&text, 1000)) }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;
    use crate::hint::Sealed;
    use crate::perform::scripted::{self, Scripted, ok};
    use crate::remote::{Connect as _, HttpAddress, HttpAnswer};

    fn row(id: &str, service: &str, greeting: &str) -> Value {
        json!({
            "id": id, "name": "legacy", "enabled": true, "service": { "id": service }, "created_at": 1, "route": null,
            "config": { "greeting": greeting },
        })
    }

    fn bundle() -> UndoBundle {
        let rows = ["r1", "r2", "r3", "r4", "r5"].map(|id| {
            let whole = row(id, if id == "r4" { "gone" } else { "s-1" }, "hi");
            let page = json!({ "data": [whole] }).to_string();
            let row = crate::kong::PluginPage::parse(page.as_bytes()).unwrap().rows.remove(0);
            UndoRow { row, whole: Sealed::new(whole) }
        });
        UndoBundle { head: crate::perform::undo::tests::head(), workspace: None, rows: rows.into() }
    }

    /// A Kong with r2 as it was, r3 changed, r5 disabled; `refuses` is its answer to what is put.
    fn kong(refuses: Option<(u16, &'static str)>) -> (Scripted, Arc<Mutex<Vec<Value>>>) {
        let mut off = row("r5", "s-1", "hi");
        off["enabled"] = false.into();
        let rows = Arc::new(Mutex::new(vec![row("r2", "s-1", "hi"), row("r3", "s-1", "ho"), off]));
        let (scripted, kept) = (Scripted::default(), Arc::clone(&rows));
        scripted.http(move |request| {
            let mut rows = kept.lock().unwrap();
            let id = request.path.rsplit('/').next().unwrap().to_owned();
            match (request.method, request.path.as_str()) {
                ("GET", "/") => ok("{\"version\":\"3.9.1\"}"),
                ("GET", "/plugins?size=1000") => ok(json!({ "data": *rows }).to_string()),
                ("GET", "/services/s-1") => ok("{}"),
                ("GET", _) => Ok(HttpAnswer { status: 404, body: Vec::new() }),
                _ if refuses.is_some() => {
                    let (status, body) = refuses.unwrap_or_default();
                    Ok(HttpAnswer { status, body: body.into() })
                }
                ("PATCH", _) => {
                    rows.iter_mut().find(|row| row["id"] == *id).unwrap()["enabled"] = true.into();
                    ok("{}")
                }
                ("PUT", _) => {
                    let mut put: Value = serde_json::from_slice(request.body.as_ref().unwrap()).unwrap();
                    assert!(put.get("created_at").is_none() && put["id"] == *id);
                    put["updated_at"] = 7.into();
                    rows.push(put);
                    ok("{}")
                }
                other => panic!("{other:?}"),
            }
        });
        (scripted, rows)
    }

    fn face() -> Face {
        let to = HttpAddress::Tcp(([127, 0, 0, 1], 1).into());
        Face { to, token: None, deadline: Duration::from_secs(5) }
    }

    #[tokio::test]
    async fn what_is_missing_comes_back_and_what_is_there_is_left() {
        let (kong, rows) = kong(None);
        let remote = kong.connect(&scripted::address("eu-1")).await.unwrap();
        let fates = |rows: Vec<Restored>| rows.into_iter().map(|row| row.fate).collect::<Vec<_>>();
        let gone = || RowFate::OwnerGone("service gone".to_owned());
        let before = fates(compare(&*remote, &face(), &bundle()).await.unwrap());
        assert_eq!(before, [RowFate::Missing, RowFate::Same, RowFate::Differs, gone(), RowFate::Disabled]);
        assert_eq!(rows.lock().unwrap().len(), 3, "a comparison changes nothing");
        let after = fates(restore(&*remote, &face(), &bundle()).await.unwrap());
        assert_eq!(after, [RowFate::Restored, RowFate::Same, RowFate::Differs, gone(), RowFate::Restored]);
        assert_eq!(rows.lock().unwrap()[1]["config"]["greeting"], "ho");
        let again = fates(restore(&*remote, &face(), &bundle()).await.unwrap());
        assert_eq!(again, [RowFate::Same, RowFate::Same, RowFate::Differs, gone(), RowFate::Same]);
    }

    #[tokio::test]
    async fn what_kong_refuses_is_told_with_what_to_do() {
        for (status, body, code) in [
            (
                400,
                "{\"message\":\"plugin 'legacy' not enabled; add it to the 'plugins' configuration property\"}",
                "not-enabled",
            ),
            (409, "{\"name\":\"unique constraint violation\"}", "in-the-way"),
            (500, "<html>", "admin-error"),
        ] {
            let (kong, _) = kong(Some((status, body)));
            let remote = kong.connect(&scripted::address("eu-1")).await.unwrap();
            let cause = restore(&*remote, &face(), &bundle()).await.unwrap_err();
            assert_eq!(cause.code, code);
            assert!(cause.text.starts_with("0 of 2 rows brought back, then: ") && !cause.hints.is_empty(), "{cause:?}");
        }
    }
}
