//! What every use that contacts nodes shares: the desired state, the demo, the connections, signals, and the end of it all.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;

use super::{
    Command, CommandLine, Env, Mode, Options, Signals, apply, doctor, explain, import, inspect, locks, plan, restore,
    resume, status, terminal,
};
use crate::demo::Demo;
use crate::execute::Control;
use crate::execute::look::LookSettings;
use crate::failure::Failure;
use crate::fleet::{Desired, DesiredError, Fleet, Operator, OperatorError, Source};
use crate::hint::Hint;
use crate::inventory::nearest::nearest;
use crate::inventory::{Look, Selector, TreePath};
use crate::name::ClusterName;
use crate::plan::{Allow, Selection};
use crate::remote::{ByTransport, Connect, LocalConnect, Notice, SshConnect, SshSettings};
use crate::tui::Keys;

/// A use that contacts nodes: everything it needs.
pub(super) struct Session<'a> {
    pub(super) env: &'a mut Env,
    pub(super) options: Options,
    pub(super) fleet: Arc<Fleet>,
    pub(super) selection: Selection,
    pub(super) allow: Vec<Allow>,
    pub(super) control: Control,
    /// The demo fleet is looked at.
    pub(super) demo: bool,
}

/// Runs a use to its end, and closes what it opened whatever that end is.
pub(super) async fn run(mode: Mode, line: CommandLine, env: &mut Env) -> Result<u8, Failure> {
    let CommandLine { mut options, demo, command, .. } = line;
    // Before anything is opened: a mistake in the file of keys is told at once.
    let keys = if mode == Mode::Tui { Some(Arc::new(super::keys::read(env)?)) } else { None };
    let demo = if demo { Some(begin_demo(&mut options, env).await?) } else { None };
    if let (Some(demo), true) = (&demo, mode != Mode::Tui) {
        // Only for the eye.
        drop(writeln!(env.err, "demo: {}", demo.about()));
    }
    let code = match command {
        Some(Command::Locks) => locks::show(options, env).await,
        Some(Command::Doctor { min_free }) => doctor::run(min_free, options, demo.is_some(), env).await,
        Some(Command::Import(args)) => import::run(args, options, env).await,
        Some(Command::Unlock { of, yes }) => locks::unlock(&of, yes, options, env).await,
        Some(Command::Resume { run, yes }) => match resume::prepare(&run, &mut options, env).await? {
            resume::Way::Over(code) => Ok(code),
            resume::Way::On => with_fleet(if yes { Use::Apply } else { Use::Plan }, options, None, env).await,
        },
        Some(Command::RestoreRows { run, yes }) => with_fleet(Use::RestoreRows { run, yes }, options, None, env).await,
        Some(Command::Inspect { of, lines }) => {
            with_fleet(Use::Inspect { of, lines }, options, demo.as_ref().map(Demo::about), env).await
        }
        Some(Command::Explain { on, what }) => {
            with_fleet(Use::Explain { node: on, plugin: what }, options, demo.as_ref().map(Demo::about), env).await
        }
        Some(_) => with_fleet(Use::Status, options, demo.as_ref().map(Demo::about), env).await,
        None => {
            let what = match mode {
                Mode::Plan => Use::Plan,
                Mode::Apply => Use::Apply,
                _ => Use::Tui(keys.unwrap_or_default()),
            };
            with_fleet(what, options, demo.as_ref().map(Demo::about), env).await
        }
    };
    if let Some(demo) = demo {
        demo.end().await;
    }
    code
}

async fn begin_demo(options: &mut Options, env: &mut Env) -> Result<Demo, Failure> {
    let err = env.err.clone();
    // Only for the eye.
    let tell = move |doing: &str| drop(writeln!(err.clone(), "demo: {doing}"));
    let demo = Demo::begin(&env.program, &env.temp, &env.vars, &tell).await;
    let demo = demo.map_err(|error| Failure::internal("setting up the demo fleet", &error))?;
    options.repo = Some(demo.repository());
    options.ssh_config = demo.ssh_config().or_else(|| options.ssh_config.take());
    env.vars.insert("XDG_STATE_HOME".to_owned(), demo.state().display().to_string());
    env.vars.insert("XDG_RUNTIME_DIR".to_owned(), demo.runtime().display().to_string());
    Ok(demo)
}

/// What is done with a fleet whose inventory was read.
enum Use {
    Tui(Arc<Keys>),
    Plan,
    Apply,
    Status,
    Inspect { of: String, lines: usize },
    Explain { node: String, plugin: String },
    RestoreRows { run: String, yes: bool },
}

