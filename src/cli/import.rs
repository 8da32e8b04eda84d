//! `muster import HOST…`: writes an inventory and its bundles from nodes that run. Only looks at the nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Env, Format, Options};
use crate::execute::Control;
use crate::exit;
use crate::failure::Failure;
use crate::fleet::import::{Import, Imported, Missing, import};
use crate::hint::{Hint, quoted};
use crate::import::{Hints, PathHint, Said, Target, Weight};
use crate::inventory::{Become, FILE_NAME};
use crate::name::{ClusterName, Owner};
use crate::report;
use crate::report::import::{AbsentLine, NodeLine, Report};

/// What was typed behind `import`.
#[derive(Debug, Clone, clap::Args)]
pub struct ImportArgs {
    /// The hosts, as ssh takes them: [USER@]HOST[:PORT].
    #[arg(required = true, value_name = "HOST")]
    pub hosts: Vec<String>,
    /// Where inventory.yaml and plugins/ are written [default: the working directory].
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
    /// Whose inventory it is: written beside everything that muster installs.
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,
    /// How the scripts get their rights.
    #[arg(long, value_name = "none|sudo", default_value = "none", value_parser = ["none", "sudo"])]
    pub r#become: String,
    /// Where kong.conf is, on all hosts or on one. May be given several times, as each of the following.
    #[arg(long, value_name = "[HOST=]PATH")]
    pub conf: Vec<String>,
    /// Kong's prefix, where it is not to be found out.
    #[arg(long, value_name = "[HOST=]PATH")]
    pub prefix: Vec<String>,
    /// The directory below which kong/plugins/NAME is.
    #[arg(long, value_name = "[HOST=]PATH")]
    pub lua_root: Vec<String>,
    /// Where muster is to keep its own on the nodes.
    #[arg(long, value_name = "[HOST=]PATH")]
    pub home: Vec<String>,
    /// The kong command.
    #[arg(long, value_name = "[HOST=]PATH")]
    pub cli: Vec<String>,
    /// Write over an inventory, and over files of plugins, that are there.
    #[arg(long)]
    pub force: bool,
}

/// Runs an import.
pub(super) async fn run(args: ImportArgs, options: Options, env: &mut Env) -> Result<u8, Failure> {
    let mut request = request(&args, &options, env)?;
    let dir = args.into.as_ref().map_or_else(|| env.dir.clone(), |into| env.dir.join(into));
    let repository = crate::fleet::import::repository(&dir);
    request.below = repository.as_ref().map(|(_, below)| below.clone()).unwrap_or_default();
    may_write(&dir, args.force)?;
    let (connect, settings) = super::session::connect(&options, env, &BTreeSet::new())?;
    let Some(imported) = look(&request, connect, &settings, env).await else { return Ok(exit::INTERRUPTED) };
    let mut report = report_of(&imported);
    if imported.nodes.is_empty() {
        report.exit = exit::ERROR;
    } else {
        report.written = write(&imported, &dir, args.force)?;
        let plugins = report.written.len() > 1;
        report.next = next(&dir, repository.as_ref().map(|(_, below)| below.as_str()), plugins, &options);
        report.exit = code(&imported);
    }
    let printed = match options.format {
        Format::Text => report::import::text(&report, &mut env.out),
        Format::Json => report::import::json(&report, &mut env.out),
    };
    printed.map_err(|error| Failure::internal("writing what was found", &error))?;
    Ok(report.exit)
}

