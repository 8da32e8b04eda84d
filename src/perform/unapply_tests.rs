use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::*;
use crate::action::Action;
use crate::name::ClusterName;
use crate::perform::admin::Face;
use crate::perform::gateway::Notes;
use crate::perform::scripted::{self, Scripted, error, ok};
use crate::perform::{Doors, Perform as _, Place, Reach, Settings, UndoKeeper};
use crate::plan::{Phase, Step, Target};
use crate::remote::{Connect as _, Fault, HttpAddress, HttpRequest, NodeAddress, RemoteError, Script};
use crate::survey::PluginRow;
use crate::wire::Status;

const SECRET: &str = "hunter2";

/// How a node's Admin API behaves.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Serves,
    Says(u16, &'static str),
    /// It breaks off once so many changes were made, by whomever.
    GoneAfter(usize),
    /// It answers this to the change after so many.
    RefusesAfter(usize, u16),
    /// It says 204 and does nothing.
    Lies,
}

/// A database, and nodes with an Admin API over it, told apart by their ports.
struct Kong {
    rows: Vec<(String, Value)>,
    workspaces: Vec<&'static str>,
    moods: Vec<Mood>,
    changes: Vec<String>,
    /// A row that somebody applies behind so many changes.
    reapplied: Option<(usize, Value)>,
    kept: Vec<(String, String)>,
    keeps: bool,
    /// How many changes were made when a bundle was kept.
    kept_at: Vec<usize>,
}

fn row(id: &str, plugin: &str, service: Option<&str>, enabled: bool) -> Value {
    let service = service.map_or(Value::Null, |id| json!({ "id": id }));
    json!({ "id": id, "name": plugin, "enabled": enabled, "service": service, "config": { "key": SECRET } })
}

impl Kong {
    fn answer(&mut self, request: &HttpRequest) -> Result<HttpAnswer, RemoteError> {
        let HttpAddress::Tcp(address) = &request.to else { panic!("no socket") };
        let mood = self.moods[usize::from(address.port() - 1)];
        match mood {
            Mood::Says(status, body) => return Ok(HttpAnswer { status, body: body.into() }),
            Mood::GoneAfter(most) if self.changes.len() >= most => return Err(error(Fault::Lost)),
            Mood::RefusesAfter(most, status) if self.changes.len() >= most && request.method != "GET" => {
                let body = format!("{{\"name\":\"no {status}\",\"message\":\"config.key: {SECRET}\"}}");
                return Ok(HttpAnswer { status, body: body.into() });
            }
            _ => {}
        }
        match request.method {
            "GET" => self.get(&request.path),
            "DELETE" => Ok(self.change(&request.path, |_| None, 204, mood)),
            "PATCH" => {
                assert_eq!(request.body.as_deref(), Some(&b"{\"enabled\":false}"[..]));
                let off = |mut row: Value| {
                    row["enabled"] = false.into();
                    Some(row)
                };
                Ok(self.change(&request.path, off, 200, mood))
            }
            other => panic!("{other}"),
        }
    }

    fn change(&mut self, path: &str, to: fn(Value) -> Option<Value>, status: u16, mood: Mood) -> HttpAnswer {
        self.changes.push(path.to_owned());
        let (space, id) = path.rsplit_once("/plugins/").unwrap();
        let space = if space.is_empty() { "default" } else { &space[1..] };
        let at = self.rows.iter().position(|(s, row)| s == space && row["id"] == id);
        if let (Some(at), true) = (at, mood != Mood::Lies) {
            let (space, row) = self.rows.remove(at);
            if let Some(row) = to(row) {
                self.rows.insert(at, (space, row));
            }
        }
        if let Some((_, row)) = self.reapplied.take_if(|(after, _)| *after <= self.changes.len()) {
            self.rows.push(("default".to_owned(), row));
        }
        HttpAnswer { status, body: Vec::new() }
    }

