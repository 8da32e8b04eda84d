//! The terminal UI: the same fleet, driven by keys.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::equal::CarryingReporter;
use super::recordings::Recordings;
use super::session::Session;
use super::{Clock, Env, Output, Signals};
use crate::execute::Control;
use crate::exit;
use crate::failure::Failure;
use crate::fleet::{Apply, Fleet, Picture};
use crate::hint::Hint;
use crate::inventory::Selector;
use crate::name::{NodeName, RunId, collapse};
use crate::plan::{Allow, Plan, Selection};
use crate::report::text;
use crate::run::{CancelLevel, Event, Reporter, RunState, Verdict};
use crate::tui::{
    self, DiffAbout, Doing, Driver, Edits, Equal, Feed, Look, Made, MadeFrom, Message, Notice, Opening, Part, Saved,
    Title,
};

/// Half of the time that a run is given to end after the screen was left: long enough for a commit that is under way.
const HALF: Duration = Duration::from_secs(15);

/// Opens it, and comes back when it was left. The exit code is that of the last run, 0 if there was none.
pub(super) async fn run(session: Session<'_>, demo: Option<String>, keys: Arc<tui::Keys>) -> Result<u8, Failure> {
    let Session { env, options, fleet, selection, allow, control, demo: demo_is_on } = session;
    if !env.terminal {
        let mut failure = Failure::usage("the terminal UI needs a terminal for input and output");
        let hints = [Hint::type_("muster --plan"), Hint::type_("muster status")];
        failure.hints = hints.map(|hint| super::equal::carried(hint, &options, demo_is_on)).into();
        return Err(failure);
    }
    let (sender, messages) = unbounded_channel();
    let recordings = Arc::new(Recordings::new(super::runs::places(&options, env), sender.clone()));
    let driver = FleetDriver(Arc::new(Shared {
        recordings: recordings.clone(),
        runs: env.state_dir().join("runs"),
        operator: env.operator(),
        clock: env.clock.clone(),
        picture: Mutex::new(None),
        control: Mutex::new(control),
        run: Mutex::new(None),
        last: Mutex::new(None),
        sender: sender.clone(),
        fleet: fleet.clone(),
        planned: Mutex::new((selection.clone(), allow.clone())),
        dir: env.dir.clone(),
        selection,
        allow,
        options,
        demo: demo_is_on,
    }));
    let opening = opening((&driver.0, demo, keys), env);
    let clock = env.clock.clone();
    let ended = tui::run(opening, (sender, messages), &driver, &*clock).await;
    recordings.stop();
    // However the screen was left: a run that is on has to come to its end, and its journal to the disk.
    let settled = driver.settle(&mut env.err).await;
    let ended = ended.map_err(|error| Failure::internal("drawing on the terminal", &error))?;
    if let Some(died) = ended.died {
        return Err(Failure::internal("the terminal UI ended early", &std::io::Error::other(died)));
    }
    let last = driver.0.last().filter(|_| settled);
    farewell(env, last.as_ref(), ended.verdict, demo_is_on);
    Ok(match last.map(|state| Verdict::of(&state)).or(ended.verdict) {
        Some(verdict) => verdict.exit(),
        None if ended.signal.is_some() => exit::INTERRUPTED,
        None => exit::IN_LINE,
    })
}

/// The last word stays on the terminal when the screen is gone: the same as a headless run ends with.
fn farewell(env: &mut Env, last: Option<&RunState>, verdict: Option<Verdict>, demo: bool) {
    let written = match (last, verdict) {
        (Some(state), _) => {
            // The journal of a demo is gone with it.
            let head = state.head.as_ref().filter(|_| !demo);
            let ticket = head.map(|head| format!("; for a ticket: muster runs {} --ticket", head.run));
            writeln!(env.out, "{}{}", text::last_word(Verdict::of(state), state), ticket.unwrap_or_default())
        }
        (None, Some(verdict)) => text::verdict(verdict, &mut env.out),
        (None, None) => writeln!(env.out, "no run was begun; nothing was changed"),
    };
    // Only for the eye; the exit code says it too.
    drop(written);
}

