//! kill -9 of muster in the middle of a run that installs, upgrades and removes at once: every node keeps serving, rows go
//! before names and names before files whatever dies when, and the next run gets there.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use muster::standin::site::Node;
use serde_json::{Value, json};

use super::fleet::{Machine, Operated, Prober};
use super::killed::moment;

const NODES: [&str; 4] = ["a", "b", "c", "d"];
const LONG: Duration = Duration::from_secs(100);

/// The moments of such a run: an event with its action or phase, and the how manieth of it.
const MOMENTS: [(&str, usize); 16] = [
    ("run-started", 1),
    ("step-started deliver", 1),
    ("step-ended deliver", 3),
    ("cluster-step-started un-apply", 1),
    ("cluster-step-ended un-apply", 1),
    ("step-started activate", 2),
    ("step-progressed guard", 1),
    ("step-progressed reload", 3),
    ("step-proven", 2),
    ("step-progressed commit", 1),
    ("step-ended activate", 2),
    ("cluster-step-started fence", 1),
    ("cluster-step-ended fence", 1),
    ("step-started delete", 1),
    ("step-ended delete", 1),
    ("step-ended delete", 3),
];

/// Files of a plugin on a node, and whether Kong would be told to load it: now, or at the next start.
fn has_files(node: &Node, plugin: &str) -> bool {
    node.dir.join("lua/kong/plugins").join(plugin).symlink_metadata().is_ok()
}

fn lists(node: &Node, plugin: &str) -> [bool; 2] {
    [node.conf.clone(), node.prefix.join(".kong_env")].map(|file| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().rfind(|line| line.starts_with("plugins")).unwrap_or_default();
        line.split(['=', ',']).any(|word| word.trim() == plugin)
    })
}

/// Looks all the time at what is left of a plugin that is being removed. Files are looked at first, then names, then rows: as
/// each goes only after the one before, what is found so in the wrong order was so.
struct Order {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(Vec<String>, usize)>,
}

impl Order {
    fn of(fleet: &Arc<Operated>, plugin: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (over, fleet, plugin) = (stop.clone(), fleet.clone(), plugin.to_owned());
        let thread = std::thread::spawn(move || {
            let (mut wrong, mut looks) = (Vec::new(), 0);
            while !over.load(Ordering::Relaxed) {
                wrong.extend(out_of_order(&fleet, &plugin));
                looks += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            (wrong, looks)
        });
        Self { stop, thread }
    }

    /// What was found in the wrong order.
    fn wrong(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let (wrong, looks) = self.thread.join().unwrap();
        assert!(looks > 5, "nobody looked");
        wrong
    }
}

fn out_of_order(fleet: &Operated, plugin: &str) -> Option<String> {
    let bare: Vec<&str> = fleet.nodes.iter().filter(|(_, node)| !has_files(node, plugin)).map(|(n, _)| &**n).collect();
    let listed: Vec<_> = fleet.nodes.iter().map(|(name, node)| (name, lists(node, plugin))).collect();
    let rows = fleet.rows(plugin);
    let mut names = listed.iter().filter(|(_, listed)| listed.contains(&true));
    if let (Some(bare), Some((name, _))) = (bare.first(), names.next()) {
        return Some(format!("{bare} has no files of {plugin}, and {name} lists it"));
    }
    let unlisted = listed.iter().find(|(_, listed)| listed.contains(&false))?;
    (rows > 0).then(|| format!("{} does not list {plugin} any more, and {rows} rows use it", unlisted.0))
}

/// Four nodes with `acme-auth` and `one`.
fn begun() -> Arc<Operated> {
    let fleet = Operated::started(&NODES);
    fleet.plugin("one", "1.0.0");
    fleet.plugin("two", "1.0.0");
    fleet.commit_plugins(&["acme-auth", "one"], &["acme-auth: present", "one: present"]);
    let (code, said) = fleet.run(&["--apply", "--all"]);
    assert_eq!(code, Some(0), "{said}");
    Arc::new(fleet)
}

/// Rows of a plugin: global, on a service, and a disabled one.
fn used(fleet: &Operated, plugin: &str) {
    let (billing, stock) = (fleet.service("billing"), fleet.service("stock"));
    fleet.admin(0, ("POST", "/plugins"), &json!({ "name": plugin }), 201);
    fleet.admin(1, ("POST", &format!("/services/{billing}/plugins")), &json!({ "name": plugin }), 201);
    let off = json!({ "name": plugin, "enabled": false });
    fleet.admin(2, ("POST", &format!("/services/{stock}/plugins")), &off, 201);
    assert_eq!(fleet.rows(plugin), 3);
}

/// Commits that `acme-auth` is upgraded, one of `one` and `two` removed, and the other installed; gives the one that goes.
fn all_at_once(fleet: &Operated, round: usize) -> &'static str {
    let (goes, comes) = if round.is_multiple_of(2) { ("one", "two") } else { ("two", "one") };
    used(fleet, goes);
    fleet.plugin("acme-auth", &format!("2.0.{round}"));
    let (goes_entry, comes_entry) =
        (format!("{goes}: {{ state: absent, unapply: delete }}"), format!("{comes}: present"));
    fleet.commit_plugins(&["acme-auth", comes], &["acme-auth: present", &goes_entry, &comes_entry]);
    goes
}