    fn get(&self, path: &str) -> Result<HttpAnswer, RemoteError> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if path == "/" {
            let edition = if self.workspaces.is_empty() { "community" } else { "enterprise" };
            return ok(format!("{{\"version\":\"3.9.1\",\"edition\":\"{edition}\"}}"));
        }
        if path == "/workspaces" {
            let spaces: Vec<_> = self.workspaces.iter().map(|name| json!({ "name": name })).collect();
            return ok(json!({ "data": spaces }).to_string());
        }
        let Some(space) = path.strip_suffix("/plugins") else { return ok("{\"name\":\"billing\"}") };
        let space = if space.is_empty() { "default" } else { &space[1..] };
        // Two rows on a page.
        let from: usize = query.split("offset=").nth(1).map_or(0, |offset| offset.parse().unwrap());
        let rows: Vec<&Value> = self.rows.iter().filter(|(s, _)| s == space).map(|(_, row)| row).collect();
        let mut page = json!({ "data": rows.iter().skip(from).take(2).collect::<Vec<_>>() });
        if rows.len() > from + 2 {
            page["offset"] = (from + 2).to_string().into();
        }
        ok(page.to_string())
    }
}

#[derive(Clone)]
struct World {
    kong: Arc<Mutex<Kong>>,
    nodes: Scripted,
}

struct Direct(Scripted);

#[async_trait::async_trait]
impl Reach for Direct {
    async fn reach(&self, address: &NodeAddress) -> Result<Arc<dyn Remote>, RemoteError> {
        self.0.connect(address).await
    }
    async fn forget(&self, _: &NodeName) {}
}

struct Shelf(Arc<Mutex<Kong>>);

impl UndoKeeper for Shelf {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
    fn keep(&self, name: &str, text: &Sealed<String>) -> std::io::Result<String> {
        let mut kong = self.0.lock().unwrap();
        if !kong.keeps {
            return Err(std::io::Error::other("no space left"));
        }
        let at = kong.changes.len();
        kong.kept_at.push(at);
        kong.kept.push((name.to_owned(), text.open().clone()));
        Ok(format!("runs/01/{name}.yaml"))
    }
}

fn name(number: usize) -> NodeName {
    NodeName::parse(&format!("eu-{number}")).unwrap()
}

impl World {
    /// Three rows of `legacy`, one of another plugin, and these nodes.
    fn new(moods: &[Mood]) -> Self {
        let rows = [
            row("r1", "legacy", None, true),
            row("r2", "other", None, true),
            row("r3", "legacy", Some("s-1"), false),
            row("r4", "legacy", Some("s-2"), true),
        ];
        let kong = Kong {
            rows: rows.into_iter().map(|row| ("default".to_owned(), row)).collect(),
            workspaces: Vec::new(),
            moods: moods.to_vec(),
            changes: Vec::new(),
            reapplied: None,
            kept: Vec::new(),
            keeps: true,
            kept_at: Vec::new(),
        };
        let world = Self { kong: Arc::new(Mutex::new(kong)), nodes: Scripted::default() };
        let kong = Arc::clone(&world.kong);
        world.nodes.http(move |request| kong.lock().unwrap().answer(request));
        world.nodes.plays(Script::Lease, "lease 8 600 b1", Status::Changed);
        world
    }

    fn with(self, change: impl FnOnce(&mut Kong)) -> Self {
        change(&mut self.kong.lock().unwrap());
        self
    }

    fn kong(&self) -> std::sync::MutexGuard<'_, Kong> {
        self.kong.lock().unwrap()
    }

    fn ids(&self) -> Vec<String> {
        self.kong().rows.iter().map(|(_, row)| row["id"].as_str().unwrap().to_owned()).collect()
    }

    async fn unapply(&self, how: Withdrawal, notes: &Notes) -> StepEnd {
        let end = self.watched(how, notes).await;
        let said = format!("{end:?} {:?} {:?}", notes.printed.lock().unwrap(), notes.phases.lock().unwrap());
        assert!(!said.contains(SECRET), "{said}");
        end
    }

    async fn watched(&self, how: Withdrawal, watch: &dyn Watch) -> StepEnd {
        let numbers = 1..=self.kong().moods.len();
        let place = |number: usize| {
            let to = HttpAddress::Tcp(([127, 0, 0, 1], u16::try_from(number).unwrap()).into());
            let face = Face { to, token: None, deadline: Duration::from_secs(5) };
            let doors = Doors { admin: Ok(face), status: None, proxy: None };
            (name(number), Place { site: scripted::site(&format!("eu-{number}")), doors })
        };
        let places = numbers.clone().map(place).collect();
        let reach = Arc::new(Direct(self.nodes.clone()));
        let cargo = Arc::new(BTreeMap::new());
        let performer = NodePerformer::new(reach, places, cargo, scripted::identity(), Settings::default());
        let performer = performer.keeping(Arc::new(Shelf(Arc::clone(&self.kong))));
        let planned = [("r1", "global"), ("r3", "service billing"), ("r4", "service carts")];
        let planned = planned.map(|(id, scope)| {
            let row =
                json!({ "id": id, "enabled": true, "scope": scope, "workspace": null, "tags": [], "updated_at": 1 });
            serde_json::from_value::<PluginRow>(row).unwrap()
        });
        let unapply = Unapply {
            name: "legacy".to_owned(),
            how,
            rows: BTreeMap::from([(PluginName::parse("legacy").unwrap(), planned.into())]),
            through: numbers.map(name).collect(),
        };
        let step = Step {
            id: serde_json::from_value(4.into()).unwrap(),
            cluster: ClusterName::parse("eu").unwrap(),
            target: Target::Cluster,
            phase: Phase::Unapply,
            action: Action::Unapply(Box::new(unapply)),
            why: String::new().into(),
            needs: Vec::new(),
        };
        performer.perform(&step, watch).await
    }
}