/// What the screen is opened with.
fn opening((shared, demo, keys): (&Shared, Option<String>, Arc<tui::Keys>), env: &Env) -> Opening {
    let state = env.vars.get("XDG_STATE_HOME").filter(|_| shared.demo).cloned();
    Opening {
        title: title(&shared.fleet, demo),
        look: Look::from_environment(|name| env.vars.get(name).cloned()),
        keys,
        read_only: shared.options.read_only,
        carry: Arc::new(super::equal::Carried { options: shared.options.clone(), demo: shared.demo, state }),
    }
}

fn title(fleet: &Fleet, demo: Option<String>) -> Title {
    let origin = &fleet.desired.origin;
    let uncommitted = match fleet.desired.dirty.len() {
        0 => None,
        1 => Some("1 file not committed, not used".to_owned()),
        more => Some(format!("{more} files not committed, not used")),
    };
    Title {
        repository: origin.repository.clone(),
        branch: origin.branch.clone(),
        revision: origin.revision.short().to_owned(),
        summary: origin.summary.clone(),
        remark: demo.map(|about| format!("demo: {about}")).or(uncommitted),
    }
}

struct FleetDriver(Arc<Shared>);

struct Shared {
    fleet: Arc<Fleet>,
    selection: Selection,
    /// What the last plan was made for, with what was lifted: afterwards only that has to be in line.
    planned: Mutex<(Selection, Vec<Allow>)>,
    /// Where files are named from.
    dir: PathBuf,
    allow: Vec<Allow>,
    /// As they were given.
    options: super::Options,
    /// The demo fleet is looked at.
    demo: bool,
    operator: String,
    runs: PathBuf,
    /// What was recorded before.
    recordings: Arc<Recordings>,
    clock: Clock,
    picture: Mutex<Option<Picture>>,
    control: Mutex<Control>,
    /// The task of the run that was begun last.
    run: Mutex<Option<JoinHandle<()>>>,
    /// How the run that ended last has ended.
    last: Mutex<Option<RunState>>,
    sender: UnboundedSender<Message>,
}

impl Shared {
    fn send(&self, message: Message) {
        // Nobody listens any more once the screen was left.
        drop(self.sender.send(message));
    }

    fn picture(&self) -> Option<Picture> {
        self.picture.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, picture: Picture) {
        let (seen, ..) = picture.survey.counts();
        let shown = tui::Picture::of(&picture.diff, picture.survey.at, seen);
        let shown = shown.with_rows(&picture.diff, &picture.survey).with_labels(self.fleet.inventory());
        *self.picture.lock().unwrap_or_else(PoisonError::into_inner) = Some(picture);
        self.send(Message::Looked(Arc::new(shown)));
    }

    fn failed(&self, doing: Doing, text: String, hints: Vec<Hint>) {
        let notice = Notice { text, details: Vec::new(), hints };
        self.send(Message::Failed { doing, notice });
    }