fn request(args: &ImportArgs, options: &Options, env: &Env) -> Result<Import, Failure> {
    if options.inventory.is_some() || options.repo.is_some() {
        return Err(Failure::usage(
            "--inventory and --repo do not go with muster import; --into DIR says where it is written",
        ));
    }
    let targets: Result<Vec<Target>, String> = args.hosts.iter().map(|host| Target::parse(host)).collect();
    let targets = targets.map_err(Failure::usage)?;
    let parsed = |option: &str, texts: &[String]| -> Result<Vec<PathHint>, Failure> {
        let all: Result<_, String> = texts.iter().map(|text| PathHint::parse(text)).collect();
        all.map_err(|error| Failure::usage(format!("--{option}: {error}")))
    };
    let hints = Hints {
        conf: parsed("conf", &args.conf)?,
        prefix: parsed("prefix", &args.prefix)?,
        lua_root: parsed("lua-root", &args.lua_root)?,
        home: parsed("home", &args.home)?,
        cli: parsed("cli", &args.cli)?,
    };
    if let Some(stray) = hints.stray(&targets) {
        return Err(Failure::usage(format!("{stray}=/PATH: {stray} is not among the hosts")));
    }
    let owner = args.owner.as_deref().map(Owner::parse).transpose();
    let cluster = options.cluster.as_deref().map(ClusterName::parse).transpose();
    Ok(Import {
        command: command(args),
        targets,
        hints,
        owner: owner.map_err(|error| Failure::usage(format!("--owner: {error}")))?,
        operator: env.operator(),
        cluster: cluster.map_err(|error| Failure::usage(format!("--cluster: {error}")))?,
        becomes: if args.r#become == "sudo" { Become::Sudo } else { Become::None },
        below: String::new(),
        at: (env.clock)(),
    })
}

fn command(args: &ImportArgs) -> String {
    let some: Vec<&str> = args.hosts.iter().take(8).map(String::as_str).collect();
    let more = args.hosts.len().saturating_sub(8);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("muster import {}{more}", some.join(" "))
}

/// Whether the inventory may be written: before anything is asked, as asking takes a while.
fn may_write(dir: &Path, force: bool) -> Result<(), Failure> {
    let file = dir.join(FILE_NAME);
    if dir.exists() && !dir.is_dir() {
        return Err(Failure::input(
            format!("{} is no directory", dir.display()),
            vec![Hint::do_("name one by --into DIR")],
        ));
    }
    if file.symlink_metadata().is_ok() && !force {
        let hints = vec![
            Hint::do_("name another directory by --into DIR, and compare the two"),
            Hint::do_("or write over it: --force"),
        ];
        return Err(Failure::input(format!("{} is there already; it was not written over", file.display()), hints));
    }
    Ok(())
}

async fn look(
    request: &Import,
    connect: Arc<dyn crate::remote::Connect>,
    settings: &crate::execute::look::LookSettings,
    env: &mut Env,
) -> Option<Imported> {
    let control = Control::new();
    let signals = std::mem::replace(&mut env.signals, super::Signals::Process);
    let listener = tokio::task::spawn(super::session::listen(signals, control.clone()));
    let progress = super::plan::Progress::new(env, request.targets.len());
    let one = |_: &str| progress.one();
    let looked = tokio::select! {
        // May be dropped at any point: looking changes nothing, and what it started on nodes ends with its input.
        imported = import(request, connect, settings, &one) => Some(imported),
        () = control.interrupted() => None,
    };
    progress.end();
    listener.abort();
    looked
}

fn report_of(imported: &Imported) -> Report {
    let absent = |host: &Missing| AbsentLine {
        target: host.target.clone(),
        code: host.code.clone(),
        text: host.text.clone(),
        hints: host.hints.clone(),
    };
    let nodes = imported.nodes.iter().map(|node| NodeLine {
        node: node.name.to_string(),
        target: node.target.clone(),
        cluster: node.cluster.to_string(),
        kong: node.kong.clone(),
        running: node.running,
        said: node.said.clone(),
    });
    Report {
        nodes: nodes.collect(),
        missing: imported.missing.iter().map(absent).collect(),
        twice: imported.twice.iter().map(absent).collect(),
        general: imported.draft.general.clone(),
        written: Vec::new(),
        blockers: imported.first.blockers.clone(),
        unknown: imported.first.unknown.iter().map(|(node, why)| (node.to_string(), why.clone())).collect(),
        empty: imported.first.is_empty(),
        next: Vec::new(),
        exit: exit::IN_LINE,
    }
}

