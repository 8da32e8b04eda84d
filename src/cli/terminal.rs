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

use super::equal::Carried;
use super::session::Session;
use super::{Clock, Env, Output, Signals};
use crate::execute::Control;
use crate::exit;
use crate::failure::Failure;
use crate::fleet::{Apply, Fleet, Picture};
use crate::hint::Hint;
use crate::inventory::Selector;
use crate::name::NodeName;
use crate::plan::{Allow, Plan, Selection};
use crate::report::text;
use crate::run::{CancelLevel, Event, Reporter, RunState, Verdict};
use crate::tui::{self, Doing, Driver, Look, Message, Notice, Part, Title};

/// Half of the time that a run is given to end after the screen was left: long enough for a commit that is under way.
const HALF: Duration = Duration::from_secs(15);

/// Opens it, and comes back when it was left. The exit code is that of the last run, 0 if there was none.
pub(super) async fn run(session: Session<'_>, demo: Option<String>) -> Result<u8, Failure> {
    let Session { env, options, fleet, selection, allow, control, demo: demo_is_on } = session;
    if !env.terminal {
        let mut failure = Failure::usage("the terminal UI needs a terminal for input and output");
        let hints = [Hint::type_("muster --plan"), Hint::type_("muster status")];
        failure.hints = hints.map(|hint| super::equal::carried(hint, &options, demo_is_on)).into();
        return Err(failure);
    }
    let (sender, messages) = unbounded_channel();
    let driver = FleetDriver(Arc::new(Shared {
        runs: env.state_dir().join("runs"),
        operator: env.operator(),
        clock: env.clock.clone(),
        picture: Mutex::new(None),
        control: Mutex::new(control),
        run: Mutex::new(None),
        last: Mutex::new(None),
        sender: sender.clone(),
        fleet: fleet.clone(),
        planned: Mutex::new(selection.clone()),
        selection,
        allow,
        options,
        demo: demo_is_on,
    }));
    let look = Look::from_environment(|name| env.vars.get(name).cloned());
    let clock = env.clock.clone();
    let places = super::equal::placed("", &driver.0.options);
    let title = Title { places, ..title(&fleet, demo) };
    let ended = tui::run((title, look), (sender, messages), &driver, &*clock).await;
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
        places: String::new(),
    }
}

struct FleetDriver(Arc<Shared>);

struct Shared {
    fleet: Arc<Fleet>,
    selection: Selection,
    /// What the last plan was made for: afterwards only that has to be in line.
    planned: Mutex<Selection>,
    allow: Vec<Allow>,
    /// As they were given.
    options: super::Options,
    /// The demo fleet is looked at.
    demo: bool,
    operator: String,
    runs: PathBuf,
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
            Part::Nodes(nodes) => Some(nodes.iter().cloned().collect()),
            Part::Cluster(cluster) => {
                let cluster = self.fleet.inventory().clusters.get(cluster)?;
                Some(cluster.nodes.keys().cloned().collect())
            }
        }
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
                let inventory = self.fleet.inventory();
                let outside = |node: &&NodeName| !inventory.node(node).is_some_and(|node| selection.node(node));
                if let Some(node) = nodes.iter().find(outside) {
                    return Err(node.to_string());
                }
                let names: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
                selection.nodes = Selector::parse(&names.join(",")).ok();
            }
        }
        Ok(selection)
    }

    async fn look(&self, part: Part) {
        let at = (self.clock)();
        let picture = if let (Some(nodes), Some(before)) = (self.nodes(&part), self.picture()) {
            self.fleet.look_again(before.survey, &nodes, at).await
        } else {
            let of = self.fleet.len();
            let done = std::sync::atomic::AtomicUsize::new(0);
            let progress = |_: &NodeName, _: &crate::survey::NodeSurvey| {
                let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                self.send(Message::Looking { done, of });
            };
            self.fleet.look(at, &progress).await
        };
        self.keep(picture);
    }

    fn plan(&self, part: &Part) {
        match self.picture() {
            None => self.failed(Doing::Plan, "nothing was looked at yet".to_owned(), Vec::new()),
            Some(picture) => self.plan_of(part, &picture),
        }
    }

    fn plan_of(&self, part: &Part, picture: &Picture) {
        match self.selection(part) {
            Ok(selection) => {
                *self.planned.lock().unwrap_or_else(PoisonError::into_inner) = selection.clone();
                let plan = self.fleet.plan(picture, selection, self.allow.clone());
                let plan = super::equal::carry_plan(plan, &self.options, self.demo);
                self.send(Message::Planned(Arc::new(plan)));
            }
            Err(name) => {
                let text = format!("{name} is outside of what was chosen when muster was started");
                let hint = Hint::do_("leave, and start it without --cluster and --node, or with others");
                self.failed(Doing::Plan, text, vec![hint]);
            }
        }
    }

    async fn apply(&self, plan: Arc<Plan>, control: Control) {
        let Some(picture) = self.picture() else {
            return self.failed(Doing::Apply, "nothing was looked at yet".to_owned(), Vec::new());
        };
        let apply = Apply {
            plan,
            picture,
            selection: self.planned.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            allow: self.allow.clone(),
            operator: self.operator.clone(),
            runs: self.runs.clone(),
            reporters: vec![Box::new(Carried::new(Screen(self.sender.clone()), &self.options, self.demo))],
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

/// Hands a run's events to the screen.
struct Screen(UnboundedSender<Message>);

impl Reporter for Screen {
    fn event(&mut self, event: &Event, _: &RunState) {
        // The run goes on when the screen was left; the journal has it.
        drop(self.0.send(Message::Run(Box::new(event.clone()))));
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
        drop(self.beside(|shared| async move { shared.plan(&part) }));
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

    fn pause(&self, paused: bool) {
        let control = self.0.control();
        if paused { control.pause() } else { control.resume() }
    }

    fn skip(&self, node: NodeName) {
        self.0.control().skip(&node);
    }
}
