//! Kong itself: running and ready, where its directive comes from, how it would be reloaded, its Admin API.

use std::collections::BTreeSet;

use super::{Check, Patient};
use crate::action::ReloadWay;
use crate::diff::{Directives, Doubt, Source, not_ready};
use crate::hint::Hint;
use crate::inventory::Management;
use crate::kong::version::Support;
use crate::kong::{Cause, Directive, KongVersion, Reach};
use crate::survey::{Kind, Trouble};

impl Patient<'_> {
    pub(super) fn kong(&self) -> Check {
        if let Some(Doubt { what, hints, .. }) = Doubt::of(&self.node.kong, self.facts) {
            return Check::wrong(what, hints);
        }
        let Some(master) = &self.facts.master else {
            let version = self.facts.installed_version.as_deref().unwrap_or("an unknown version");
            let fix = Hint::do_(format!("start it there, if it is to serve; muster never starts a Kong ({version})"));
            return Check::wrong(format!("Kong does not run in {}", self.node.kong.prefix), vec![fix]);
        };
        let Some(version) = self.version() else {
            return Check::unknown("it runs, and its version is not known without its Admin API");
        };
        let words = format!("Kong {version}, {}", self.role());
        if !matches!(KongVersion::parse(&version).map(|version| version.support()), Some(Support::Full)) {
            let fix = Hint::look("docs/safety.md");
            return Check::wrong(format!("{words}: this muster looks at it and changes nothing"), vec![fix]);
        }
        if !master.idle {
            return Check::unknown(format!("{words}; a reload is under way there"));
        }
        match self.facts.ready {
            Some(status) if status != 200 && status != 404 => {
                let fixes = vec![
                    Hint::do_(Cause::NotReady.advice()),
                    Hint::look(Cause::NotReady.place()),
                    Hint::type_("muster errors not-ready"),
                ];
                let found = not_ready(self.facts).unwrap_or_else(|| format!("/status/ready answers {status}"));
                Check::wrong(format!("{words}; {found}"), fixes)
            }
            _ => Check::well(words + &self.leaving()),
        }
    }

    fn leaving(&self) -> String {
        let leaving = self.facts.master.as_ref().map_or(0, |master| master.leaving.len());
        if leaving == 0 { String::new() } else { format!("; {leaving} of its old workers still serve a request") }
    }

    fn version(&self) -> Option<String> {
        let admin = self.facts.admin.as_ref().ok().map(|admin| admin.version.clone());
        admin.or_else(|| self.facts.installed_version.clone())
    }

    /// Role and database, from what runs, else from what would be loaded.
    fn role(&self) -> &'static str {
        let admin = self.facts.admin.as_ref().ok();
        let role = admin.and_then(|admin| admin.role.clone()).or_else(|| self.setting("role"));
        let database = admin.and_then(|admin| admin.database.clone()).or_else(|| self.setting("database"));
        match (role.as_deref(), database.as_deref()) {
            (Some("control_plane"), _) => "control plane",
            (Some("data_plane"), _) => "data plane",
            (_, Some("off")) => "DB-less",
            _ => "traditional",
        }
    }

    fn setting(&self, key: &str) -> Option<String> {
        self.facts.env_file.as_ref().and_then(|env| env.open().get(key))
    }

    /// Whether anything here is muster's to write into kong.conf.
    fn is_ours(&self) -> bool {
        let mut assignments = self.cluster.assignments(self.node).peekable();
        assignments.peek().is_none() || assignments.any(|assignment| assignment.directive != Management::External)
    }

    pub(super) fn directive(&self) -> Check {
        let found = Directives::of(&self.node.kong, self.facts);
        let conf = &self.node.kong.conf;
        for source in [&found.file, &found.env] {
            if let Some(problem) = source.directive().and_then(Directive::blocking) {
                let fix = Hint::look(format!("{conf} on {}", self.node.name));
                return Check::wrong(problem.to_string(), vec![fix]);
            }
        }
        let (Some(file), true) = (found.file.directive(), self.facts.conf.kind != Kind::Denied) else {
            return Check::wrong(
                format!("{conf} cannot be read"),
                vec![Hint::do_("set `become: sudo` in the inventory, or let the login read it")],
            );
        };
        if found.env == Source::Unknown {
            return Check::unknown(format!("{conf} says {file}; the settings that run could not be read"));
        }
        self.disagreement(&found).or_else(|| self.unwritable()).unwrap_or_else(|| {
            let written = self.facts.conf_file.as_ref().is_some_and(|conf| conf.open().text("plugins").is_some());
            let origin = if written { conf.as_str() } else { "Kong's default" };
            Check::well(format!("plugins comes from {origin}: {file}"))
        })
    }

    /// Names that nobody rules must be the same in kong.conf, in `.kong_env` and in the workers (measured.md 4).
    fn disagreement(&self, found: &Directives) -> Option<Check> {
        let ruled = self.ruled();
        let others = |source: &Source| -> Option<BTreeSet<String>> {
            let words = source.directive()?.words().iter().map(ToString::to_string);
            Some(words.filter(|word| !ruled.contains(word)).collect())
        };
        let shown = |source: &Source| source.directive().map(ToString::to_string).unwrap_or_default();
        let (conf, prefix, name) = (&self.node.kong.conf, &self.node.kong.prefix, &self.node.name);
        let (file, env, running) = (others(&found.file), others(&found.env), others(&found.running));
        if self.facts.conf.kind == Kind::Absent {
            if !self.is_ours() {
                return Some(Check::well(format!("plugins is set outside of kong.conf: {}", shown(&found.env))));
            }
            let text = format!("there is no {conf}: the service's environment sets plugins ({})", shown(&found.env));
            let fix = "correct `conf:` in the inventory; or say `directive: external` where something else writes it";
            return Some(Check::wrong(text, vec![Hint::do_(fix)]));
        }
        if env.as_ref().is_some_and(|env| file.as_ref() != Some(env)) {
            let text =
                format!("plugins is {} in {conf} and {} in {prefix}/.kong_env", shown(&found.file), shown(&found.env));
            let fixes = vec![
                Hint::look(format!("KONG_PLUGINS in the environment of the service on {name}: it beats kong.conf")),
                Hint::do_(format!("if what runs is right, write into {conf}:  plugins = {}", shown(&found.env))),
                Hint::do_("if kong.conf is right, reload Kong there"),
            ];
            return Some(Check::wrong(text, fixes));
        }
        if running.is_some() && env.is_some() && running != env {
            let text = format!("prepared and never loaded: plugins {} > {}", shown(&found.running), shown(&found.env));
            let fix = Hint::type_(format!("muster --plan --allow pending-settings={name}"));
            return Some(Check::wrong(text, vec![Hint::do_("reload it yourself first, or:"), fix]));
        }
        None
    }

    /// What stands in the way of an edit of kong.conf.
    fn unwritable(&self) -> Option<Check> {
        let (place, path) = (&self.facts.conf, &self.node.kong.conf);
        if !self.is_ours() {
            return None;
        }
        if let Some(line) = &self.facts.conf_managed {
            let fixes = vec![
                Hint::do_("let that add the plugin and say `directive: external`, or:"),
                Hint::type_(format!("muster --plan --allow managed-conf={}", self.node.name)),
            ];
            return Some(Check::wrong(format!("{path} says that something else writes it: {line}"), fixes));
        }
        let fault = match () {
            () if place.kind != Kind::File => "is not a regular file",
            () if place.links > 1 => "has several hard links, which an edit would break",
            () if !place.writable => "cannot be written",
            () => return None,
        };
        let fix = "make it a file of its own that can be written, or set `become: sudo` in the inventory";
        Some(Check::wrong(format!("{path} {fault}"), vec![Hint::do_(fix)]))
    }

    pub(super) fn reload(&self) -> Check {
        let has = |tool: &str| self.facts.host.tools.contains(tool);
        let lacking: Vec<&str> = ["flock", "setsid"].into_iter().filter(|tool| !has(tool) && !has("perl")).collect();
        if !lacking.is_empty() {
            let text = format!("it has no {}, without which a change cannot be guarded", lacking.join(" and no "));
            return Check::wrong(text, vec![Hint::do_("install util-linux or perl there")]);
        }
        if self.facts.master.is_none() {
            return Check::well("nothing to reload: files and settings are written, and the next start has them");
        }
        if !self.facts.host.proc_visible {
            let fix = Hint::do_("set `become: sudo` in the inventory, or mount /proc without hidepid");
            return Check::wrong("its processes are hidden (hidepid): a reload could not be proven", vec![fix]);
        }
        if let Some(check) = self.search_path() {
            return check;
        }
        Check::well(match crate::plan::recipe(self.facts) {
            ReloadWay::Hup => {
                "one line of .kong_env and a HUP, as `kong reload` cannot resolve the vault references of its settings"
            }
            _ => "`kong reload` with what it runs with and our lines: what waits in kong.conf goes on waiting",
        })
    }

    fn search_path(&self) -> Option<Check> {
        let path = self.facts.env_file.as_ref()?.open().search_path();
        let root = &self.node.kong.lua_root;
        let what = match path.unstaged(&self.node.kong.home).reaches(root) {
            Reach::Full => return None,
            Reach::NoInit => format!("lua_package_path finds {root}/?.lua and not {root}/?/init.lua"),
            Reach::No => format!("lua_package_path does not reach the Lua root {root}"),
        };
        let line = format!("lua_package_path = {root}/?.lua;{root}/?/init.lua;;");
        let fix =
            format!("write  {line}  into {} and reload, or correct lua_root in the inventory", self.node.kong.conf);
        Some(Check::wrong(what, vec![Hint::do_(fix)]))
    }

    pub(super) fn admin(&self) -> Check {
        let admin = match &self.facts.admin {
            Ok(admin) => admin,
            Err(_) if self.role() == "data plane" => return Check::well("a data plane has none"),
            Err(trouble) if trouble.code == Trouble::NOT_RUNNING => {
                return Check::unknown("Kong does not run, so that nothing answers");
            }
            Err(trouble) => return Check::of(trouble),
        };
        let master = self.facts.master.as_ref().map(|master| master.process.0);
        if let (Some(theirs), Some(ours)) = (admin.master, master)
            && theirs != ours
        {
            let fix = "say in the inventory where the Admin API of this node listens (`admin: { listen: … }`)";
            let text = format!("another Kong answers: its master is {theirs}, and this node's is {ours}");
            return Check::wrong(text, vec![Hint::do_(fix)]);
        }
        if let Some(trouble) = &admin.rows_trouble {
            return Check::of(trouble);
        }
        let rows: usize = admin.rows.values().map(Vec::len).sum();
        let asked = admin.asked.words().map(|words| format!("; {words}")).unwrap_or_default();
        Check::well(format!("it answers: {} plugins loaded, {rows} rows of plugins{asked}", admin.loaded.len()))
    }
}
