//! An upgrade against rows in use, in simulated time: what is asked, what stops it, and what never gets out.

use serde_json::json;

use super::*;
use crate::action::ReloadWay;
use crate::perform::activate::Activation;
use crate::perform::gateway::{self, Gateway, NEW, Notes, OLD, Reaction, Validates, stage};
use crate::perform::scripted;
use crate::perform::{Lease, Settings};
use crate::remote::{Connect as _, Word};
use crate::run::{Outcome, StepEnd};

const SECRET: &str = "hunter2";

/// A row of acme-auth on a service; one in three has no realm.
fn row(number: usize) -> Value {
    let realm = if number.is_multiple_of(3) { Value::Null } else { json!("r") };
    json!({
        "id": format!("row-{number:05}"), "name": "acme-auth", "enabled": number != 1, "protocols": ["http"],
        "service": { "id": format!("svc-{number}") }, "route": null, "consumer": null, "tags": ["edge"],
        "config": { "realm": realm, "key": SECRET },
    })
}

fn rows(count: usize) -> Vec<Value> {
    (0..count).map(row).collect()
}

/// The new schema requires a realm, and its own check quotes the key.
fn strict(row: &Value) -> (u16, String) {
    if row["config"]["realm"].is_null() {
        let fields =
            json!({ "config": { "realm": "required field missing", "key": format!("{SECRET} is too short") } });
        return (400, json!({ "code": 2, "name": "schema violation", "fields": fields }).to_string());
    }
    (200, "{}".to_owned())
}

struct Done {
    end: StepEnd,
    notes: Notes,
    words: Vec<Word>,
    gateway: Gateway,
}

async fn upgrade(rows: Vec<Value>, validates: Validates, notes: Notes) -> Done {
    let old = [11, 12];
    let gateway = Gateway::new(&old, &[stage(0, false, &old, OLD), stage(400, true, &[21, 22], NEW)]);
    gateway.set(|it| {
        it.rows(Ok(rows));
        it.validates(validates);
        it.on_undo(Reaction::Ends("undone proved", crate::wire::Status::Undone));
    });
    let mut activate = gateway::activate(ReloadWay::Candidate);
    activate.validate = [PluginName::parse("acme-auth").unwrap()].into();
    let remote = gateway.node.connect(&scripted::address("eu-1")).await.unwrap();
    let (site, identity) = (scripted::site("eu-1"), scripted::identity());
    let activation = Activation {
        remote: &*remote,
        site: &site,
        doors: &gateway::doors(),
        lease: &Lease { identity: &identity, generation: 3 },
        step: 7,
        activate: &activate,
        settings: &Settings::default(),
        watch: &notes,
        elsewhere: &Nobody,
    };
    let (end, _) = activation.perform().await;
    Done { end, notes, words: gateway.words(), gateway }
}

struct Nobody;

#[async_trait::async_trait]
impl crate::perform::recount::Elsewhere for Nobody {
    async fn admin(&self, _: &crate::name::NodeName) -> Result<(std::sync::Arc<dyn Remote>, Face), Cause> {
        Err(cause("timed-out", "no answer"))
    }
}

fn proven(done: &Done) -> String {
    assert_eq!(done.end, StepEnd::Done { outcome: Outcome::Changed });
    done.notes.proven.lock().unwrap().join("\n")
}

#[tokio::test(start_paused = true)]
async fn rows_that_fit_are_part_of_the_proof() {
    let rows: Vec<Value> = rows(250).into_iter().filter(|row| !row["config"]["realm"].is_null()).collect();
    let count = rows.len();
    let done = upgrade(rows, strict, Notes::default()).await;
    assert!(proven(&done).ends_with(&format!("{count} rows fit the new schema")), "{}", proven(&done));
    let asked = done.gateway.node.asked();
    assert_eq!(asked.iter().filter(|path| path.contains("/schemas/plugins/validate")).count(), count);
    let seen = done.notes.phases.lock().unwrap();
    assert!(seen.iter().any(|(_, text)| text == &format!("100 of {count} rows asked about")), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_does_not_fit_puts_the_node_back_and_is_named_without_its_values() {
    let done = upgrade(rows(100), strict, Notes::default()).await;
    let StepEnd::RolledBack { cause } = &done.end else { panic!("{:?}", done.end) };
    assert_eq!((cause.code.as_str(), done.words.last()), (Cause::ROWS_INVALID, Some(&Word::Undo)));
    assert!(
        cause.text.starts_with("34 rows of 100 in use do not fit the new schema: acme-auth on service svc-0: "),
        "{}",
        cause.text
    );
    assert!(cause.details[0].contains("(id row-00000): config.key: refused"), "{:?}", cause.details);
    assert!(cause.details[0].contains("config.realm: required field missing"), "{:?}", cause.details);
    assert!(cause.details.contains(&"and 14 more rows".to_owned()), "{:?}", cause.details);
    assert!(done.notes.proven.lock().unwrap().is_empty(), "nothing is confirmed");
    let all =
        format!("{:?} {:?} {:?}", done.end, done.notes.phases.lock().unwrap(), done.notes.printed.lock().unwrap());
    assert!(!all.contains(SECRET), "a secret got out: {all}");
}

#[tokio::test(start_paused = true)]
async fn where_it_cannot_be_asked_the_proof_says_so_and_stands() {
    for (validates, words) in [
        ((|_| (405, "{}".to_owned())) as Validates, "was not asked: this Kong has no /schemas/plugins/validate (405)"),
        (|_| (404, "{}".to_owned()), "was not asked: this Kong has no /schemas/plugins/validate (404)"),
        (
            |_| (500, r#"{"message":"An unexpected error occurred"}"#.to_owned()),
            "was not asked: POST /schemas/plugins/validate: 500",
        ),
        (
            |_| (400, r#"{"message":"Cannot parse JSON body"}"#.to_owned()),
            "was not asked: POST /schemas/plugins/validate: 400",
        ),
    ] {
        let done = upgrade(rows(50), validates, Notes::default()).await;
        assert!(proven(&done).contains(words), "{}", proven(&done));
        let asked = done.gateway.node.asked().iter().filter(|path| path.contains("validate")).count();
        assert!(asked < 30, "{asked} rows were asked about where nobody answers");
    }
    let done = upgrade(Vec::new(), strict, Notes::default()).await;
    assert!(proven(&done).ends_with("no row uses it any more"), "{}", proven(&done));
}

/// A field that this Kong lists and does not take is left out; what is left counts.
#[tokio::test(start_paused = true)]
async fn a_field_that_the_endpoint_does_not_take_is_no_fault_of_the_row() {
    fn picky(row: &Value) -> (u16, String) {
        match row.get("tags") {
            Some(_) => (400, r#"{"code":2,"fields":{"tags":"unknown field"}}"#.to_owned()),
            None => strict(row),
        }
    }
    let done = upgrade(vec![row(1), row(2)], picky, Notes::default()).await;
    assert!(proven(&done).ends_with("2 rows fit the new schema"), "{}", proven(&done));
    let done = upgrade(vec![row(3)], picky, Notes::default()).await;
    let StepEnd::RolledBack { cause } = &done.end else { panic!("{:?}", done.end) };
    assert!(cause.text.contains("config.realm: required field missing"), "{}", cause.text);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_left_asks_no_further() {
    let notes = Notes::default();
    *notes.cancel.lock().unwrap() = Some(CancelLevel::LeaveSteps);
    let done = upgrade(rows(10), strict, notes).await;
    assert!(matches!(&done.end, StepEnd::Unknown { cause } if cause.code == "left"), "{:?}", done.end);
}