fn proven(notes: &Notes) -> String {
    notes.proven.lock().unwrap().join("\n")
}

fn failed(end: StepEnd) -> Cause {
    let StepEnd::Failed { cause } = end else { panic!("{end:?}") };
    cause
}

fn hints(cause: &Cause) -> String {
    cause.hints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn every_row_is_kept_then_deleted_by_its_id_and_the_list_proves_it() {
    let world = World::new(&[Mood::Serves]);
    let notes = Notes::default();
    let end = world.unapply(Withdrawal::Delete, &notes).await;
    assert_eq!(end, StepEnd::Done { outcome: Outcome::Changed });
    assert_eq!(proven(&notes), "un-applied legacy: 3 rows, none left; undo bundle runs/01/legacy.yaml");
    assert_eq!((world.ids(), world.kong().kept_at.clone()), (vec!["r2".to_owned()], vec![0]));
    assert_eq!(world.kong().changes, ["/plugins/r1", "/plugins/r3", "/plugins/r4"]);
    let kept = UndoBundle::parse(&world.kong().kept[0].1).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(kept.rows[2].whole.open()["config"]["key"], SECRET);
    assert!(!kept.rows[1].row.enabled && world.kong().kept[0].1.contains("# service billing"));
    assert_eq!((kept.head.node, kept.head.name.as_str()), (name(1), "legacy"));
}

#[tokio::test]
async fn each_workspace_has_a_bundle_and_its_own_paths() {
    let world = World::new(&[Mood::Serves]).with(|kong| {
        kong.workspaces = vec!["default", "team a/x"];
        kong.rows[3].0 = "team%20a%2Fx".to_owned();
    });
    let end = world.unapply(Withdrawal::Delete, &Notes::default()).await;
    assert_eq!(end, StepEnd::Done { outcome: Outcome::Changed });
    assert_eq!(world.kong().changes, ["/default/plugins/r1", "/default/plugins/r3", "/team%20a%2Fx/plugins/r4"]);
    let names: Vec<String> = world.kong().kept.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, ["legacy.default", "legacy.team_a_x"]);
    let second = UndoBundle::parse(&world.kong().kept[1].1).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(second.workspace.as_deref(), Some("team a/x"));
}

#[tokio::test]
async fn the_gentle_way_disables_what_is_enabled() {
    let world = World::new(&[Mood::Serves]);
    let notes = Notes::default();
    let end = world.unapply(Withdrawal::Disable, &notes).await;
    assert_eq!(end, StepEnd::Done { outcome: Outcome::Changed });
    assert_eq!(world.kong().changes, ["/plugins/r1", "/plugins/r4"]);
    assert_eq!(proven(&notes), "un-applied legacy: 2 rows, all disabled; undo bundle runs/01/legacy.yaml");
    let again = Notes::default();
    let end = world.unapply(Withdrawal::Disable, &again).await;
    assert_eq!(end, StepEnd::Done { outcome: Outcome::Unchanged });
    assert_eq!(
        (proven(&again).as_str(), world.kong().kept.len()),
        ("un-applied legacy: all disabled, nothing to do", 1)
    );
}