/// Runs an apply that is killed at this moment; the run's id.
fn killed_at(fleet: &Operated, (wanted, number): (&str, usize)) -> String {
    let mut command = fleet.muster(&["--apply", "--all", "--format", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().unwrap_or_else(|| panic!("{wanted}: {:?}", fleet.run(&["--plan"])));
    let came = std::iter::once(first.clone()).chain(lines).filter(|line| moment(line) == wanted).take(number).count();
    let _ = child.kill();
    child.wait().unwrap();
    assert_eq!(came, number, "{wanted}");
    let first: Value = serde_json::from_str(&first).unwrap();
    first["run"].as_str().unwrap().to_owned()
}

/// Applies until no earlier run's guard or script holds a node; the events of the run that ended otherwise.
fn finish(run: impl Fn() -> (Option<i32>, String)) -> (Option<i32>, String) {
    let until = Instant::now() + LONG;
    loop {
        let (code, said) = run();
        if code != Some(5) || Instant::now() > until {
            return (code, said);
        }
    }
}

/// The steps of a run of which each may begin only after all of the ones before: where they begin out of turn.
fn assert_in_turn(events: &str, when: &str) {
    const TURNS: [&str; 4] = ["un-apply", "activate", "fence", "delete"];
    let mut turn = 0;
    for event in events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let begun = ["step-started", "cluster-step-started"].contains(&event["event"].as_str().unwrap_or_default());
        let Some(at) = TURNS.iter().position(|action| begun && event["action"] == *action) else { continue };
        assert!(at >= turn, "{when}: {} begins after {}\n{events}", TURNS[at], TURNS[turn]);
        turn = at;
    }
}

/// The plugin is gone in all four truths, and there is nothing to do.
fn assert_gone(fleet: &Operated, plugin: &str, when: &str) {
    for (name, node) in &fleet.nodes {
        assert_eq!((has_files(node, plugin), lists(node, plugin)), (false, [false; 2]), "{when}: {name}");
    }
    assert_eq!(fleet.rows(plugin), 0, "{when}");
    let (code, said) = fleet.run(&["--plan", "--detailed-exitcode"]);
    assert_eq!(code, Some(0), "{when}, and then it is not in line:\n{said}");
}

/// One death: how it looked, for the table.
fn die_and_finish(fleet: &Arc<Operated>, round: usize, at: (&str, usize)) -> String {
    let when = format!("killed at {} {}", at.0, at.1);
    let goes = all_at_once(fleet, round);
    let probers: Vec<_> = fleet.nodes.iter().map(|(_, node)| Prober::every(Duration::from_millis(25), node)).collect();
    let order = Order::of(fleet, goes);
    killed_at(fleet, at);
    let begun = Instant::now();
    let (code, events) = finish(|| fleet.run(&["--apply", "--all", "--format", "json"]));
    assert_eq!(code, Some(0), "{when}, the next apply:\n{events}");
    let took = begun.elapsed();
    assert_in_turn(&events, &when);
    assert_gone(fleet, goes, &when);
    assert_eq!(order.wrong(), Vec::<String>::new(), "{when}");
    let mut asked = 0;
    for prober in probers {
        let (missed, count) = prober.missed();
        assert!(missed.is_empty(), "{when}: {missed:?} of {count}");
        asked += count;
    }
    assert!(asked > 20, "nobody asked");
    format!("{:30} {} converged in {:4.1} s, {asked} requests answered", at.0, at.1, took.as_secs_f32())
}

#[test]
fn muster_killed_at_any_boundary_of_a_mixed_run_leaves_nodes_that_serve_and_the_next_apply_keeps_the_order() {
    let (next, table) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let fleet = begun();
                let mut round = 0;
                while let Some(at) = MOMENTS.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let row = die_and_finish(&fleet, round, *at);
                    table.lock().unwrap().push(row);
                    round += 1;
                }
            });
        }
    });
    let table = table.into_inner().unwrap();
    super::show(&table.join("\n"));
    assert_eq!(table.len(), MOMENTS.len());
}

