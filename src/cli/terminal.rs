//! The terminal UI: the same fleet, driven by keys.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::session::Session;
use super::{Clock, Env};
use crate::execute::Control;
use crate::exit;
use crate::failure::Failure;
use crate::fleet::{Apply, Fleet, Picture};
use crate::hint::Hint;
use crate::inventory::Selector;
use crate::name::NodeName;
use crate::plan::{Allow, Plan, Selection};
use crate::run::{CancelLevel, Event, Reporter, RunState};
use crate::tui::{self, Doing, Driver, Look, Message, Notice, Part, Title};

/// Opens it, and comes back when it was left. The exit code is that of the last run, 0 if there was none.
pub(super) async fn run(session: Session<'_>, demo: bool) -> Result<u8, Failure> {
    let Session { env, fleet, selection, allow, control, .. } = session;
    if !env.terminal {
        let mut failure = Failure::usage("the terminal UI needs a terminal for input and output");
        failure.hints = vec![Hint::type_("muster --plan"), Hint::type_("muster status")];
        return Err(failure);
    }
    let (sender, messages) = unbounded_channel();
    let driver = FleetDriver(Arc::new(Shared {
        runs: env.state_dir().join("runs"),
        operator: env.operator(),
        clock: env.clock.clone(),
        picture: Mutex::new(None),
        control: Mutex::new(control),
        sender: sender.clone(),
        fleet: fleet.clone(),
        selection,
        allow,
    }));
    let look = Look::from_environment(|name| env.vars.get(name).cloned());
    let clock = env.clock.clone();
    let ended = tui::run((title(&fleet, demo), look), (sender, messages), &driver, &*clock).await;
    let ended = ended.map_err(|error| Failure::internal("drawing on the terminal", &error))?;
    if let Some(died) = ended.died {
        return Err(Failure::internal("the terminal UI ended early", &std::io::Error::other(died)));
    }
    farewell(env, ended.verdict);
    Ok(ended
        .verdict
        .map_or(if ended.signal.is_some() { exit::INTERRUPTED } else { exit::IN_LINE }, crate::run::Verdict::exit))
}

/// The last word stays on the terminal when the screen is gone.
fn farewell(env: &mut Env, verdict: Option<crate::run::Verdict>) {
    use std::io::Write as _;
    if let Some(verdict) = verdict {
        // Only for the eye.
        drop(writeln!(env.out, "verdict: {}   exit {}", verdict.word(), verdict.exit()));
    }
}

fn title(fleet: &Fleet, demo: bool) -> Title {
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
        remark: if demo { Some("demo: stand-in gateways".to_owned()) } else { uncommitted },
    }
}

struct FleetDriver(Arc<Shared>);

struct Shared {
    fleet: Arc<Fleet>,
    selection: Selection,
    allow: Vec<Allow>,
    operator: String,
    runs: PathBuf,
    clock: Clock,
    picture: Mutex<Option<Picture>>,
    control: Mutex<Control>,
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
        *self.picture.lock().unwrap_or_else(PoisonError::into_inner) = Some(picture);
        self.send(Message::Looked(Arc::new(shown)));
    }

    fn failed(&self, doing: Doing, text: String) {
        let notice = Notice { text, details: Vec::new(), hints: Vec::new() };
        self.send(Message::Failed { doing, notice });
    }

    fn nodes(&self, part: &Part) -> Option<BTreeSet<NodeName>> {
        match part {
            Part::All => None,
            Part::Node(node) => Some([node.clone()].into()),
            Part::Cluster(cluster) => {
                let cluster = self.fleet.inventory().clusters.get(cluster)?;
                Some(cluster.nodes.keys().cloned().collect())
            }
        }
    }

    /// What the command line chose, narrowed to a part.
    fn selection(&self, part: &Part) -> Selection {
        let mut selection = self.selection.clone();
        match part {
            Part::All => {}
            Part::Cluster(cluster) if selection.cluster(cluster) => {
                selection.clusters = Selector::parse_names(cluster.as_str()).ok();
            }
            Part::Node(node) if self.fleet.inventory().node(node).is_some_and(|node| selection.node(node)) => {
                selection.nodes = Selector::parse(node.as_str()).ok();
            }
            // Outside of what the command line chose: the whole of that stays chosen.
            Part::Cluster(_) | Part::Node(_) => {}
        }
        selection
    }

    async fn look(&self, part: Part) {
        let at = (self.clock)();
        let picture = match (self.nodes(&part), self.picture()) {
            (Some(nodes), Some(before)) => self.fleet.look_again(before.survey, &nodes, at).await,
            _ => {
                let of = self.fleet.len();
                let done = std::sync::atomic::AtomicUsize::new(0);
                let progress = |_: &NodeName, _: &crate::survey::NodeSurvey| {
                    let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                    self.send(Message::Looking { done, of });
                };
                self.fleet.look(at, &progress).await
            }
        };
        self.keep(picture);
    }

    fn plan(&self, part: &Part) {
        match self.picture() {
            None => self.failed(Doing::Plan, "nothing was looked at yet".to_owned()),
            Some(picture) => {
                let plan = self.fleet.plan(&picture, self.selection(part), self.allow.clone());
                self.send(Message::Planned(Arc::new(plan)));
            }
        }
    }

    async fn apply(&self, plan: Arc<Plan>) {
        let Some(picture) = self.picture() else {
            return self.failed(Doing::Apply, "nothing was looked at yet".to_owned());
        };
        let control = Control::new();
        *self.control.lock().unwrap_or_else(PoisonError::into_inner) = control.clone();
        let apply = Apply {
            plan,
            picture,
            selection: self.selection.clone(),
            allow: self.allow.clone(),
            operator: self.operator.clone(),
            runs: self.runs.clone(),
            reporters: vec![Box::new(Screen(self.sender.clone()))],
            control,
            clock: self.clock.clone(),
        };
        match self.fleet.apply(apply).await {
            Ok(applied) => {
                if let Some(picture) = applied.picture {
                    self.keep(picture);
                }
            }
            Err(error) => self.failed(Doing::Apply, Failure::internal("beginning the run", &error).because.join(": ")),
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
    fn beside<F>(&self, work: impl FnOnce(Arc<Shared>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shared = self.0.clone();
        let work = AssertUnwindSafe(work(self.0.clone())).catch_unwind();
        tokio::task::spawn(async move {
            if work.await.is_err() {
                shared.send(Message::Died("a task of muster panicked".to_owned()));
            }
        });
    }
}

impl Driver for FleetDriver {
    fn look(&self, part: Part) {
        self.beside(|shared| async move { shared.look(part).await });
    }

    fn plan(&self, part: Part) {
        self.beside(|shared| async move { shared.plan(&part) });
    }

    fn apply(&self, plan: Arc<Plan>) {
        self.beside(|shared| async move { shared.apply(plan).await });
    }

    fn cancel(&self, level: CancelLevel) {
        self.0.control.lock().unwrap_or_else(PoisonError::into_inner).cancel(level);
    }
}