    fn last(&self) -> Option<RunState> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn control(&self) -> Control {
        self.control.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn nodes(&self, part: &Part) -> Option<BTreeSet<NodeName>> {
        match part {
            Part::All => None,
            Part::Node(node) => Some([node.clone()].into()),
            Part::Nodes(nodes) => Some(nodes.clone()),
            Part::Cluster(cluster) => {
                let cluster = self.fleet.inventory().clusters.get(cluster)?;
                Some(cluster.nodes.keys().cloned().collect())
            }
        }
    }

    /// How many of these nodes are looked at: those that are marked `out` are not.
    fn in_service(&self, nodes: &BTreeSet<NodeName>) -> usize {
        let is_out = |node: &NodeName| self.fleet.inventory().node(node).is_none_or(|node| node.out.is_some());
        nodes.iter().filter(|node| !is_out(node)).count()
    }

    /// What the command line chose, narrowed to a part; the part's name if it is outside of that.
    fn selection(&self, part: &Part) -> Result<Selection, String> {
        let mut selection = self.selection.clone();
        match part {
            Part::All => {}
            Part::Cluster(cluster) => {
                if !selection.cluster(cluster) {
                    return Err(cluster.to_string());
                }
                selection.clusters = Selector::parse_names(cluster.as_str()).ok();
            }
            Part::Node(node) => {
                let known = self.fleet.inventory().node(node);
                if !known.is_some_and(|node| selection.node(node)) {
                    return Err(node.to_string());
                }
                selection.nodes = Selector::parse(node.as_str()).ok();
            }
            Part::Nodes(nodes) => {
                let known =
                    |node: &&NodeName| self.fleet.inventory().node(node).is_some_and(|node| selection.node(node));
                let outside: Vec<&NodeName> = nodes.iter().filter(|node| !known(node)).collect();
                if !outside.is_empty() {
                    return Err(collapse(outside));
                }
                selection.nodes = Some(Selector::of_nodes(nodes).map_err(|error| error.to_string())?);
            }
        }
        Ok(selection)
    }

    async fn look(&self, part: Part) {
        let at = (self.clock)();
        let some = self.nodes(&part).zip(self.picture());
        let of = some.as_ref().map_or(self.fleet.len(), |(nodes, _)| self.in_service(nodes));
        let done = std::sync::atomic::AtomicUsize::new(0);
        let progress = |_: &NodeName, _: &crate::survey::NodeSurvey| {
            let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            self.send(Message::Looking { done, of });
        };
        let picture = match some {
            Some((nodes, before)) => self.fleet.look_again(before.survey, &nodes, at, &progress).await,
            None => self.fleet.look(at, &progress).await,
        };
        self.keep(picture);
    }

    async fn plan(&self, part: &Part, edits: Edits) {
        match self.picture() {
            None => self.failed(Doing::Plan, "nothing was looked at yet".to_owned(), Vec::new()),
            Some(picture) => self.plan_of(part, edits, picture).await,
        }
    }

    async fn plan_of(&self, part: &Part, edits: Edits, mut picture: Picture) {
        let selection = match self.selection(part) {
            Ok(selection) => selection,
            Err(name) => {
                let text = format!("{name} is outside of what was chosen when muster was started");
                let hint = Hint::do_("leave, and start it without --cluster and --node, or with others");
                return self.failed(Doing::Plan, text, vec![hint]);
            }
        };
        let selection = match self.without(&selection, &edits) {
            Ok(selection) => selection,
            Err(why) => {
                let hint =
                    Hint::do_("leave out its nodes instead: only what the inventory names can be left out by name");
                return self.failed(Doing::Plan, format!("it cannot be left out: {why}"), vec![hint]);
            }
        };
        let mut allow = self.allow.clone();
        allow.extend(edits.allow.iter().filter(|lifted| !self.allow.contains(lifted)).cloned());
        *self.planned.lock().unwrap_or_else(PoisonError::into_inner) = (selection.clone(), allow.clone());
        let options = super::equal::edited(&self.options, &selection, &allow);
        let equal =
            Equal { plan: super::equal::plan(&options, self.demo), apply: super::equal::apply(&options, self.demo) };
        let plan = self.fleet.plan_closely(&mut picture, selection, allow).await;
        let plan = Arc::new(super::equal::carry_plan(plan, &options, self.demo));
        let from = MadeFrom { part: part.clone(), edits, equal };
        self.send(Message::Planned(Made { plan, from }));
    }

    /// A selection without what was left out, as the command line says it too.
    fn without(&self, selection: &Selection, edits: &Edits) -> Result<Selection, String> {
        let nodes = collapse(&edits.nodes);
        let nodes: Vec<&str> = nodes.split(", ").filter(|range| !range.is_empty()).collect();
        let clusters = edits.clusters.iter().map(crate::name::ClusterName::as_str);
        let out = |of: &Option<Selector>, names: Vec<&str>| {
            Selector::without(of.as_ref(), names).map_err(|error| error.to_string())
        };
        let selection = Selection {
            clusters: out(&selection.clusters, clusters.collect())?,
            nodes: out(&selection.nodes, nodes)?,
            plugins: out(&selection.plugins, edits.plugins.iter().map(String::as_str).collect())?,
            unproven: selection.unproven,
        };
        super::session::known(&selection, &self.fleet.desired).map_err(|failure| failure.text)?;
        Ok(selection)
    }

    /// Saves a plan; what stands there already is asked about, or refused.
    fn save(&self, plan: &Plan, file: String, replace: bool) {
        use super::save::{Found, found, save};
        let path = self.dir.join(&file);
        let saved = if found(&path) == Found::Plan && !replace {
            Saved::There(file)
        } else {
            match save(plan, &path) {
                Ok(()) => Saved::Written(file),
                Err(failure) => {
                    Saved::Refused(Notice { text: failure.text, details: failure.because, hints: failure.hints })
                }
            }
        };
        self.send(Message::Saved(saved));
    }

    async fn apply(&self, plan: Arc<Plan>, control: Control) {
        if self.options.read_only {
            return self.failed(
                Doing::Apply,
                tui::READ_ONLY.to_owned(),
                vec![Hint::do_("start muster without --read-only")],
            );
        }
        let Some(picture) = self.picture() else {
            return self.failed(Doing::Apply, "nothing was looked at yet".to_owned(), Vec::new());
        };
        let (selection, allow) = self.planned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let apply = Apply {
            plan,
            picture,
            selection,
            allow,
            operator: self.operator.clone(),
            runs: self.runs.clone(),
            reporters: vec![Box::new(CarryingReporter::new(
                Screen(Feed::new(self.sender.clone())),
                &self.options,
                self.demo,
            ))],
            control,
            clock: self.clock.clone(),
        };
        match self.fleet.apply(apply).await {
            Ok(applied) => {
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(applied.state);
                if let Some(picture) = applied.picture {
                    self.keep(picture);
                }
            }
            Err(error) => {
                let text = Failure::internal("beginning the run", &error).because.join(": ");
                self.failed(Doing::Apply, text, Vec::new());
            }
        }
    }
}

impl Shared {
    fn inspect(&self, node: &NodeName) {
        let Some(picture) = self.picture() else { return };
        if let Some(mut inspection) = self.fleet.inspection(&picture, node, self.allow.clone()) {
            super::equal::carry(inspection.hints.iter_mut(), &self.options, self.demo);
            self.send(Message::Inspected(Arc::new(inspection)));
        }
    }