/// The lease of every node ends now, as it would by its time.
fn leases_end(fleet: &Operated) {
    for (_, node) in &fleet.nodes {
        let file = node.dir.join("muster/state/lease");
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let lines = text.lines().map(|line| if line.starts_with("expires ") { "expires 1" } else { line });
        std::fs::write(&file, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    }
}

/// How somebody else takes a dead run over.
enum Takeover {
    Waits,
    Unlocks,
    Resumes,
}

#[test]
fn somebody_else_finishes_the_run_of_a_dead_machine_from_another_clone() {
    let fleet = begun();
    let cases = [
        (("cluster-step-ended un-apply", 1), Takeover::Waits),
        (("step-ended activate", 2), Takeover::Unlocks),
        (("cluster-step-started fence", 1), Takeover::Resumes),
    ];
    for (round, (at, takeover)) in cases.into_iter().enumerate() {
        let when = format!("killed at {}", at.0);
        let goes = all_at_once(&fleet, round);
        let ann = fleet.elsewhere(&format!("ann{round}"));
        let order = Order::of(&fleet, goes);
        let run = killed_at(&fleet, at);
        let apply = || fleet.run_on(&ann, &["--apply", "--all", "--format", "json"]);
        // Another machine cannot know that the run is dead: it is refused at once, and told who holds the nodes.
        let (code, said) = apply();
        assert_eq!(code, Some(5), "{when}: {said}");
        assert!(said.contains("ops@") && said.contains(&run), "{when}: {said}");
        let (code, events) = match takeover {
            Takeover::Waits => {
                leases_end(&fleet);
                finish(apply)
            }
            Takeover::Unlocks => {
                unlocked(&fleet, &ann);
                finish(apply)
            }
            Takeover::Resumes => {
                unlocked(&fleet, &ann);
                resumed(&fleet, &ann, &run)
            }
        };
        assert_eq!(code, Some(0), "{when}: {events}");
        assert_in_turn(&events, &when);
        assert_gone(&fleet, goes, &when);
        assert_eq!(order.wrong(), Vec::<String>::new(), "{when}");
    }
}

fn unlocked(fleet: &Operated, machine: &Machine) {
    let (code, said) = finish(|| {
        let (code, said) = fleet.run_on(machine, &["unlock", "eu", "--yes"]);
        // A script of the dead run may still have a node for a moment.
        (if code == Some(3) { Some(5) } else { code }, said)
    });
    assert!(code == Some(0) && said.contains("unlocked a"), "{said}");
}

/// The inventory moves on; the run has a commit of its own, which only the nodes' receipts tell here.
fn resumed(fleet: &Operated, machine: &Machine, run: &str) -> (Option<i32>, String) {
    let (code, said) = fleet.run_on(machine, &["resume", "01JD3MVSTER00000000000000A"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("was not recorded on this machine") && said.contains("no node has a receipt of it"),
        "{said}"
    );
    let git = git2::Repository::open(&machine.repo).unwrap();
    let commit = git.head().unwrap().target().unwrap().to_string();
    let (code, said) = fleet.run_on(machine, &["resume", run]);
    assert_eq!(code, Some(0), "{said}");
    for words in
        ["was recorded on another machine", &commit[..7], "all of eu is planned", &format!("muster resume {run} --yes")]
    {
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
    finish(|| fleet.run_on(machine, &["resume", run, "--yes", "--format", "json"]))
}

#[test]
fn after_a_power_cut_between_the_second_step_and_the_third_the_gateways_start_and_only_files_are_left_to_go() {
    let fleet = begun();
    let goes = all_at_once(&fleet, 0);
    let order = Order::of(&fleet, goes);
    killed_at(&fleet, ("cluster-step-started fence", 1));
    fleet.nodes.iter().for_each(|(_, node)| node.cut_power().unwrap());
    // What a master that was started anew has loaded is told by its age against that of the files, in whole seconds.
    let cut = Instant::now();
    while cut.elapsed() <= Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(20));
    }
    (0..NODES.len()).for_each(|number| fleet.starts(number));
    for (name, node) in &fleet.nodes {
        let answer = super::fleet::ask((node.address, muster::standin::site::PROXY).into()).unwrap().to_lowercase();
        assert!(answer.contains("x-plugin-acme-auth: 2.0.0") && !answer.contains("x-plugin-one"), "{name}: {answer}");
    }
    let (code, events) = finish(|| fleet.run(&["--apply", "--all", "--format", "json"]));
    assert_eq!(code, Some(0), "{events}");
    assert_in_turn(&events, "power cut");
    let begun = |action: &str| {
        let action = format!("\"action\":\"{action}\"");
        events.lines().filter(|line| line.contains("step-started\"") && line.contains(&action)).count()
    };
    assert_eq!(["un-apply", "activate", "fence", "delete"].map(begun), [0, 0, 1, 4], "{events}");
    assert_gone(&fleet, goes, "power cut");
    assert_eq!(order.wrong(), Vec::<String>::new());
}