#[tokio::test]
async fn without_a_row_left_nothing_is_done() {
    let world = World::new(&[Mood::Serves]).with(|kong| kong.rows.truncate(0));
    let end = world.unapply(Withdrawal::Delete, &Notes::default()).await;
    assert_eq!(end, StepEnd::Done { outcome: Outcome::Unchanged });
    assert!(world.kong().kept.is_empty() && world.kong().changes.is_empty());
}

#[tokio::test]
async fn a_row_that_the_plan_did_not_show_stops_it_before_anything_is_changed() {
    let new = row("r9", "legacy", Some("s-9"), true);
    let world = World::new(&[Mood::Serves]).with(|kong| kong.rows.push(("default".to_owned(), new)));
    let cause = failed(world.unapply(Withdrawal::Delete, &Notes::default()).await);
    assert_eq!(cause.code, "moved");
    assert_eq!(cause.text, "1 row is not in the plan: legacy: service billing; nothing was changed");
    assert_eq!((hints(&cause).as_str(), world.ids().len()), ("type: muster --plan", 5));
    assert!(world.kong().kept.is_empty());
}

#[tokio::test]
async fn a_row_that_comes_in_the_middle_is_not_deleted_and_all_that_was_done_is_said() {
    let new = row("r9", "legacy", None, true);
    let world = World::new(&[Mood::Serves]).with(|kong| kong.reapplied = Some((2, new)));
    let cause = failed(world.unapply(Withdrawal::Delete, &Notes::default()).await);
    assert_eq!(cause.code, "moved");
    assert!(cause.text.starts_with("3 of 3 rows deleted, then: 1 row is not in the plan: legacy: global"), "{cause:?}");
    assert!(cause.details.iter().any(|line| line.contains("runs/01/legacy.yaml")), "{cause:?}");
    assert!(hints(&cause).contains(&format!("muster restore-rows {}", scripted::identity().run)), "{cause:?}");
    assert_eq!(world.ids(), ["r2", "r9"]);
}

#[tokio::test]
async fn an_admin_api_that_is_none_is_left_for_the_next_and_if_none_serves_nothing_was_changed() {
    let moods = [
        (Mood::Says(200, "<html>hello</html>"), "admin-garbled"),
        (Mood::Says(200, "{\"version\":\"3.9.1\",\"da"), "admin-garbled"),
        (Mood::Says(500, "{\"message\":\"An unexpected error occurred\"}"), "admin-error"),
        (Mood::Says(302, ""), "admin-redirected"),
        (Mood::Says(401, "{}"), "admin-unauthorized"),
        (Mood::GoneAfter(0), "admin-unreachable"),
    ];
    for (mood, code) in moods {
        let cause = failed(World::new(&[mood, mood]).unapply(Withdrawal::Delete, &Notes::default()).await);
        assert_eq!(cause.code, code);
        assert!(cause.text.ends_with("; nothing was changed") && cause.details[1].starts_with("eu-2: "), "{cause:?}");
        assert!(!cause.hints.is_empty(), "{cause:?}");
        let world = World::new(&[mood, Mood::Serves]);
        let end = world.unapply(Withdrawal::Delete, &Notes::default()).await;
        assert_eq!((end, world.ids().len()), (StepEnd::Done { outcome: Outcome::Changed }, 1), "{code}");
    }
    let nodes = World::new(&[Mood::Serves]);
    nodes.nodes.refuses(Fault::TimedOut);
    assert_eq!(failed(nodes.unapply(Withdrawal::Delete, &Notes::default()).await).code, "timed-out");
}

#[tokio::test]
async fn an_admin_api_that_goes_in_the_middle_is_followed_by_the_next_node() {
    let world = World::new(&[Mood::GoneAfter(1), Mood::Serves]);
    let notes = Notes::default();
    let end = world.unapply(Withdrawal::Delete, &notes).await;
    assert_eq!(end, StepEnd::Done { outcome: Outcome::Changed });
    assert_eq!((world.ids(), world.kong().kept.len()), (vec!["r2".to_owned()], 1), "kept once, before the first");
    assert_eq!(proven(&notes), "un-applied legacy: 3 rows, none left; undo bundle runs/01/legacy.yaml");
}

