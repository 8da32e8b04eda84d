//! The command line as it is typed, and which option goes with which use.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

/// Brings the Kong Gateway nodes of a fleet into line with an inventory held in Git.
///
/// Without --plan, --apply and a subcommand the terminal UI opens. Everything is read from a commit, never from the work
/// tree. Exit codes: 0 in line or converged, 1 error and nothing changed, 2 changes pending (--detailed-exitcode),
/// 3 not all nodes reached the goal, 4 incomplete (unknown nodes), 5 locked, 6 refused by a safety rule, 64 usage,
/// 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "muster", version, max_term_width = 100, args_conflicts_with_subcommands = false)]
#[command(group(ArgGroup::new("mode").args(["plan", "apply"]).multiple(false)))]
pub struct CommandLine {
    /// Show what would be done, and change nothing.
    #[arg(long)]
    pub plan: bool,
    /// Do it, without a question: needs --all or --cluster.
    #[arg(long)]
    pub apply: bool,
    /// Use a throw-away fleet of stand-in gateways on this machine, with its own repository.
    #[arg(long)]
    pub demo: bool,
    /// What to do instead.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options.
    #[command(flatten)]
    pub options: Options,
}

/// Options of every use; [`Mode::accepts`] says which goes where.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
#[expect(clippy::doc_markdown, reason = "these comments are the text of --help, where backticks would show")]
pub struct Options {
    /// The repository [default: the one that the working directory is in].
    #[arg(long, global = true, value_name = "DIR")]
    pub repo: Option<PathBuf>,
    /// The commit, branch or tag to read.
    #[arg(long, global = true, value_name = "REV", default_value = "HEAD")]
    pub rev: String,
    /// The inventory's path in the repository [default: inventory.yaml].
    #[arg(long, global = true, value_name = "PATH")]
    pub inventory: Option<String>,
    /// Change these clusters: names or globs, comma between them; !NAME leaves one out.
    #[arg(long, global = true, value_name = "SELECTOR")]
    pub cluster: Option<String>,
    /// Change these nodes: names, globs, ranges such as eu-[1-9,11], or label=value, comma between them; !TERM leaves out.
    #[arg(long, global = true, value_name = "SELECTOR")]
    pub node: Option<String>,
    /// Change these plugins or bundles: names or globs, comma between them; !NAME leaves one out everywhere.
    #[arg(long, global = true, value_name = "SELECTOR")]
    pub plugin: Option<String>,
    /// Apply to every cluster.
    #[arg(long, global = true)]
    pub all: bool,
    /// How to print.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Lift a blocker: CODE, or CODE=NODE. May be given several times.
    #[arg(long, global = true, value_name = "CODE[=NODE]")]
    pub allow: Vec<String>,
    /// Reload nodes too of which it cannot be told what their workers run (a loaded mark of ?).
    #[arg(long, global = true)]
    pub reload_unproven: bool,
    /// Have the bundles loaded on trial before they are planned, by the node's own Kong, away from what runs, on one node of
    /// each cluster and version of Kong. What does not load is left out of the plan, with the line that is at fault. This runs
    /// the Lua of the commit on gateways, so use it on branches that you would let run there. Without it a plan runs nothing.
    #[arg(long, global = true)]
    pub trial: bool,
    /// With --plan: exit 2 if there is something to do.
    #[arg(long, global = true)]
    pub detailed_exitcode: bool,
    /// With --plan and inspect: print the differences of content in full.
    #[arg(long, global = true)]
    pub diff: bool,
    /// With --plan: save the plan in this file too, as --format json prints it. No file but a plan is overwritten.
    #[arg(long, global = true, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How many nodes are looked at at once.
    #[arg(long, global = true, value_name = "N")]
    pub parallel: Option<usize>,
    /// Read this file in place of ~/.ssh/config and /etc/ssh/ssh_config.
    #[arg(long, global = true, value_name = "FILE")]
    pub ssh_config: Option<PathBuf>,
    /// Show the runs that were recorded in this directory, too: those of another user's cron, where they may be read.
    /// May be given several times.
    #[arg(long, global = true, value_name = "DIR")]
    pub runs: Vec<PathBuf>,
    /// The run that is resumed; not typed.
    #[arg(skip)]
    pub resumes: Option<String>,
    /// Look and plan only: nothing is changed, whatever is asked for (also: MUSTER_READ_ONLY=1).
    #[arg(long, global = true)]
    pub read_only: bool,
    /// Write a log to this file (level by MUSTER_LOG, default info). Never to the terminal.
    #[arg(long, global = true, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: versioned, one value or one line for each fact.
    Json,
}