async fn with_fleet(what: Use, options: Options, demo: Option<String>, env: &mut Env) -> Result<u8, Failure> {
    let desired = desired(&source(&options, env)?)?;
    let selection = selection(&options, &desired)?;
    let allow: Result<Vec<Allow>, String> = options.allow.iter().map(|text| Allow::parse(text)).collect();
    let allow = allow.map_err(|text| Failure::usage(format!("--allow: {text}")))?;
    allowed(&allow, &desired)?;
    let fleet = Arc::new(fleet(desired, &options, env).await?);
    let control = Control::new();
    // The terminal UI answers to signals itself: it has to give the terminal back.
    let signals = std::mem::replace(&mut env.signals, Signals::Process);
    let listener = (!matches!(what, Use::Tui(_))).then(|| tokio::task::spawn(listen(signals, control.clone())));
    let demo_is_on = demo.is_some();
    let session = Session { env, options, fleet: fleet.clone(), selection, allow, control, demo: demo_is_on };
    let code = match what {
        Use::Plan => plan::run(session).await,
        Use::Apply => apply::run(session).await,
        Use::Status => status::run(session).await,
        Use::Inspect { of, lines } => inspect::run(&of, lines, session).await,
        Use::Explain { node, plugin } => explain::run(&node, &plugin, session).await,
        Use::RestoreRows { run, yes } => restore::run(&run, yes, session).await,
        Use::Tui(keys) => terminal::run(session, demo, keys).await,
    };
    if let Some(listener) = listener {
        listener.abort();
    }
    fleet.close().await;
    code
}

/// Each request to stop is one rung up the ladder.
pub(super) async fn listen(signals: Signals, control: Control) {
    match signals {
        Signals::Channel(mut channel) => {
            while let Some(level) = channel.recv().await {
                control.cancel(level);
            }
        }
        Signals::Process => {
            use tokio::signal::unix::{SignalKind, signal};
            let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            for kind in kinds {
                let Ok(mut signals) = signal(kind) else { continue };
                let sender = sender.clone();
                tokio::task::spawn(async move { while signals.recv().await.is_some() && sender.send(()).is_ok() {} });
            }
            while receiver.recv().await.is_some() {
                control.escalate();
            }
        }
    }
}

/// Where the desired state is read.
pub(super) fn source(options: &Options, env: &Env) -> Result<Source, Failure> {
    let inventory = options.inventory.as_deref().map(TreePath::parse).transpose();
    Ok(Source {
        repo: options.repo.as_ref().map_or_else(|| env.dir.clone(), |repo| env.dir.join(repo)),
        rev: options.rev.clone(),
        inventory: inventory.map_err(|error| Failure::usage(format!("--inventory: {error}")))?,
    })
}

/// Reads it.
pub(super) fn desired(source: &Source) -> Result<Desired, Failure> {
    Desired::read(source).map_err(|error| {
        let hints = error.hints();
        let failure = Failure::of(&error, hints);
        match error {
            // Each mistake with its line of the file, and what to write instead.
            DesiredError::Inventory(mistakes) => {
                let text = format!("{}\n\n{}", counted(mistakes.iter().count()), mistakes.render(Look::Plain));
                Failure { text, ..failure }
            }
            DesiredError::Git(_) | DesiredError::Bundles(_) => failure,
        }
    })
}

fn counted(mistakes: usize) -> String {
    match mistakes {
        1 => "the inventory has a mistake".to_owned(),
        more => format!("the inventory has {more} mistakes"),
    }
}

/// The part of the fleet that was chosen; a word that chooses nothing is a mistake.
pub(super) fn selection(options: &Options, desired: &Desired) -> Result<Selection, Failure> {
    let parse = |option: &str, text: &Option<String>, names: bool| -> Result<Option<Selector>, Failure> {
        let Some(text) = text else { return Ok(None) };
        let parsed = if names { Selector::parse_names(text) } else { Selector::parse(text) };
        parsed.map(Some).map_err(|error| {
            let mut failure = Failure::usage(format!("--{option} {text}: {error}"));
            failure.hints = error.hints();
            failure
        })
    };
    let selection = Selection {
        clusters: parse("cluster", &options.cluster, true)?,
        nodes: parse("node", &options.node, false)?,
        plugins: parse("plugin", &options.plugin, true)?,
        unproven: options.reload_unproven,
    };
    known(&selection, desired)?;
    Ok(selection)
}

/// A node that `--allow` names has to be there: on another one it would lift nothing, and say so nowhere.
fn allowed(allow: &[Allow], desired: &Desired) -> Result<(), Failure> {
    let inventory = &desired.inventory;
    let Some((code, node)) = allow.iter().find_map(|allow| {
        let node = allow.node.as_ref().filter(|node| inventory.node(node).is_none())?;
        Some((allow.code, node))
    }) else {
        return Ok(());
    };
    let mut failure = Failure::usage(format!("--allow {}={node}: the inventory has no node of this name", code.word()));
    let near = nearest(node.as_str(), inventory.nodes().map(|node| node.name.as_str()));
    failure.hints = vec![match near {
        Some(near) => Hint::do_(format!("did you mean {near}?")),
        None => Hint::do_(format!("there are: {}", crate::name::collapse(inventory.nodes().map(|node| &node.name)))),
    }];
    Err(failure)
}