/// Not reached where something had to be left out or could not be explained; incomplete where a node was not seen.
fn code(imported: &Imported) -> u8 {
    let open = |said: &Said| said.weight == Weight::Open;
    let unexplained = imported.nodes.iter().flat_map(|node| &node.said).chain(&imported.draft.general).any(open);
    match () {
        () if unexplained || !imported.first.is_empty() => exit::NOT_REACHED,
        () if !imported.missing.is_empty() || !imported.first.unknown.is_empty() => exit::INCOMPLETE,
        () => exit::IN_LINE,
    }
}

/// Writes the files of the bundles, and last the inventory: what is cut short has none. The paths that were written, the inventory
/// first.
fn write(imported: &Imported, dir: &Path, force: bool) -> Result<Vec<String>, Failure> {
    let files: BTreeMap<PathBuf, &[u8]> =
        imported.draft.files.iter().map(|(path, bytes)| (dir.join(path), bytes.as_slice())).collect();
    beside(&imported.draft.directories, dir, &files, force)?;
    let put = |path: &Path, bytes: &[u8]| -> std::io::Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    let failed = |path: &Path, error: &std::io::Error| Failure::internal(&format!("writing {}", path.display()), error);
    for (path, bytes) in &files {
        put(path, bytes).map_err(|error| failed(path, &error))?;
    }
    let inventory = dir.join(FILE_NAME);
    put(&inventory, imported.draft.text.as_bytes()).map_err(|error| failed(&inventory, &error))?;
    let all = std::iter::once(&inventory).chain(files.keys());
    Ok(all.map(|path| path.display().to_string()).collect())
}

/// A directory of a bundle that holds something else would ship that, too.
fn beside(
    directories: &BTreeSet<String>,
    dir: &Path,
    files: &BTreeMap<PathBuf, &[u8]>,
    force: bool,
) -> Result<(), Failure> {
    let mut there = Vec::new();
    for directory in directories {
        walk(&dir.join(directory), &mut there);
    }
    let refuse = |text: String, fix: &str| Err(Failure::input(text, vec![Hint::do_(fix)]));
    if let Some(other) = there.iter().find(|path| !files.contains_key(*path)) {
        let text = format!("{} is there, and on no node; the bundle would ship it", other.display());
        return refuse(text, "move it away, or name another directory by --into DIR");
    }
    let changed = there.iter().find(|path| std::fs::read(path).ok().as_deref() != files.get(*path).copied());
    match changed.filter(|_| !force) {
        Some(path) => {
            let text = format!("{} is there already, with other content; it was not written over", path.display());
            refuse(text, "name another directory by --into DIR, or write over it: --force")
        }
        None => Ok(()),
    }
}

/// Every file below a directory.
fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// What to type next: muster plans a commit, so that there has to be one.
fn next(dir: &Path, below: Option<&str>, plugins: bool, options: &Options) -> Vec<Hint> {
    let at = quoted(&dir.display().to_string());
    let mut next = Vec::new();
    if below.is_none() {
        next.push(Hint::type_(format!("git init {at}")));
    }
    let plugins = if plugins { " plugins" } else { "" };
    next.push(Hint::type_(format!("git -C {at} add {FILE_NAME}{plugins}")));
    next.push(Hint::type_(format!("git -C {at} commit -m 'what runs'")));
    let inventory = below.filter(|below| !below.is_empty()).map(|below| format!("{below}{FILE_NAME}"));
    let placed = Options { repo: Some(dir.to_owned()), inventory, cluster: None, ..options.clone() };
    next.extend(["muster check", "muster --plan"].map(|command| Hint::type_(super::equal::placed(command, &placed))));
    next
}
