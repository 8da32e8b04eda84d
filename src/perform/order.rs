//! The arguments of `scripts/activate.sh`, as the table at its top has them.

use std::fmt::Write as _;

use crate::action::{Activate, Again, ConfEdit, Keeping, ReloadWay, Switch};
use crate::name::{BundlePath, Digest, NodePath};
use crate::wire::{ArgError, Args};

use super::{Lease, Settings, Site};

/// The word of the script for a way.
const fn way(way: &ReloadWay) -> &'static str {
    match way {
        ReloadWay::Candidate => "candidate",
        ReloadWay::Hup => "hup",
        ReloadWay::Prepare => "prepare",
        ReloadWay::Restart => "restart",
        ReloadWay::Unit { .. } => "unit",
        ReloadWay::Command { .. } => "command",
        ReloadWay::Unneeded => "kept",
        ReloadWay::Stopped => "none",
    }
}

/// Everything that the script has to know; it makes no choice of its own.
pub(crate) fn arguments(
    site: &Site,
    lease: &Lease<'_>,
    step: u32,
    activate: &Activate,
    settings: &Settings,
) -> Result<Args, ArgError> {
    let args = lease
        .arguments(Args::new(), step)?
        .with("home", site.home.as_str())?
        .with("conf", site.conf.as_str())?
        .with("prefix", site.prefix.as_str())?
        .with("lua_root", site.lua_root.as_str())?
        .with("cli", site.cli.as_str())?
        .with("way", way(&activate.way))?
        .with("plugins", &activate.directive.1)?
        .with("stage", stage(&site.home, activate))?
        .with("keep", activate.keep.to_string())?
        .with("gap", activate.pace.gap.to_string())?
        .with("draining", activate.pace.draining.map(|most| most.to_string()).unwrap_or_default())?
        .with("patience", settings.guard.as_secs().to_string())?;
    wanted(basis(asked(args, activate)?, activate)?, activate)
}

/// What the ways that an inventory asks for need besides.
fn asked(args: Args, activate: &Activate) -> Result<Args, ArgError> {
    let args = match &activate.way {
        ReloadWay::Unit { unit } => args.with("service", unit)?,
        ReloadWay::Command { command } => args.with("command", command)?,
        _ => args,
    };
    match &activate.again {
        _ if activate.way.stages() || !activate.way.reloads() => Ok(args),
        Again::Kong => args.with("again", "kong"),
        Again::Unit(unit) => args.with("again", format!("unit {unit}")),
    }
}

/// What the planner saw, which the script compares before it touches anything.
fn basis(args: Args, activate: &Activate) -> Result<Args, ArgError> {
    let basis = &activate.basis;
    let digest = |digest: &Option<_>| digest.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let source = |(path, sha): &(_, Option<_>)| format!("{} {path}", digest(sha));
    args.with("conf_sha", digest(&basis.conf))?
        .with_list("source", basis.sources.iter().map(source))?
        .with("env_sha", digest(&basis.env))?
        .with("nginx_sha", basis.nginx.as_ref().map_or("", Digest::as_str))?
        .with("master_pid", number(basis.master.map(|(pid, _)| pid.into())))?
        .with("master_start", number(basis.master.map(|(_, start)| start)))?
        .with("manifest_generation", basis.generation.to_string())?
        .with_list("was", activate.switches.iter().map(|switch| format!("{} {}", switch.bundle, digest(&switch.from))))
}

fn wanted(args: Args, activate: &Activate) -> Result<Args, ArgError> {
    type Roots = fn(&Switch) -> Box<dyn Iterator<Item = &BundlePath> + '_>;
    let roots =
        |of: Roots| activate.switches.iter().flat_map(move |s| of(s).map(|root| format!("{} {root}", s.bundle)));
    let args = args
        .with_list("switch", activate.switches.iter().map(|switch| format!("{} {}", switch.bundle, switch.to)))?
        .with_list("root", roots(|switch| Box::new(switch.links.iter())))?
        .with_list("drop", roots(|switch| Box::new(switch.unlinks.iter())))?
        .with_list("adopt", roots(|switch| Box::new(switch.adopts.iter())))?
        .with_list("manifest", activate.manifest.iter())?
        .with_list("content", activate.content.iter().map(|(bundle, digest)| format!("{bundle} {digest}")))?;
    match &activate.conf {
        Some(edit) => conf(args, edit),
        None => Ok(args),
    }
}

fn conf(args: Args, edit: &ConfEdit) -> Result<Args, ArgError> {
    let args = match &edit.keeping {
        Keeping::Conf => args,
        Keeping::EnvironmentFile => place(args, edit)?,
        Keeping::DropIn { unit, shows } => place(args, edit)?.with("unit", unit)?.with("unit_shows", shows)?,
    };
    args.with("conf_offset", edit.offset.to_string())?
        .with("conf_remove", edit.remove.to_string())?
        .with("conf_insert", octal(edit.insert.as_bytes()))?
        .with("conf_after", edit.after.as_str())
}

/// A file other than kong.conf.
fn place(args: Args, edit: &ConfEdit) -> Result<Args, ArgError> {
    let before = edit.before.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    args.with("place", edit.path.as_str())?.with("place_sha", before)
}

/// Bytes as `printf %b` takes them, each as `\0ooo`, so that newlines survive a line of arguments.
fn octal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 5), |mut text, byte| {
        let _ = write!(text, "\\0{byte:03o}");
        text
    })
}

/// What goes to the head of `lua_package_path` while the reload is proven.
fn stage(home: &NodePath, activate: &Activate) -> String {
    let release = |(bundle, digest): &(_, _)| {
        let release = format!("{home}/releases/{bundle}/{digest}");
        format!("{release}/?.lua;{release}/?/init.lua;")
    };
    activate.staged.iter().map(release).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_as_octal() {
        assert_eq!(octal("a\n\\é".as_bytes()), "\\0141\\0012\\0134\\0303\\0251");
    }
}