/// A word of a selector that selects nothing is a mistake: a typing error must not mean "nothing to do".
pub(super) fn known(selection: &Selection, desired: &Desired) -> Result<(), Failure> {
    let inventory = &desired.inventory;
    let clusters: Vec<&str> = inventory.clusters.keys().map(ClusterName::as_str).collect();
    let plugins: BTreeSet<&str> = inventory
        .clusters
        .values()
        .flat_map(|cluster| cluster.plugins.keys().map(crate::inventory::Subject::as_str))
        .collect();
    let plugins: Vec<&str> = plugins.into_iter().collect();
    let idle = |selector: &Option<Selector>, names: &[&str]| -> Vec<String> {
        let words = selector.as_ref().map(|selector| selector.idle_names(names));
        words.unwrap_or_default().into_iter().map(str::to_owned).collect()
    };
    let all: Vec<_> = inventory.clusters.values().collect();
    let nodes = selection.nodes.as_ref().map(|selector| selector.idle_nodes(&all));
    let nodes = nodes.unwrap_or_default().into_iter().map(str::to_owned).collect();
    let found = [
        ("--cluster", idle(&selection.clusters, &clusters), clusters.join(", ")),
        ("--node", nodes, crate::name::collapse(inventory.nodes().map(|node| &node.name))),
        ("--plugin", idle(&selection.plugins, &plugins), plugins.join(", ")),
    ];
    for (option, idle, known) in found {
        if !idle.is_empty() {
            let mut failure =
                Failure::usage(format!("{option} {}: nothing in the inventory has this name", idle.join(",")));
            failure.hints = vec![Hint::do_(format!("there are: {known}"))];
            return Err(failure);
        }
    }
    Ok(())
}

/// A fleet, and the way to its nodes.
pub(super) async fn fleet(desired: Desired, options: &Options, env: &Env) -> Result<Fleet, Failure> {
    let unusable = |error: OperatorError| Failure::input(error.what.clone(), error.hints);
    let operator = Operator::read(&env.vars).map_err(unusable)?;
    let secret = operator.secret_vars(&desired.inventory);
    let (connect, settings) = connect(options, env, &secret)?;
    let access = operator.access(&desired.inventory).await.map_err(unusable)?;
    for clusters in access.shared() {
        let names: Vec<&str> = clusters.iter().map(ClusterName::as_str).collect();
        // Only for the eye: what is asked for goes on in any case.
        drop(writeln!(
            env.err.clone(),
            "{} are given the same token: whoever has one has the others",
            names.join(" and ")
        ));
    }
    Fleet::new(desired, connect, settings, &access).map_err(|error| {
        let hints = error.hints();
        Failure::of(&error, hints)
    })
}

/// The way to nodes, by the operator's ssh, which is not told these variables.
pub(super) fn connect(
    options: &Options,
    env: &Env,
    secret: &BTreeSet<String>,
) -> Result<(Arc<dyn Connect>, LookSettings), Failure> {
    if let Some(file) = options.ssh_config.as_ref().map(|file| env.dir.join(file)) {
        std::fs::File::open(&file).map_err(|error| {
            let text = format!("--ssh-config {}: {error}", file.display());
            Failure::input(
                text,
                vec![Hint::do_("name a file that exists, or leave the option out to use ~/.ssh/config")],
            )
        })?;
    }
    // Whoever may look at the environment of a child is told no token.
    let plain = env.vars.iter().filter(|(key, _)| !secret.contains(*key));
    let vars = || plain.clone().map(|(key, value)| (key.clone(), value.into()));
    let mut ssh = SshSettings::new(vars());
    ssh.config = options.ssh_config.as_ref().map(|file| env.dir.join(file)).or_else(|| env.ssh_config.clone());
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let mut settings = LookSettings::for_cores(cores);
    if let Some(parallel) = options.parallel {
        settings.at_once = parallel.clamp(1, 512);
    }
    ssh.at_once = settings.at_once;
    let err = env.err.clone();
    ssh.notice = Some(Arc::new(move |notice| {
        let Notice::Touch { who, key } = notice;
        // Only for the eye; the connection goes on in any case.
        drop(writeln!(err.clone(), "touch the security key for {who} ({key})"));
    }));
    let connect = ByTransport { ssh: Arc::new(SshConnect::new(ssh)), local: Arc::new(LocalConnect::new(vars())) };
    Ok((Arc::new(connect), settings))
}