#[tokio::test]
async fn what_cannot_be_listed_any_more_is_unknown_and_says_how_far_it_came() {
    for gone in [1, 3] {
        let world = World::new(&[Mood::GoneAfter(gone), Mood::GoneAfter(gone)]);
        let end = world.unapply(Withdrawal::Delete, &Notes::default()).await;
        let StepEnd::Unknown { cause } = end else { panic!("{end:?}") };
        assert!(cause.text.starts_with(&format!("{gone} of 3 rows deleted as far as was answered")), "{cause:?}");
        assert!(hints(&cause).contains("muster --plan") && hints(&cause).contains("muster restore-rows"), "{cause:?}");
        assert!(cause.details.last().unwrap().contains("runs/01/legacy.yaml"), "{cause:?}");
    }
}

#[tokio::test]
async fn any_other_answer_stops_it() {
    for status in [200, 404, 500, 302] {
        let world = World::new(&[Mood::RefusesAfter(2, status), Mood::Serves]);
        let cause = failed(world.unapply(Withdrawal::Delete, &Notes::default()).await);
        let words = format!("2 of 3 rows deleted, then: DELETE /plugins/r4 (service carts) through eu-1: {status}, no");
        assert!(cause.text.starts_with(&words), "{cause:?}");
        assert_eq!(world.ids(), ["r2", "r4"]);
    }
}

#[tokio::test]
async fn an_answer_of_204_alone_proves_nothing() {
    let cause = failed(World::new(&[Mood::Lies]).unapply(Withdrawal::Delete, &Notes::default()).await);
    assert_eq!(cause.code, "not-un-applied");
    assert!(cause.text.contains("lists 3 of them still"), "{cause:?}");
}

#[tokio::test]
async fn without_an_undo_bundle_nothing_is_deleted() {
    let world = World::new(&[Mood::Serves]).with(|kong| kong.keeps = false);
    let cause = failed(world.unapply(Withdrawal::Delete, &Notes::default()).await);
    assert_eq!((cause.code.as_str(), world.ids().len()), ("undo-not-kept", 4));
    assert!(cause.text.contains("no space left; nothing was changed"), "{cause:?}");
}

#[tokio::test]
async fn leaving_ends_it_between_two_rows() {
    for (level, ends) in [(CancelLevel::AfterSteps, true), (CancelLevel::LeaveSteps, false)] {
        let notes = Notes::default();
        *notes.cancel.lock().unwrap() = Some(level);
        let end = World::new(&[Mood::Serves]).unapply(Withdrawal::Delete, &notes).await;
        assert_eq!(matches!(end, StepEnd::Done { .. }), ends);
        assert_eq!(end == StepEnd::Skipped { why: SkipReason::Cancelled }, !ends);
    }
}

/// The run is left once it was asked so often.
struct Leaves(AtomicUsize);

impl Watch for Leaves {
    fn phase(&self, _: StepPhase, _: String) {}
    fn printed(&self, _: String) {}
    fn proven(&self, text: String) {
        panic!("proven: {text}");
    }
    fn cancelled(&self) -> Option<CancelLevel> {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(1), Ordering::Relaxed);
        (left == 0).then_some(CancelLevel::LeaveSteps)
    }
}

#[tokio::test]
async fn what_was_left_in_the_middle_says_what_is_in_use_yet() {
    let world = World::new(&[Mood::Serves, Mood::Serves]);
    let cause = failed(world.watched(Withdrawal::Delete, &Leaves(AtomicUsize::new(2))).await);
    assert_eq!(cause.code, "cancelled");
    assert_eq!(cause.text, "2 of 3 rows deleted, then: it was cancelled; 1 row is as before");
    assert_eq!((world.ids(), world.kong().changes.len()), (vec!["r2".to_owned(), "r4".to_owned()], 2));
    assert!(hints(&cause).contains("muster restore-rows"), "{cause:?}");
}

#[tokio::test]
async fn who_was_replaced_as_holder_deletes_nothing() {
    let world = World::new(&[Mood::Serves]);
    world.nodes.plays(Script::Lease, "locked cron@ops 01RUN 42", Status::Locked);
    let cause = failed(world.unapply(Withdrawal::Delete, &Notes::default()).await);
    assert_eq!((cause.code.as_str(), world.ids().len()), ("locked", 4));
}
