//! The terminal UI: from a key to the frame that shows it, with 5,000 nodes and a storm of events; one frame of each screen;
//! the memory that a storm of huge lines takes.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};
use futures_util::stream::{pending, unfold};
use jiff::Timestamp;
use muster::action::{Action, Deliver};
use muster::inventory::Labels;
use muster::name::{ClusterName, Digest, NodeName, Owner, Revision, RunId};
use muster::plan::{
    Basis, Change, ChangeKind, ClusterPlan, NodeLists, Phase, Plan, Step, StepId, Target, Wave, WaveId,
};
use muster::run::{CancelLevel, Event, EventKind, Outcome, RunHead, StepEnd, StepPhase};
use muster::tui::{
    ClusterRows, Driver, Feed, Host, Look, Marks, Message, Model, NodeRow, NodeState, Part, Picture, Title, draw,
    run_on, update,
};
use ratatui::Terminal;
use ratatui::backend::{Backend, ClearType, CrosstermBackend, TestBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::Options;
use crate::large::resident;
use crate::table::{Table, millis};

const NODES: usize = 5_000;
const CLUSTERS: usize = 10;
const PLUGINS: usize = 20;
/// Events in a second, in bursts of a millisecond.
const STORM: usize = 50_000;
/// Between two keys: longer than a frame, and without a common measure with one.
const BETWEEN: Duration = Duration::from_millis(41);
/// How soon a key has to be seen: one frame of a screen with 60 in a second.
const GOAL: f64 = 16.0;

/// Measures everything.
pub(crate) fn measure(options: &Options, table: &mut Table) {
    let (nodes, keys) = if options.quick { (NODES / 10, 50) } else { (NODES, 400) };
    let fleet = Fleet::of(nodes);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for (name, stormy) in [("fleet", false), ("run, a storm of events", true)] {
        let mut times = runtime.block_on(latencies(&fleet, keys, stormy));
        times.sort_unstable();
        let at = |part: usize| millis_of(times[(times.len() * part / 100).min(times.len() - 1)]);
        let what = format!("key to frame, {nodes} nodes, {name}");
        table.below(format!("{what}: median"), at(50), GOAL, " ms");
        table.below(format!("{what}: 99 of 100"), at(99), GOAL, " ms");
    }
    frames(&fleet, table);
    runtime.block_on(memory(&fleet, if options.quick { 50_000 } else { 1_000_000 }, table));
}

fn millis_of(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A fleet, a plan for it, and the beginning of its run.
struct Fleet {
    picture: Arc<Picture>,
    plan: Arc<Plan>,
    names: Vec<NodeName>,
    begun: Event,
}

fn step_id(number: usize) -> StepId {
    serde_json::from_value(number.into()).expect("a step's id is a number")
}

impl Fleet {
    fn of(nodes: usize) -> Self {
        let names: Vec<NodeName> =
            (0..nodes).map(|at| NodeName::parse(&format!("edge-{at}")).expect("a name")).collect();
        let chunk = nodes.div_ceil(CLUSTERS);
        let clusters: Vec<(ClusterName, Vec<NodeName>)> = names
            .chunks(chunk)
            .enumerate()
            .map(|(at, nodes)| (ClusterName::parse(&format!("cluster-{at}")).expect("a name"), nodes.to_vec()))
            .collect();
        let picture = Arc::new(picture(&clusters));
        let plan = Arc::new(plan(&clusters));
        Self { picture, begun: begun(&clusters, &plan), plan, names }
    }

    /// A storm: steps begin, tell of themselves and end, all over the fleet.
    fn event(&self, seq: u64) -> Event {
        let number = usize::try_from(seq).unwrap_or_default() / 4;
        let node = self.names[number % self.names.len()].clone();
        let step = step_id(number % self.names.len());
        let kind = match seq % 4 {
            0 => EventKind::StepStarted { step, node, action: "deliver".into(), about: "plugin-3".into() },
            1 => EventKind::StepProgressed { step, node, phase: StepPhase::Deliver, text: "64 of 310 KiB".into() },
            2 => EventKind::StepPrinted { step, node, line: "nginx: [notice] signal process started".into() },
            _ => {
                let end = StepEnd::Done { outcome: Outcome::Changed };
                EventKind::StepEnded { step, node, action: "deliver".into(), end }
            }
        };
        Event { seq: seq + 2, at: now(), kind }
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench is a program of its own, whose clock is the system's")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn picture(clusters: &[(ClusterName, Vec<NodeName>)]) -> Picture {
    let marks = |signs: &str| signs.chars().collect::<Vec<_>>().try_into().ok().map(Marks);
    let row = |name: &NodeName| NodeRow {
        name: name.clone(),
        labels: Labels::new(),
        kong: Some("3.9.1".to_owned()),
        cells: (0..PLUGINS).map(|at| marks(if at % 7 == 0 { "~=~=" } else { "====" })).collect(),
        stopped: false,
        standing: muster::survey::Standing::default(),
        state: NodeState {
            mark: '~',
            word: "drift",
            why: "plugin-0: 1 file differs".to_owned(),
            brief: vec!["plugin-0, plugin-7, plugin-14".to_owned(), "3 plugins".to_owned()],
        },
        remarks: vec!["kong.conf: log_level was edited and waits for a reload".to_owned()],
        plugins: vec![(0, vec!["1 file differs".to_owned()])],
    };
    let nodes = clusters.iter().map(|(_, nodes)| nodes.len()).sum();
    Picture {
        looked: now(),
        oldest: now(),
        seen: nodes,
        nodes,
        columns: (0..PLUGINS).map(|at| format!("plugin-{at}")).collect(),
        clusters: clusters
            .iter()
            .map(|(name, nodes)| ClusterRows {
                name: name.clone(),
                topology: "traditional".into(),
                nodes: nodes.iter().map(row).collect(),
            })
            .collect(),
    }
}

fn plan(clusters: &[(ClusterName, Vec<NodeName>)]) -> Plan {
    let change = |nodes: &[NodeName]| Change {
        kind: ChangeKind::Upgrade,
        name: "plugin-0".to_owned(),
        from: Some("1.0.0".to_owned()),
        to: Some("1.1.0".to_owned()),
        detail: "+41 -12 lines in 3 files".to_owned(),
        diff: Vec::new(),
        nodes: nodes.to_vec(),
    };
    let digest = Digest::parse(&"9f".repeat(32)).expect("a digest");
    let step = |(number, (cluster, node)): (usize, (&ClusterName, &NodeName))| Step {
        id: step_id(number),
        cluster: cluster.clone(),
        target: Target::Node(node.clone()),
        phase: Phase::Prepare,
        action: Action::Deliver(Deliver {
            bundle: "plugin-0".parse().expect("a name"),
            digest: digest.clone(),
            repair: false,
        }),
        why: "the inventory wants it".to_owned().into(),
        needs: Vec::new(),
    };
    let all = clusters.iter().flat_map(|(cluster, nodes)| nodes.iter().map(move |node| (cluster, node)));
    let wave = |(at, (cluster, nodes)): (usize, &(ClusterName, Vec<NodeName>))| Wave {
        id: WaveId(u32::try_from(at).unwrap_or_default()),
        cluster: cluster.clone(),
        number: 1,
        nodes: nodes.clone(),
    };
    Plan {
        format: muster::plan::FORMAT,
        basis: Basis {
            repository: "fleet".into(),
            revision: revision(),
            summary: "upgrade".into(),
            branch: Some("main".into()),
            owner: Owner::parse("edge").expect("an owner"),
            selected: muster::plan::Selected::default(),
            surveyed: now(),
            looked: [0; 4],
            nodes: BTreeMap::new(),
        },
        clusters: clusters
            .iter()
            .map(|(cluster, nodes)| ClusterPlan {
                cluster: cluster.clone(),
                topology: "traditional".into(),
                changes: vec![change(nodes)],
                removals: Vec::new(),
                nodes: NodeLists { changing: nodes.clone(), ..NodeLists::default() },
                max_failed: 0,
                at_once: 10,
                max_out: 1,
                soak: 30,
            })
            .collect(),
        steps: all.enumerate().map(step).collect(),
        waves: clusters.iter().enumerate().map(wave).collect(),
        blockers: Vec::new(),
        notes: Vec::new(),
    }
}

fn revision() -> Revision {
    Revision::parse(&"3f2a91c7".repeat(5)).expect("a commit")
}

fn begun(clusters: &[(ClusterName, Vec<NodeName>)], plan: &Plan) -> Event {
    let head = RunHead {
        run: RunId::from_parts(1_795_183_500_000, 7),
        repository: "fleet".into(),
        revision: revision(),
        summary: "upgrade".into(),
        operator: "bench@here".into(),
        steps: plan.steps.len(),
        steps_of: clusters.iter().flat_map(|(_, nodes)| nodes.iter().map(|node| (node.clone(), 1))).collect(),
        cluster_steps: Vec::new(),
        waves: clusters.iter().map(|(cluster, _)| (cluster.clone(), 1)).collect(),
        clusters: clusters.to_vec(),
    };
    Event { seq: 1, at: now(), kind: EventKind::RunStarted { head } }
}

/// A terminal that takes the same bytes as a real one and throws them away; tells when a frame has gone out that moved the
/// cursor's mark.
struct Sink {
    inner: CrosstermBackend<io::Sink>,
    size: Size,
    moved: bool,
    told: Option<UnboundedSender<Instant>>,
}

impl Sink {
    fn new(told: Option<UnboundedSender<Instant>>) -> Self {
        let size = Size::new(SIZE.0, SIZE.1);
        Self { inner: CrosstermBackend::new(io::sink()), size, moved: false, told }
    }
}

impl Backend for Sink {
    type Error = io::Error;

    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, content: I) -> io::Result<()> {
        let mut moved = false;
        let watched = content.inspect(|(x, _, cell)| moved |= *x == 0 && cell.symbol() == "›");
        self.inner.draw(watched)?;
        self.moved |= moved;
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.inner.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.inner.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.inner.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.inner.clear()
    }

    fn clear_region(&mut self, kind: ClearType) -> io::Result<()> {
        self.inner.clear_region(kind)
    }

    fn size(&self) -> io::Result<Size> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size, pixels: Size::default() })
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.inner)?;
        if std::mem::take(&mut self.moved)
            && let Some(told) = &self.told
        {
            let _ = told.send(Instant::now());
        }
        Ok(())
    }
}