/// What is not --plan, --apply or the terminal UI.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Look at the fleet and show the four truths of every plugin on every node.
    Status,
    /// Look closely at one node: facts with their sources, files, receipts, the end of its error log.
    Inspect {
        /// The node.
        of: String,
        /// How many of the last lines of the error log to print; JSON has all that were read.
        #[arg(long, value_name = "N", default_value_t = 20)]
        lines: usize,
    },
    /// Show where a node's `plugins` and `lua_package_path` come from, what is known of a plugin there, and what a reload, a
    /// start and muster would make of it.
    Explain {
        /// The node, by its name in the inventory.
        #[arg(value_name = "NODE")]
        on: String,
        /// The plugin or bundle.
        #[arg(value_name = "PLUGIN")]
        what: String,
    },
    /// Check inventory and bundles of a commit, without contacting a node.
    Check,
    /// Print the JSON Schema of the inventory.
    Schema,
    /// Print the keys of the terminal UI that are in effect, as a file that can be edited.
    Keys,
    /// List the runs that were recorded on this machine, the newest first; or tell one of them again.
    Runs {
        /// The run to tell again.
        run: Option<String>,
        /// How many to list.
        #[arg(long, value_name = "N", default_value_t = 20)]
        last: usize,
        /// Go on with a run that is at work until it ends; the exit code is then 0, whatever the run came to.
        #[arg(long, requires = "run")]
        follow: bool,
        /// Print what became of the run as a block of text to paste into a ticket.
        #[arg(long, requires = "run", conflicts_with = "follow")]
        ticket: bool,
    },
    /// Finish a run that did not reach its goal: its commit and its selection, planned anew on what is there now.
    Resume {
        /// The run.
        run: String,
        /// Do it; without this the plan is only shown.
        #[arg(long)]
        yes: bool,
    },
    /// Show the rows that a run took out of use and what they are now; or bring them back.
    RestoreRows {
        /// The run.
        run: String,
        /// Do it; without this they are only shown.
        #[arg(long)]
        yes: bool,
    },
    /// Show who holds which nodes, with guards that are still armed. Works with a broken inventory, too.
    Locks,
    /// Examine every node, and where you are, for what would stand in the way, each with what mends it. Changes nothing,
    /// takes no lease, and works with a broken inventory, too.
    Doctor {
        /// How much space has to be free where muster and Kong write, in MiB.
        #[arg(long, value_name = "MIB", default_value_t = 256)]
        min_free: u64,
    },
    /// Write an inventory and its bundles from nodes that run, so that the first plan from it is empty. Only looks at the nodes;
    /// what could not be explained is said. --cluster NAME names the cluster, or what the names of several begin with.
    Import(super::import::ImportArgs),
    /// List what Kong says when it fails, or print the page about one of them.
    Errors {
        /// The code, such as missing-module.
        code: Option<String>,
    },
    /// Take the leases of a cluster away from a run that is gone. Works with a broken inventory, too.
    Unlock {
        /// The cluster.
        of: String,
        /// Do it; without this it is only shown who holds it.
        #[arg(long)]
        yes: bool,
    },
}

/// What this call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The terminal UI.
    Tui,
    /// `--plan`.
    Plan,
    /// `--apply`.
    Apply,
    /// `status`.
    Status,
    /// `inspect`.
    Inspect,
    /// `explain`.
    Explain,
    /// `check`.
    Check,
    /// `schema`.
    Schema,
    /// `keys`.
    Keys,
    /// `runs`.
    Runs,
    /// `resume`.
    Resume,
    /// `restore-rows`.
    RestoreRows,
    /// `locks`.
    Locks,
    /// `unlock`.
    Unlock,
    /// `doctor`.
    Doctor,
    /// `errors`.
    Errors,
    /// `import`.
    Import,
}

impl CommandLine {
    /// What this call is.
    pub fn mode(&self) -> Mode {
        match &self.command {
            Some(Command::Status) => Mode::Status,
            Some(Command::Inspect { .. }) => Mode::Inspect,
            Some(Command::Explain { .. }) => Mode::Explain,
            Some(Command::Check) => Mode::Check,
            Some(Command::Schema) => Mode::Schema,
            Some(Command::Keys) => Mode::Keys,
            Some(Command::Runs { .. }) => Mode::Runs,
            Some(Command::Resume { .. }) => Mode::Resume,
            Some(Command::RestoreRows { .. }) => Mode::RestoreRows,
            Some(Command::Locks) => Mode::Locks,
            Some(Command::Unlock { .. }) => Mode::Unlock,
            Some(Command::Doctor { .. }) => Mode::Doctor,
            Some(Command::Errors { .. }) => Mode::Errors,
            Some(Command::Import(_)) => Mode::Import,
            None if self.plan => Mode::Plan,
            None if self.apply => Mode::Apply,
            None => Mode::Tui,
        }
    }

