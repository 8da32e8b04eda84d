//! A removal on a stand-in node, step by step: rows kept and deleted, counted again, the name, the files.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use muster::action::{Action, Activate, ConfEdit, Delete, Keeping, ReloadWay, Unapply, Withdrawal};
use muster::hint::Sealed;
use muster::kong::Conf;
use muster::name::Digest;
use muster::perform::admin::Face;
use muster::perform::restore::{RowFate, restore};
use muster::perform::undo::UndoBundle;
use muster::perform::{Doors, NodePerformer, Perform as _, Reach as _, UndoKeeper};
use muster::plan::{Phase, Step, Target};
use muster::remote::Remote;
use muster::run::{Cause, Outcome, StepEnd};
use muster::survey::NodeFacts;
use serde_json::{Value, json};

use super::nodes::{Bench, Made, Notes, bundle, handler, name, plugin, step};

/// Undo bundles, in memory.
#[derive(Default)]
struct Shelf(Mutex<Vec<String>>);

impl UndoKeeper for Shelf {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
    fn keep(&self, name: &str, text: &Sealed<String>) -> std::io::Result<String> {
        self.0.lock().unwrap().push(text.open().clone());
        Ok(format!("{name}.yaml"))
    }
}

/// The Admin API, as somebody else speaks to it.
struct Api {
    face: Face,
    remote: Arc<dyn Remote>,
}

impl Api {
    async fn of(bench: &Bench, facts: &NodeFacts) -> Self {
        let env = facts.env_file.as_ref().map(|env| env.open().bytes());
        let doors = Doors::of(&bench.site, env, Duration::from_secs(5));
        Self { face: doors.admin.unwrap(), remote: bench.pool.reach(&bench.site.address).await.unwrap() }
    }

