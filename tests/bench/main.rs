//! The bench: what muster costs over doing the same remote work by plain `ssh`, and what a large fleet costs.
//!
//! `cargo bench --bench bench` measures everything; `-- survey`, `-- install`, `-- plan`, `-- tui` choose parts, `--quick` takes
//! fewer rounds. docs/performance.md says what each floor does, and keeps the figures.

mod fleet;
mod install;
mod large;
mod plain;
mod recorder;
mod survey;
mod table;
mod tui;

#[path = "../suite/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "shared with the tests, which break wires and count what is left; the bench only connects"
)]
mod harness;
#[path = "../suite/scenarios/fleet.rs"]
#[expect(dead_code, reason = "shared with the scenarios, which make nodes of many more kinds")]
mod model;

use std::process::ExitCode;

use table::Table;

/// What is measured, and how thoroughly.
#[derive(Debug, Clone)]
struct Options {
    parts: Vec<String>,
    quick: bool,
    /// Nodes that are entered by ssh.
    nodes: usize,
    /// Fast key exchange, as the tests have it, instead of the one that OpenSSH prefers.
    fast: bool,
}

const PARTS: [&str; 4] = ["plan", "tui", "survey", "install"];
const USAGE: &str = "cargo bench --bench bench -- [plan|tui|survey|install]... [--quick] [--nodes N] [--fast-kex]";

impl Options {
    fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { parts: Vec::new(), quick: false, nodes: 20, fast: false };
        let mut args = args.filter(|arg| arg != "--bench");
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--quick" => options.quick = true,
                "--fast-kex" => options.fast = true,
                "--nodes" => {
                    let count =
                        args.next().and_then(|count| count.parse().ok()).filter(|count| (1..=200).contains(count));
                    options.nodes = count.ok_or("--nodes wants a number from 1 to 200")?;
                }
                part if PARTS.contains(&part) => options.parts.push(arg),
                other => return Err(format!("{other}: not known; {USAGE}")),
            }
        }
        if options.parts.is_empty() {
            options.parts = PARTS.map(str::to_owned).into();
        }
        Ok(options)
    }

    fn rounds(&self, most: usize) -> usize {
        if self.quick { 2 } else { most }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench is a program of its own: it has no Env to be given arguments by"
)]
fn arguments() -> Vec<String> {
    std::env::args().skip(1).collect()
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the figures are what a bench is for")]
fn main() -> ExitCode {
    let args = arguments();
    if let Some((large::CHILD, rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        print!("{}", large::child(rest));
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(args.into_iter()) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let mut table = Table::default();
    if options.parts.iter().any(|part| part == "plan") {
        large::measure(&options, &mut table);
    }
    if options.parts.iter().any(|part| part == "tui") {
        tui::measure(&options, &mut table);
    }
    if options.parts.iter().any(|part| part == "survey" || part == "install") {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(over_ssh(&options, &mut table));
    }
    println!("\n{table}");
    if table.all_met() { ExitCode::SUCCESS } else { ExitCode::from(3) }
}

async fn over_ssh(options: &Options, table: &mut Table) {
    let Some(fleet) = fleet::Gateways::start(options).await else { return };
    for part in &options.parts {
        match part.as_str() {
            "survey" => survey::measure(options, &fleet, table).await,
            "install" => install::measure(options, &fleet, table).await,
            _ => {}
        }
    }
}
