//! A made-up fleet, a plan for it, and a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use muster::action::{Action, Activate, Delete, Deliver, Fence, NodeBasis, ReloadWay, Unapply, Withdrawal};
use muster::hint::Hint;
use muster::name::{ClusterName, Digest, NodeName, Owner, PluginName, Revision, RunId};
use muster::plan::{
    Basis, Blocker, BlockerCode, Change, ChangeKind, ClusterPlan, NodeLists, Note, Phase, Plan, Removal, Scope, Step,
    StepId, Target, Wave, WaveId,
};
use muster::run::{Cause, Event, EventKind, Outcome, RunHead, StepEnd, StepPhase, SurveyCounts, Verdict, Waiting};
use muster::survey::PluginRow;
use muster::tui::{ClusterRows, Marks, Message, NodeRow, NodeState, Picture};

use super::script::{Act, start};

pub(super) fn node(name: &str) -> NodeName {
    NodeName::parse(name).expect("a node's name")
}

pub(super) fn cluster(name: &str) -> ClusterName {
    ClusterName::parse(name).expect("a cluster's name")
}

pub(super) fn nodes(names: &[&str]) -> Vec<NodeName> {
    names.iter().map(|name| node(name)).collect()
}

pub(super) fn step_id(number: u32) -> StepId {
    serde_json::from_value(number.into()).expect("a step id is a number")
}

fn revision() -> Revision {
    Revision::parse(&"3f2a91c7".repeat(5)).expect("a commit")
}

fn marks(signs: &str) -> Option<Marks> {
    let signs: Vec<char> = signs.chars().collect();
    signs.try_into().ok().map(Marks)
}