    async fn ask(&self, node: NodeName) {
        let answer = match self.picture() {
            Some(picture) => self.fleet.closer(&picture, &node, &*self.clock).await.map(Arc::new),
            None => return,
        };
        let answer = answer.map_err(|cause| self.notice(cause));
        self.send(Message::Answered(node, answer));
    }

    async fn compare(&self, about: DiffAbout) {
        let DiffAbout::Files(node, plugin, path) = &about else { return };
        let Some(picture) = self.picture() else { return };
        let files = self.fleet.compare(&picture, node, plugin, path.as_deref()).await;
        let files = files.map(|files| Arc::new(files.into_iter().map(Arc::new).collect()));
        let answer = files.map_err(|cause| self.notice(cause));
        self.send(Message::Compared(about, answer));
    }

    fn notice(&self, mut cause: crate::run::Cause) -> Notice {
        super::equal::carry(cause.hints.iter_mut(), &self.options, self.demo);
        Notice { text: cause.text, details: cause.details, hints: cause.hints }
    }
}

/// Hands a run's events to the screen.
struct Screen(Feed);

impl Reporter for Screen {
    fn event(&mut self, event: &Event, _: &RunState) {
        self.0.event(event);
    }
}

impl FleetDriver {
    /// Runs something beside the screen. A panic in it ends the screen properly, as nothing shown could be relied on.
    fn beside<F>(&self, work: impl FnOnce(Arc<Shared>) -> F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shared = self.0.clone();
        let work = AssertUnwindSafe(work(self.0.clone())).catch_unwind();
        tokio::task::spawn(async move {
            if work.await.is_err() {
                shared.send(Message::Died("a task of muster panicked".to_owned()));
            }
        })
    }