    async fn make(&self, path: &str, body: &Value) -> Value {
        let answer = self.face.send(&*self.remote, "POST", path, Some(body)).await.unwrap();
        assert_eq!(answer.status, 201, "{path}");
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// The rows without their times.
    async fn rows(&self) -> Vec<Value> {
        let answer = self.face.ask(&*self.remote, "/plugins").await.unwrap();
        let mut page: Value = serde_json::from_slice(&answer.body).unwrap();
        let mut rows = page["data"].as_array_mut().map(std::mem::take).unwrap_or_default();
        for row in &mut rows {
            row.as_object_mut().unwrap().retain(|key, _| !key.ends_with("_at"));
        }
        rows.sort_by_key(|row| row["id"].to_string());
        rows
    }
}

/// Two rows of acme-auth, one of them disabled, and one of another plugin.
async fn used(api: &Api) {
    let service = api.make("/services", &json!({ "name": "billing", "url": "http://127.0.0.1:9" })).await;
    let id = service["id"].as_str().unwrap();
    api.make(
        "/plugins",
        &json!({ "name": "acme-auth", "config": { "key": "s3cret", "list": [1, 2.5], "none": null } }),
    )
    .await;
    let off = json!({ "name": "acme-auth", "enabled": false, "tags": ["on", "a: b"] });
    api.make(&format!("/services/{id}/plugins"), &off).await;
    api.make("/plugins", &json!({ "name": "cors" })).await;
}

/// The name goes, and nothing else.
pub(super) fn removal(bench: &Bench, facts: &NodeFacts, made: &Made) -> Action {
    let before = facts.conf_file.as_ref().unwrap().open().bytes();
    let after = Conf::parse(before).set("plugins", "bundled").unwrap();
    Action::Activate(Box::new(Activate {
        switches: Vec::new().into(),
        directive: ("bundled,acme-auth".to_owned(), "bundled".to_owned()).into(),
        staged: Vec::new().into(),
        loaded: BTreeMap::new().into(),
        gone: [plugin()].into(),
        content: BTreeMap::new().into(),
        conf: Some(ConfEdit {
            keeping: Keeping::Conf,
            path: bench.site.conf.clone(),
            before: Some(Digest::of(before)),
            offset: 0,
            remove: before.len() as u64,
            after: Digest::of(&after),
            insert: String::from_utf8(after).unwrap(),
        }),
        ..bench.activate(facts, made, ReloadWay::Candidate)
    }))
}

/// The third step: what our manifest still has goes.
pub(super) fn deletion(facts: &NodeFacts) -> Option<Delete> {
    let mut manifest = facts.manifest.as_ref()?.as_deref().unwrap().clone();
    let generation = manifest.generation;
    let (bundle, owned) = manifest.bundles.pop_first()?;
    manifest.generation += 1;
    Some(Delete {
        bundles: [(bundle, owned.links)].into(),
        adopts: [].into(),
        plugins: [plugin()].into(),
        generation,
        manifest: manifest.lines().into(),
    })
}

async fn unapply(performer: &NodePerformer, facts: &NodeFacts, notes: &Notes) -> StepEnd {
    let rows = facts.admin.as_ref().unwrap().rows["acme-auth"].clone();
    let unapply = Unapply {
        name: "acme-auth".to_owned(),
        how: Withdrawal::Delete,
        rows: [(plugin(), rows)].into(),
        through: vec![name()],
    };
    let action = Action::Unapply(Box::new(unapply));
    performer.perform(&Step { target: Target::Cluster, phase: Phase::Unapply, ..step(2, action) }, notes).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_in_use_is_taken_out_of_use_then_off_the_list_then_off_the_disk() {
    let bench = Bench::started(&[]);
    let made = bundle(&handler("1.0.0", ""));
    bench.bring(&made, ReloadWay::Candidate, &Notes::default()).await;
    let api = Api::of(&bench, &*bench.look().await).await;
    used(&api).await;
    let before = api.rows().await;

    // With rows left, the name does not go: nothing is touched, and both ways out are told.
    let facts = bench.look().await;
    let shelf = Arc::new(Shelf::default());
    let performer = bench.performer(&facts, &made, Duration::from_mins(1)).keeping(shelf.clone());
    performer.acquire(&name()).await.unwrap();
    let conf = bench.conf();
    let end = performer.perform(&step(1, removal(&bench, &facts, &made)), &Notes::default()).await;
    let StepEnd::Failed { cause } = &end else { panic!("{end:?}") };
    assert_eq!((cause.code.as_str(), cause.hints.len()), (Cause::REAPPLIED, 2), "{cause:?}");
    assert!(cause.text.contains("2 rows use again") && cause.text.contains("service billing, disabled"), "{cause:?}");
    assert_eq!((bench.conf(), bench.loaded().await.as_deref()), (conf, Some("1.0.0")));

    // Rows go, and come back as they were.
    let notes = Notes::default();
    let end = unapply(&performer, &facts, &notes).await;
    assert_eq!(end, StepEnd::Done { outcome: Outcome::Changed });
    let proven = notes.proven.lock().unwrap().join("");
    assert_eq!(proven, "un-applied acme-auth: 2 rows, none left; undo bundle acme-auth.yaml");
    assert_eq!(api.rows().await.len(), 1, "another plugin's row is nobody's business here");
    let kept = UndoBundle::parse(&shelf.0.lock().unwrap()[0]).unwrap_or_else(|error| panic!("{error}"));
    let back = restore(&*api.remote, &api.face, &kept).await.unwrap();
    assert!(back.iter().all(|row| row.fate == RowFate::Restored), "{back:?}");
    assert_eq!(api.rows().await, before);
    let end = unapply(&performer, &facts, &Notes::default()).await;
    assert_eq!(end, StepEnd::Done { outcome: Outcome::Changed });

    // The name goes with one reload; links and files stay.
    let facts = bench.look().await;
    let end = performer.perform(&step(3, removal(&bench, &facts, &made)), &Notes::default()).await;
    assert_eq!(end, StepEnd::Done { outcome: Outcome::Changed });
    assert_eq!(bench.loaded().await, None);
    let root = bench.node.lua_root.join("kong/plugins/acme-auth");
    assert!(root.join("handler.lua").is_file());

    // The files go, once, and the node starts without them.
    let delete = deletion(&*bench.look().await).unwrap();
    for outcome in [Outcome::Changed, Outcome::Unchanged] {
        let end = performer.perform(&step(4, Action::Delete(Box::new(delete.clone()))), &Notes::default()).await;
        assert_eq!(end, StepEnd::Done { outcome });
    }
    assert!(!root.is_symlink() && root.parent().unwrap().is_dir());
    let home = std::path::Path::new(bench.site.home.as_str());
    assert_eq!(std::fs::read_dir(home.join("releases")).unwrap().count(), 0);
    let facts = bench.look().await;
    let receipt = facts.receipts.last().unwrap();
    assert!(receipt.commit.is_some() && receipt.result.as_deref() == Some("changed"), "{receipt:?}");
    bench.restart();
    assert!(bench.proxied());
}