fn row(name: &str, kong: Option<&str>, cells: [&str; 3], (mark, word, why): (char, &'static str, &str)) -> NodeRow {
    NodeRow {
        name: node(name),
        labels: muster::inventory::Labels::new(),
        kong: kong.map(str::to_owned),
        cells: cells.into_iter().map(marks).collect(),
        stopped: false,
        state: NodeState { mark, word, why: why.to_owned(), brief: Vec::new() },
        remarks: Vec::new(),
        plugins: Vec::new(),
        standing: muster::survey::Standing::default(),
    }
}

const DRIFT: (char, &str, &str) = ('~', "drift", "");

/// Two clusters and six nodes: one to install, one to upgrade, one edited by hand, one that does not answer.
pub(super) fn picture() -> Picture {
    let mut edited =
        row("eu-3", Some("3.9.1"), ["---.", "~=~=", "===."], ('~', "drift", "acme-auth: 1 file edited on the node"));
    edited.remarks = vec!["kong.conf: proxy_listen was edited and waits for a reload".to_owned()];
    edited.plugins =
        vec![(1, vec!["kong/plugins/acme-auth/handler.lua differs".to_owned(), "used by 3 rows".to_owned()])];
    let mut gone = row("us-2", None, ["????", "????", ""], ('?', "unknown", "connection timed out after 10 s"));
    gone.remarks = vec!["type: ssh us-2 true".to_owned()];
    let eu = vec![
        row("eu-1", Some("3.9.1"), ["---.", "==~=", "===."], DRIFT),
        row("eu-2", Some("3.9.1"), ["---.", "==~=", "===."], DRIFT),
        edited,
    ];
    let us = vec![
        row("us-1", Some("3.4.2"), ["====", "====", ""], ('=', "in line", "")),
        gone,
        row("us-3", Some("3.4.2"), ["====", "====", ""], ('.', "out", "disk, OPS-812")),
    ];
    Picture {
        looked: start() - SignedDuration::from_secs(170),
        oldest: start() - SignedDuration::from_secs(170),
        seen: 5,
        nodes: 6,
        columns: vec!["request-tag".into(), "acme-auth".into(), "geo-ip".into()],
        clusters: vec![
            ClusterRows { name: cluster("eu-prod"), topology: "traditional".into(), nodes: eu },
            ClusterRows { name: cluster("us-prod"), topology: "traditional".into(), nodes: us },
        ],
    }
}

/// A fleet of so many nodes in one cluster.
pub(super) fn large(size: usize) -> Picture {
    let row = |at: usize| row(&format!("edge-{at}"), Some("3.9.1"), ["---.", "==~=", "===."], DRIFT);
    let mut picture = picture();
    picture.clusters = vec![ClusterRows {
        name: cluster("edge"),
        topology: "traditional".into(),
        nodes: (1..=size).map(row).collect(),
    }];
    (picture.nodes, picture.seen) = (size, size);
    picture
}

fn change(kind: ChangeKind, name: &str, versions: (Option<&str>, &str), detail: &str, on: &[&str]) -> Change {
    Change {
        kind,
        name: name.to_owned(),
        from: versions.0.map(str::to_owned),
        to: Some(versions.1.to_owned()),
        detail: detail.to_owned(),
        diff: [
            "--- acme-auth/handler.lua (2.0.3)",
            "+++ acme-auth/handler.lua (2.1.0)",
            "@@ -10,3 +10,3 @@",
            " local M = { PRIORITY = 1000 }",
            "-M.VERSION = \"2.0.3\"",
            "+M.VERSION = \"2.1.0\"",
            " return M",
        ]
        .map(str::to_owned)
        .to_vec(),
        nodes: nodes(on),
    }
}

fn activate() -> Action {
    Action::Activate(Box::new(Activate {
        basis: NodeBasis::default(),
        switches: Vec::new().into(),
        directive: ("bundled".to_owned(), "bundled,request-tag,acme-auth".to_owned()).into(),
        way: ReloadWay::Candidate,
        evidence: muster::name::Shared::default(),
        pace: muster::action::Pace::default(),
        again: muster::action::Again::default(),
        staged: Vec::new().into(),
        search_path: None,
        conf: None,
        loaded: BTreeMap::new().into(),
        gone: BTreeSet::new(),
        count_through: Vec::new(),
        keep: Activate::keep(),
        validate: BTreeSet::default(),
        manifest: Vec::new().into(),
        content: BTreeMap::new().into(),
    }))
}

fn deliver() -> Action {
    let digest = Digest::parse(&"9f".repeat(32)).expect("a digest");
    Action::Deliver(Deliver { bundle: "acme-auth".parse().expect("a bundle's name"), digest, repair: false })
}

fn steps() -> Vec<Step> {
    let step = |number: u32, name: &str, phase: Phase, action: Action| Step {
        id: step_id(number),
        cluster: cluster("eu-prod"),
        target: Target::Node(node(name)),
        phase,
        action,
        why: "the inventory wants it".to_owned().into(),
        needs: Vec::new(),
    };
    let deliveries = (0..3).map(|at| step(at, &format!("eu-{}", at + 1), Phase::Prepare, deliver()));
    let activations =
        (0..3).map(|at| step(at + 3, &format!("eu-{}", at + 1), Phase::Wave(WaveId(at.min(1))), activate()));
    deliveries.chain(activations).collect()
}

fn eu_plan() -> ClusterPlan {
    ClusterPlan {
        cluster: cluster("eu-prod"),
        topology: "traditional".into(),
        changes: vec![
            change(
                ChangeKind::Install,
                "request-tag",
                (None, "1.4.0"),
                "handler, schema, 2 more files",
                &["eu-1", "eu-2", "eu-3"],
            ),
            change(
                ChangeKind::Upgrade,
                "acme-auth",
                (Some("2.0.3"), "2.1.0"),
                "+41 -12 lines in 3 files",
                &["eu-1", "eu-2", "eu-3"],
            ),
            change(ChangeKind::Repair, "acme-auth", (None, "2.1.0"), "1 file edited on the node", &["eu-3"]),
        ],
        removals: Vec::new(),
        nodes: NodeLists {
            changing: nodes(&["eu-1", "eu-2", "eu-3"]),
            blocked: nodes(&["eu-7"]),
            ..NodeLists::default()
        },
        max_failed: 0,
        at_once: 10,
        max_out: 1,
        soak: 30,
    }
}

fn us_plan() -> ClusterPlan {
    ClusterPlan {
        cluster: cluster("us-prod"),
        topology: "traditional".into(),
        changes: Vec::new(),
        removals: Vec::new(),
        nodes: NodeLists {
            in_line: nodes(&["us-1"]),
            unknown: nodes(&["us-2"]),
            out: nodes(&["us-3"]),
            ..NodeLists::default()
        },
        max_failed: 0,
        at_once: 10,
        max_out: 1,
        soak: 30,
    }
}

/// A plan for `eu-prod`; `us-prod` has nothing to do.
pub(super) fn plan() -> Plan {
    let wave = |id: u32, names: &[&str]| Wave {
        id: WaveId(id),
        cluster: cluster("eu-prod"),
        number: id + 1,
        nodes: nodes(names),
    };
    let note = |topic: &str, text: &str, on: &[&str]| Note { topic: topic.into(), text: text.into(), nodes: nodes(on) };
    Plan {
        format: muster::plan::FORMAT,
        basis: Basis {
            repository: "gateway-fleet".into(),
            revision: revision(),
            summary: "tag: raise limit".into(),
            branch: Some("main".into()),
            owner: Owner::parse("edge-team").expect("an owner"),
            selected: muster::plan::Selected::default(),
            surveyed: start() - SignedDuration::from_secs(170),
            looked: [6, 5, 1, 0],
            nodes: BTreeMap::new(),
        },
        clusters: vec![eu_plan(), us_plan()],
        steps: steps(),
        waves: vec![wave(0, &["eu-1"]), wave(1, &["eu-2", "eu-3"])],
        blockers: vec![Blocker {
            code: BlockerCode::PendingSettings,
            scope: Scope::Node { node: node("eu-7") },
            what: "any reload of it would also apply 2 settings that were prepared and never loaded".into(),
            details: vec!["log_level     notice > info".into(), "admin_listen  127.0.0.1:8001 > 0.0.0.0:8001".into()],
            hints: vec![Hint::do_("reload it yourself first")],
        }],
        notes: vec![
            note("reload", "staged, with each node's own running settings", &["eu-1", "eu-2", "eu-3"]),
            note("kept in", "/etc/kong/kong.conf", &["eu-1", "eu-2", "eu-3"]),
            note("waiting", "proxy_listen in kong.conf, not applied by this", &["eu-3"]),
        ],
    }
}

/// What uses `legacy-hmac`.
pub(super) fn rows() -> BTreeMap<PluginName, Vec<PluginRow>> {
    let row = |number: u32, scope: &str, enabled: bool| PluginRow {
        id: format!("00000000-0000-4000-8000-{number:012}"),
        enabled,
        scope: scope.to_owned(),
        workspace: None,
        tags: Vec::new(),
        updated_at: Some(1_700_000_000),
    };
    let rows = vec![row(2, "global", false), row(1, "service billing", true)];
    [("legacy-hmac".parse().expect("a plugin's name"), rows)].into()
}

/// The numbers of the un-apply and of the fence in [`removal_plan`].
pub(super) const UNAPPLY: u32 = 6;
pub(super) const FENCE: u32 = 7;

/// A plan for `eu-prod` that also removes a plugin of which two rows are in use.
pub(super) fn removal_plan() -> Plan {
    let mut plan = plan();
    let eu = &mut plan.clusters[0];
    let all = nodes(&["eu-1", "eu-2", "eu-3"]);
    let detail = "2 rows deleted, out of the directive of 3 nodes, files off 3 nodes";
    let remove = change(ChangeKind::Remove, "legacy-hmac", (None, ""), detail, &["eu-1", "eu-2", "eu-3"]);
    eu.changes.push(Change { to: None, diff: Vec::new(), ..remove });
    eu.removals = vec![Removal {
        name: "legacy-hmac".into(),
        how: Some(Withdrawal::Delete),
        rows: rows(),
        directive: all.clone(),
        files: all.clone(),
        proven_by: 3,
        held: Vec::new(),
    }];
    let step = |number: u32, target: Target, phase: Phase, action: Action| Step {
        id: step_id(number),
        cluster: cluster("eu-prod"),
        target,
        phase,
        action,
        why: "the inventory wants it gone".to_owned().into(),
        needs: Vec::new(),
    };
    let unapply =
        Unapply { name: "legacy-hmac".into(), how: Withdrawal::Delete, rows: rows(), through: nodes(&["eu-1"]) };
    let plugins: BTreeSet<PluginName> = rows().into_keys().collect();
    let fence = Fence { plugins: plugins.clone(), nodes: all.clone(), limit: 600 };
    plan.steps.push(step(UNAPPLY, Target::Cluster, Phase::Unapply, Action::Unapply(Box::new(unapply))));
    plan.steps.push(step(FENCE, Target::Cluster, Phase::Fence, Action::Fence(fence)));
    for (number, node) in (8..).zip(all) {
        let delete = Delete {
            bundles: BTreeMap::new(),
            adopts: BTreeSet::new(),
            plugins: plugins.clone(),
            generation: 1,
            manifest: Vec::new().into(),
        };
        plan.steps.push(step(number, Target::Node(node), Phase::Clean, Action::Delete(Box::new(delete))));
    }
    plan
}

/// The same plan where nothing says that the rows may go.
pub(super) fn held_plan() -> Plan {
    let mut plan = removal_plan();
    plan.steps.truncate(6);
    let why = "2 rows use it, and nothing in the inventory says that rows may go";
    let removal = &mut plan.clusters[0].removals[0];
    (removal.how, removal.held) = (None, vec![why.to_owned()]);
    (removal.directive, removal.files) = (Vec::new(), Vec::new());
    plan.blockers.push(Blocker {
        code: BlockerCode::RowsInUse,
        scope: Scope::Plugin { name: "legacy-hmac".into(), cluster: cluster("eu-prod") },
        what: why.to_owned(),
        details: vec!["service billing".into(), "global, disabled".into()],
        hints: vec![Hint::do_(
            "to have them saved and deleted, write  legacy-hmac: { state: absent, unapply: delete }",
        )],
    });
    plan
}

/// A plan for both clusters, with the same upgrade in both.
pub(super) fn wide_plan() -> Plan {
    let mut plan = plan();
    let us = &mut plan.clusters[1];
    us.nodes.changing = us.nodes.in_line.split_off(0);
    us.changes = vec![change(ChangeKind::Upgrade, "acme-auth", (Some("2.0.3"), "2.1.0"), "+41 -12 lines", &["us-1"])];
    plan.notes[0].nodes.extend(nodes(&["us-1"]));
    plan
}

/// A plan that changes nothing.
pub(super) fn empty_plan() -> Plan {
    let mut plan = plan();
    plan.clusters.remove(0);
    (plan.steps, plan.waves, plan.blockers, plan.notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    plan
}

/// Makes the events of a run, numbered, with a time each.
pub(super) struct Recording {
    seq: u64,
    at: Timestamp,
    /// The events so far, as acts of a script.
    pub(super) acts: Vec<Act>,
}

impl Recording {
    /// A run of `plan()` that has begun.
    pub(super) fn begin() -> Self {
        Self::begin_in(&[("eu-prod", &["eu-1", "eu-2", "eu-3"])])
    }

    /// A run in these clusters that has begun.
    pub(super) fn begin_in(clusters: &[(&str, &[&str])]) -> Self {
        Self::begin_with(clusters, 2, 0)
    }

    /// A run of `removal_plan()` that has begun.
    pub(super) fn begin_removal() -> Self {
        Self::begin_with(&[("eu-prod", &["eu-1", "eu-2", "eu-3"])], 3, 2)
    }

    /// A run with so many steps for each node, and so many of the whole cluster.
    fn begin_with(clusters: &[(&str, &[&str])], each: u32, once: usize) -> Self {
        let mut recording = Self { seq: 0, at: start(), acts: Vec::new() };
        let clusters: Vec<_> = clusters.iter().map(|(name, names)| (cluster(name), nodes(names))).collect();
        let names = clusters.iter().flat_map(|(_, names)| names.clone());
        let steps_of: BTreeMap<NodeName, u32> = names.map(|name| (name, each)).collect();
        recording.push(EventKind::RunStarted {
            head: RunHead {
                run: RunId::from_parts(1_795_183_500_000, 7),
                repository: "gateway-fleet".into(),
                revision: revision(),
                summary: "tag: raise limit".into(),
                operator: "deploy@ops-1".into(),
                steps: steps_of.len() * each as usize + once,
                steps_of,
                waves: clusters.iter().map(|(cluster, _)| (cluster.clone(), 2)).collect(),
                cluster_steps: Vec::new(),
                clusters,
            },
        });
        recording
    }

    /// Another event, a second later.
    pub(super) fn push(&mut self, kind: EventKind) -> &mut Self {
        if !kind.is_chatter() {
            self.seq += 1;
        }
        let event = Event { seq: self.seq, at: self.at, kind };
        self.at += SignedDuration::from_secs(1);
        self.acts.push(Act::Say(Message::Run(Box::new(event))));
        self
    }

    /// All deliveries, and the start of a wave.
    pub(super) fn delivered(&mut self) -> &mut Self {
        for (number, name) in [(0, "eu-1"), (1, "eu-2"), (2, "eu-3")] {
            self.started(number, name, "deliver", "acme-auth 2.1.0");
            self.ended(number, name, "deliver", StepEnd::Done { outcome: Outcome::Changed });
        }
        self
    }

    pub(super) fn wave(&mut self, wave: u32, names: &[&str]) -> &mut Self {
        self.push(EventKind::WaveStarted { cluster: cluster("eu-prod"), wave, of: 2, nodes: nodes(names) })
    }

    pub(super) fn started(&mut self, number: u32, name: &str, action: &str, about: &str) -> &mut Self {
        let (step, node) = (step_id(number), node(name));
        self.push(EventKind::StepStarted { step, node, action: action.into(), about: about.into() })
    }

    pub(super) fn phase(&mut self, number: u32, name: &str, phase: StepPhase, text: &str) -> &mut Self {
        let (step, node) = (step_id(number), node(name));
        self.push(EventKind::StepProgressed { step, node, phase, text: text.into() })
    }

    pub(super) fn ended(&mut self, number: u32, name: &str, action: &str, end: StepEnd) -> &mut Self {
        let (step, node) = (step_id(number), node(name));
        self.push(EventKind::StepEnded { step, node, action: action.into(), end })
    }

    /// A node is activated, proven, committed.
    pub(super) fn proven(&mut self, number: u32, name: &str) -> &mut Self {
        self.started(number, name, "activate", "request-tag, acme-auth");
        self.phase(number, name, StepPhase::Reload, "reloading bundled,request-tag,acme-auth");
        let text = "2 new workers, request-tag 1.4.0, acme-auth 2.1.0".to_owned();
        self.push(EventKind::StepProven { step: step_id(number), node: node(name), text });
        self.ended(number, name, "activate", StepEnd::Done { outcome: Outcome::Changed })
    }

    pub(super) fn rolled_back(&mut self, number: u32, name: &str) -> &mut Self {
        self.started(number, name, "activate", "request-tag, acme-auth");
        self.phase(number, name, StepPhase::Reload, "reloading");
        self.phase(number, name, StepPhase::PutBack, "putting back");
        self.ended(number, name, "activate", StepEnd::RolledBack { cause: cause() })
    }

    /// A step of the whole cluster begins.
    pub(super) fn cluster_started(&mut self, number: u32) -> &mut Self {
        let action = if number == UNAPPLY { "un-apply" } else { "fence" };
        let (step, cluster) = (step_id(number), cluster("eu-prod"));
        self.push(EventKind::ClusterStepStarted { step, cluster, action: action.into(), about: "legacy-hmac".into() })
    }

    pub(super) fn cluster_says(&mut self, number: u32, text: &str) -> &mut Self {
        let (step, cluster) = (step_id(number), cluster("eu-prod"));
        self.push(EventKind::ClusterStepProgressed { step, cluster, text: text.into() })
    }

    pub(super) fn cluster_ended(&mut self, number: u32, end: StepEnd) -> &mut Self {
        let action = if number == UNAPPLY { "un-apply" } else { "fence" }.to_owned();
        self.push(EventKind::ClusterStepEnded { step: step_id(number), cluster: cluster("eu-prod"), action, end })
    }

    /// The rows are gone.
    pub(super) fn unapplied(&mut self) -> &mut Self {
        let text = "un-applied legacy-hmac: 2 rows, none left; undo bundle \
                    /home/deploy/.local/state/muster/runs/01M7WMCPQ0/legacy-hmac.yaml";
        let (step, cluster) = (step_id(UNAPPLY), cluster("eu-prod"));
        self.cluster_started(UNAPPLY);
        self.push(EventKind::ClusterStepProven { step, cluster, text: text.to_owned() });
        self.cluster_ended(UNAPPLY, StepEnd::Done { outcome: Outcome::Changed })
    }

    pub(super) fn waiting(&mut self, name: &str, what: &str, limit: u64) -> &mut Self {
        let waiting = Waiting { node: Some(node(name)), what: what.into(), limit: Some(limit) };
        self.push(EventKind::WaitingFor { waiting: Some(waiting) })
    }

    pub(super) fn looked(&mut self, in_line: usize, drift: usize, left: &[&str]) -> &mut Self {
        let counts = SurveyCounts { in_line, drift, ..SurveyCounts::default() };
        let left = left.iter().map(|line| (*line).to_owned()).collect();
        self.push(EventKind::LookedAgain { counts, left, settled: Vec::new() })
    }

    pub(super) fn verdict(&mut self, verdict: Verdict) -> &mut Self {
        self.push(EventKind::RunEnded { verdict, exit: verdict.exit() })
    }
}

/// Why a reload failed.
pub(super) fn cause() -> Cause {
    Cause {
        code: "reload-failed".into(),
        text: "reload failed: handler.lua:12: module 'resty.jwt' not found".into(),
        details: vec![
            "init_by_lua error: error loading module 'kong.plugins.acme-auth.handler'".into(),
            "the plugin needs a library that this node does not have".into(),
        ],
        hints: vec![Hint::do_("add resty/jwt.lua to the bundle or install it, then commit")],
    }
}

/// The message that the fleet was looked at.
pub(super) fn looked() -> Message {
    Message::Looked(Arc::new(picture()))
}

/// The message that a plan was made.
pub(super) fn planned() -> Message {
    Message::Planned(plan().into())
}