    /// Waits for the run that is on, if one is: cancels it, harder after half of the time. False: it did not end in time.
    /// What it changed is then settled by the guards on the nodes.
    async fn settle(&self, err: &mut Output) -> bool {
        let run = self.0.run.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut run) = run.filter(|run| !run.is_finished()) else { return true };
        let control = self.0.control();
        control.cancel(CancelLevel::LeaveSteps);
        // Only for the eye.
        drop(writeln!(
            err,
            "waiting for the run to end, up to {} s; Ctrl-C closes its connections",
            2 * HALF.as_secs()
        ));
        let listener = tokio::task::spawn(super::session::listen(Signals::Process, control.clone()));
        let mut ended = tokio::time::timeout(HALF, &mut run).await.is_ok();
        if !ended {
            control.cancel(CancelLevel::Close);
            ended = tokio::time::timeout(HALF, &mut run).await.is_ok();
        }
        listener.abort();
        if !ended {
            drop(writeln!(err, "the run did not end; see what its nodes are with: muster status"));
        }
        ended
    }
}

impl Driver for FleetDriver {
    fn look(&self, part: Part) {
        drop(self.beside(|shared| async move { shared.look(part).await }));
    }

    fn plan(&self, part: Part) {
        self.plan_with(part, Edits::default());
    }

    fn plan_with(&self, part: Part, edits: Edits) {
        drop(self.beside(|shared| async move { shared.plan(&part, edits).await }));
    }

    fn save(&self, plan: Arc<Plan>, file: String, replace: bool) {
        drop(self.beside(|shared| async move { shared.save(&plan, file, replace) }));
    }

    fn apply(&self, plan: Arc<Plan>) {
        // Before anything else can be asked for: a key that is pressed at once is meant for this run.
        let control = Control::new();
        *self.0.control.lock().unwrap_or_else(PoisonError::into_inner) = control.clone();
        let run = self.beside(|shared| async move { shared.apply(plan, control).await });
        *self.0.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
    }

    fn cancel(&self, level: CancelLevel) {
        self.0.control().cancel(level);
    }

    fn inspect(&self, node: NodeName) {
        drop(self.beside(|shared| async move { shared.inspect(&node) }));
    }

    fn ask(&self, node: NodeName) {
        drop(self.beside(|shared| async move { shared.ask(node).await }));
    }

    fn compare(&self, about: DiffAbout) {
        drop(self.beside(|shared| async move { shared.compare(about).await }));
    }

    fn list_runs(&self) {
        let recordings = self.0.recordings.clone();
        // It ends when another is asked for; a panic is told by the hook of the screen.
        drop(tokio::task::spawn_blocking(move || recordings.list()));
    }

    fn open_run(&self, run: RunId, journal: PathBuf) {
        drop(self.beside(|shared| shared.recordings.clone().open(run, journal)));
    }

    fn close_run(&self) {
        self.0.recordings.close();
    }

    fn pause(&self, paused: bool) {
        let control = self.0.control();
        if paused { control.pause() } else { control.resume() }
    }

    fn skip(&self, node: NodeName) {
        self.0.control().skip(&node);
    }
}