/// Does nothing: what would come of it is sent by the bench.
struct Nobody;

impl Driver for Nobody {
    fn look(&self, _: Part) {}
    fn plan(&self, _: Part) {}
    fn apply(&self, _: Arc<Plan>) {}
    fn plan_with(&self, _: Part, _: muster::tui::Edits) {}
    fn save(&self, _: Arc<Plan>, _: String, _: bool) {}
    fn cancel(&self, _: CancelLevel) {}
    fn pause(&self, _: bool) {}
    fn skip(&self, _: NodeName) {}
    fn inspect(&self, _: NodeName) {}
    fn ask(&self, _: NodeName) {}
    fn compare(&self, _: muster::tui::DiffAbout) {}
    fn list_runs(&self) {}
    fn open_run(&self, _: RunId, _: std::path::PathBuf) {}
    fn close_run(&self) {}
}

impl Host for Nobody {
    fn copy(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn suspend(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn resume(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn is_up(&self) -> bool {
        true
    }
}

const SIZE: (u16, u16) = (200, 50);

fn model((width, height): (u16, u16)) -> Model {
    let title = Title {
        repository: "fleet".into(),
        branch: Some("main".into()),
        revision: "3f2a91c".into(),
        summary: "upgrade".into(),
        remark: None,
    };
    Model::new(title, Look::FULL, Size::new(width, height), now())
}

fn press(code: KeyCode) -> Message {
    Message::Input(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

/// Everything that leads to a run of the whole fleet.
fn to_run(fleet: &Fleet) -> Vec<Message> {
    let typed = "aall".chars().map(|c| press(KeyCode::Char(c)));
    let looked = [Message::Looked(Arc::clone(&fleet.picture)), Message::Planned(Arc::clone(&fleet.plan).into())];
    let begun = [press(KeyCode::Enter), Message::Run(Box::new(fleet.begun.clone()))];
    looked.into_iter().chain(typed).chain(begun).collect()
}

/// Tells a model all of this.
fn tell(model: &mut Model, messages: Vec<Message>) {
    for message in messages {
        drop(update(model, message));
    }
}

/// How long each of so many keys took to be seen.
async fn latencies(fleet: &Fleet, keys: usize, stormy: bool) -> Vec<Duration> {
    let (sender, messages) = unbounded_channel();
    let (told, seen) = unbounded_channel();
    let mut model = model(SIZE);
    if stormy {
        tell(&mut model, to_run(fleet));
    } else {
        drop(update(&mut model, Message::Looked(Arc::clone(&fleet.picture))));
    }
    let mut terminal = Terminal::new(Sink::new(Some(told))).expect("a terminal in memory");
    let (times_to, mut times) = unbounded_channel();
    let operator = Box::pin(operator(keys, seen, times_to));
    let over = Arc::new(AtomicBool::new(false));
    let storm = stormy.then(|| storm(fleet, Feed::new(sender.clone()), Arc::clone(&over)));
    let sources = (operator, pending(), messages);
    let _ = run_on(&mut terminal, &mut Nobody, &mut model, sources, (&Nobody, &now)).await;
    over.store(true, Ordering::Relaxed);
    if let Some(storm) = storm {
        let sent = storm.join().expect("the storm does not panic");
        assert!(sent > STORM / 4, "there was no storm: {sent} events");
    }
    drop(sender);
    let mut all = Vec::new();
    while let Ok(time) = times.try_recv() {
        all.push(time);
    }
    all
}

/// Presses down and up by turns, waits until each is seen, and notes how long that took.
fn operator(
    keys: usize,
    seen: UnboundedReceiver<Instant>,
    times: UnboundedSender<Duration>,
) -> impl futures_util::Stream<Item = io::Result<Input>> {
    unfold((0, seen, times, None::<Instant>), move |(at, mut seen, times, sent)| async move {
        if let Some(sent) = sent {
            // What was drawn before the key is not its frame.
            while let Some(when) = seen.recv().await {
                if when > sent {
                    let _ = times.send(when - sent);
                    break;
                }
            }
        }
        if at == keys {
            return Some((Err(io::Error::other("the end")), (at, seen, times, None)));
        }
        tokio::time::sleep(BETWEEN).await;
        let code = if at % 2 == 0 { KeyCode::Down } else { KeyCode::Up };
        let key = Input::Key(KeyEvent::new(code, KeyModifiers::NONE));
        Some((Ok(key), (at + 1, seen, times, Some(Instant::now()))))
    })
}

/// Sends events from a thread of its own, and says how many there were.
fn storm(fleet: &Fleet, feed: Feed, over: Arc<AtomicBool>) -> std::thread::JoinHandle<usize> {
    let events: Vec<Event> = (0..40_000).map(|seq| fleet.event(seq)).collect();
    std::thread::spawn(move || {
        let begun = Instant::now();
        let mut sent = 0;
        while !over.load(Ordering::Relaxed) {
            let due = begun.elapsed().as_millis() * (STORM as u128) / 1000;
            while (sent as u128) < due {
                let mut event = events[sent % events.len()].clone();
                event.seq = sent as u64 + 2;
                feed.event(&event);
                sent += 1;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        sent
    })
}

/// One frame of each screen, all of it drawn, at the largest size.
fn frames(fleet: &Fleet, table: &mut Table) {
    let keys = |text: &str| text.chars().map(|c| press(KeyCode::Char(c))).collect::<Vec<_>>();
    let looked = || vec![Message::Looked(Arc::clone(&fleet.picture))];
    let planned = || [looked(), vec![Message::Planned(Arc::clone(&fleet.plan).into())]].concat();
    let screens = [
        ("fleet", looked()),
        ("fleet, filtered", [looked(), keys("/edge-*"), vec![press(KeyCode::Enter)]].concat()),
        ("node", [looked(), keys("j"), vec![press(KeyCode::Enter)]].concat()),
        ("plan", planned()),
        ("question", [planned(), keys("a")].concat()),
        ("run", to_run(fleet)),
        ("help", [looked(), keys("?")].concat()),
        ("palette", [looked(), keys(":")].concat()),
    ];
    for (name, script) in screens {
        let mut model = model((300, 80));
        tell(&mut model, script);
        let mut times: Vec<Duration> = (0..40).map(|_| one_frame(&model)).collect();
        times.sort_unstable();
        table.below(format!("one frame at 300x80: {name}"), millis_of(times[times.len() / 2]), GOAL, " ms");
    }
}

fn one_frame(model: &Model) -> Duration {
    let mut terminal = Terminal::new(TestBackend::new(300, 80)).expect("a terminal in memory");
    let begun = Instant::now();
    terminal.draw(|frame| draw(model, frame)).expect("memory can be drawn on");
    begun.elapsed()
}

/// A million lines of a megabyte each, faster than anybody reads: how much larger the process becomes.
async fn memory(fleet: &Fleet, lines: usize, table: &mut Table) {
    let (sender, messages) = unbounded_channel();
    let mut model = model(SIZE);
    tell(&mut model, to_run(fleet));
    let node = fleet.names[0].clone();
    let line = "x".repeat(1 << 20);
    let event = Event { seq: 1, at: now(), kind: EventKind::StepPrinted { step: step_id(0), node, line } };
    let before = resident();
    let feed = Feed::new(sender);
    let begun = Instant::now();
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    let teller = std::thread::spawn(move || {
        let mut most = 0;
        for at in 0..lines {
            feed.event(&event);
            if at % 1_000 == 0 {
                most = most.max(resident());
            }
        }
        drop(ended);
        most.max(resident())
    });
    let mut terminal = Terminal::new(Sink::new(None)).expect("a terminal in memory");
    let keys = Box::pin(unfold(Some(end), |end| async move {
        let _ = end?.await;
        Some((Err(io::Error::other("the end")), None))
    }));
    let _ = run_on(&mut terminal, &mut Nobody, &mut model, (keys, pending(), messages), (&Nobody, &now)).await;
    let most = teller.join().expect("the lines do not panic");
    let grown = most.saturating_sub(before);
    table.below(
        format!("{lines} lines of 1 MB: memory grown by"),
        f64::from(u32::try_from(grown).unwrap_or(u32::MAX)),
        100.0,
        " MB",
    );
    table.note(format!("{lines} lines of 1 MB: taken in"), format!("{} ms", millis(begun.elapsed())));
}