    /// What of this call changes nodes, if it does so without a question.
    fn changes(&self) -> Option<&'static str> {
        match &self.command {
            Some(Command::Resume { yes: true, .. }) => Some("resume --yes"),
            Some(Command::RestoreRows { yes: true, .. }) => Some("restore-rows --yes"),
            Some(Command::Unlock { yes: true, .. }) => Some("unlock --yes"),
            None if self.apply => Some("--apply"),
            _ => None,
        }
    }

    /// The first option that does not go with the mode, with what to do. (clap drops `requires` between flags of an
    /// exclusive group without a word: seams.md 1.6.)
    pub fn misuse(&self) -> Option<String> {
        let mode = self.mode();
        if self.command.is_some() && (self.plan || self.apply) {
            return Some("--plan and --apply are uses of their own; give them without a subcommand".to_owned());
        }
        let options = &self.options;
        let given = [
            ("--demo", self.demo),
            ("--all", options.all),
            ("--allow", !options.allow.is_empty()),
            ("--reload-unproven", options.reload_unproven),
            ("--trial", options.trial),
            ("--detailed-exitcode", options.detailed_exitcode),
            ("--diff", options.diff),
            ("--out", options.out.is_some()),
            ("--node", options.node.is_some()),
            ("--plugin", options.plugin.is_some()),
            ("--cluster", options.cluster.is_some()),
            ("--parallel", options.parallel.is_some()),
            ("--rev", options.rev != "HEAD"),
            ("--runs", !options.runs.is_empty()),
            ("--format json", options.format == Format::Json),
        ];
        let wrong = given.into_iter().find(|(option, given)| *given && !mode.accepts(option));
        if let Some((option, _)) = wrong {
            return Some(format!("{option} does not go with {}", mode.words()));
        }
        if self.demo && (options.repo.is_some() || options.rev != "HEAD") {
            return Some("--demo brings a repository of its own; leave --repo and --rev out".to_owned());
        }
        if let Some(asked) = self.changes().filter(|_| options.read_only) {
            return Some(format!(
                "{asked} changes nodes, and --read-only (or MUSTER_READ_ONLY) says that nothing is changed"
            ));
        }
        if mode == Mode::Apply && !options.all && options.cluster.is_none() {
            return Some("--apply changes nodes without a question: say which by --cluster NAME, or --all".to_owned());
        }
        if options.all && options.cluster.is_some() {
            return Some("--all and --cluster contradict each other".to_owned());
        }
        None
    }
}

impl Mode {
    /// Which option goes with which mode: the one table.
    pub fn accepts(self, option: &str) -> bool {
        match option {
            "--demo" => {
                matches!(
                    self,
                    Self::Tui | Self::Plan | Self::Apply | Self::Status | Self::Inspect | Self::Explain | Self::Doctor
                )
            }
            "--cluster" => {
                matches!(
                    self,
                    Self::Tui | Self::Plan | Self::Apply | Self::Status | Self::Locks | Self::Doctor | Self::Import
                )
            }
            "--node" => matches!(self, Self::Tui | Self::Plan | Self::Apply | Self::Status | Self::Doctor),
            "--plugin" => matches!(self, Self::Tui | Self::Plan | Self::Apply | Self::Status),
            // A run has its own.
            "--rev" => !matches!(self, Self::Resume | Self::Runs | Self::Errors | Self::Import),
            "--all" => matches!(self, Self::Apply | Self::Plan),
            "--allow" => {
                matches!(self, Self::Plan | Self::Apply | Self::Tui | Self::Resume | Self::Inspect | Self::Explain)
            }
            "--reload-unproven" => matches!(self, Self::Plan | Self::Apply | Self::Tui | Self::Resume | Self::Explain),
            "--trial" => matches!(self, Self::Plan | Self::Apply | Self::Resume),
            "--runs" => matches!(self, Self::Tui | Self::Runs),
            "--detailed-exitcode" => matches!(self, Self::Plan | Self::Status),
            "--diff" => matches!(self, Self::Plan | Self::Resume | Self::Inspect),
            "--out" => self == Self::Plan,
            "--parallel" => !matches!(self, Self::Check | Self::Schema | Self::Keys | Self::Runs | Self::Errors),
            "--format json" => self != Self::Tui,
            _ => true,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Tui => "the terminal UI",
            Self::Plan => "--plan",
            Self::Apply => "--apply",
            Self::Status => "muster status",
            Self::Inspect => "muster inspect",
            Self::Explain => "muster explain",
            Self::Check => "muster check",
            Self::Schema => "muster schema",
            Self::Keys => "muster keys",
            Self::Runs => "muster runs",
            Self::Resume => "muster resume",
            Self::RestoreRows => "muster restore-rows",
            Self::Locks => "muster locks",
            Self::Unlock => "muster unlock",
            Self::Doctor => "muster doctor",
            Self::Errors => "muster errors",
            Self::Import => "muster import",
        }
    }
}
