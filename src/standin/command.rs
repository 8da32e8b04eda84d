//! The `kong` command line: texts and exit codes as measured.md 1 has them.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use super::effective::{Effective, Sources};
use super::prefix::{Making, Prefix};
use super::{Release, Settings, cycle, leash, load, rows, sandbox};

/// What a command yields: what it said already stands on standard output.
type Outcome = Result<(), Ended>;

/// How a command ends that did not go well.
enum Ended {
    /// `Error: TEXT` and the hint about `--v`, exit 1.
    Failed(String),
    /// Only this exit code; what there is to say was said.
    Code(u8),
}

impl From<String> for Ended {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(super::prefix::plain(&error))
    }
}

struct Kong {
    file: PathBuf,
    settings: Settings,
    environment: Vec<(String, String)>,
    conf: Option<PathBuf>,
    prefix: Option<PathBuf>,
    /// `--nginx-conf`.
    template: Option<PathBuf>,
    timeout: Duration,
    all: bool,
    words: Vec<String>,
}

const COMMANDS: &str = "Usage: kong COMMAND [OPTIONS]\n\nThe available commands are:\n check\n config\n health\n hybrid\n migrations\n \
prepare\n quit\n reload\n restart\n start\n stop\n version\n\nOptions:\n --v              verbose\n --vv             debug\n";

/// Runs one command of the CLI.
pub(super) fn run(file: PathBuf, args: Vec<OsString>) -> ExitCode {
    let kong = Settings::load(&file).map_err(|error| error.to_string()).and_then(|settings| {
        leash::attach(settings.leash.as_deref()).map_err(|error| format!("the stand-in's owner is gone: {error}"))?;
        Kong::parse(file, settings, args)
    });
    let outcome = kong.map_err(Ended::Failed).and_then(|kong| kong.dispatch());
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Ended::Code(code)) => ExitCode::from(code),
        Err(Ended::Failed(text)) => {
            complain(&format!("Error: {text}\n\n  Run with --v (verbose) or --vv (debug) for more details"));
            ExitCode::FAILURE
        }
    }
}

/// One line on standard error.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// `KONG_*` of the caller counts; the stand-in is a program of its own and has no `Env`.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Relative paths count from the caller's directory, and are kept absolute as the master has another one.
fn absolute(path: &str) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

impl Kong {
    fn parse(file: PathBuf, settings: Settings, args: Vec<OsString>) -> Result<Self, String> {
        let mut kong = Self {
            file,
            settings,
            environment: environment(),
            conf: None,
            prefix: None,
            template: None,
            timeout: Duration::from_secs(10),
            all: false,
            words: vec![],
        };
        let mut args = args.into_iter().map(|arg| arg.to_string_lossy().into_owned());
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("option {arg} needs a value"));
            match arg.as_str() {
                "-c" | "--conf" => kong.conf = Some(absolute(&value()?)),
                "-p" | "--prefix" => kong.prefix = Some(absolute(&value()?)),
                "-t" | "--timeout" => {
                    kong.timeout = Duration::from_secs(value()?.parse().map_err(|_| "bad timeout".to_owned())?);
                }
                "--nginx-conf" => kong.template = Some(absolute(&value()?)),
                "-w" | "--wait" => drop(value()?),
                "-a" | "--all" => kong.all = true,
                "--v" | "--vv" | "-f" | "--force" | "-y" | "--yes" | "-q" => {}
                option if option.starts_with('-') => return Err(format!("unknown option: {option}")),
                _ => kong.words.push(arg),
            }
        }
        Ok(kong)
    }

    fn dispatch(&self) -> Outcome {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        self.settings.linger(0.2);
        if let Some(outcome) = words.first().and_then(|word| shadowed(word)) {
            return outcome;
        }
        self.may_read(&words)?;
        match words.as_slice() {
            ["version"] => {
                self.version();
                Ok(())
            }
            ["check", rest @ ..] => self.check(rest.first().copied()),
            ["health"] => self.health(),
            ["prepare"] => self.prepared(&self.configuration()?).map(drop),
            ["start"] => self.start(),
            ["stop"] => self.stop(),
            ["quit"] => self.quit(),
            ["reload"] => self.reload(),
            ["restart"] => self.restart(),
            ["config", "parse", file] => self.config_parse(&absolute(file)),
            ["migrations", what] => self.migrations(what),
            ["hybrid", "gen_cert", cert, key] => {
                say(&super::clustering::certify(&absolute(cert), &absolute(key))?);
                Ok(())
            }
            _ => {
                complain(COMMANDS);
                Err(Ended::Code(1))
            }
        }
    }

    /// What every command but the simplest does first: it reads `.kong_env` of the prefix, where there is one (transcript 14, 1c).
    fn may_read(&self, words: &[&str]) -> Outcome {
        if !matches!(words, ["health" | "prepare" | "start" | "stop" | "quit" | "reload" | "restart"]) {
            return Ok(());
        }
        let Ok(config) = self.configuration() else { return Ok(()) };
        let prefix = Prefix::new(config.prefix());
        match prefix.read_env() {
            Err(problem) if problem.ends_with("Permission denied") => Err(problem.into()),
            _ => Ok(()),
        }
    }

    fn version(&self) {
        if self.all {
            let nginx = if self.settings.is_34() {
                ("10021", "1021004", "2.1.0-beta3")
            } else {
                ("10026", "1025003", "2.1.1700206165")
            };
            say(&format!(
                "Kong: {}\nngx_lua: {}\nnginx: {}\nLua: LuaJIT {}",
                self.settings.version, nginx.0, nginx.1, nginx.2
            ));
        } else if self.settings.edition == super::Edition::Enterprise {
            say(&format!("Kong Enterprise {}", self.settings.version));
        } else {
            say(&self.settings.version);
        }
    }

    /// The file of `-c`, which must exist, or the default one, which need not.
    fn conf_text(&self, given: Option<&Path>) -> Result<String, String> {
        match given {
            Some(path) => read_conf(path),
            None if self.settings.default_conf.exists() => read_conf(&self.settings.default_conf),
            None => Ok(String::new()),
        }
    }

    /// Defaults, file and environment, as `start` and `prepare` take them: `.kong_env` plays no part.
    fn configuration(&self) -> Result<Effective, String> {
        self.merge(&self.conf_text(self.conf.as_deref())?, self.prefix.as_deref())
    }

    fn merge(&self, file: &str, prefix: Option<&Path>) -> Result<Effective, String> {
        Effective::merge(&self.settings, &Sources { file, environment: &self.environment, prefix, secrets: None })
    }

    /// The prefix that `stop`, `health` and the like work on, which must exist.
    fn live_prefix(&self) -> Result<Prefix, String> {
        let prefix = Prefix::new(self.configuration()?.prefix());
        if prefix.exists() { Ok(prefix) } else { Err(format!("no such prefix: {}", prefix.dir().display())) }
    }

    fn check(&self, given: Option<&str>) -> Outcome {
        let path = given.map_or_else(|| self.settings.default_conf.clone(), absolute);
        match read_conf(&path).and_then(|text| self.merge(&text, None)) {
            Ok(_) => {
                say(&format!("configuration at {} is valid", path.display()));
                Ok(())
            }
            Err(problem) => {
                complain(&format!("{} [error] {problem}", super::clock::stamp()));
                Err(Ended::Code(1))
            }
        }
    }

    fn health(&self) -> Outcome {
        let prefix = self.live_prefix()?;
        prefix.read_env()?;
        let running = prefix.is_running();
        say(&format!("nginx.......{}\n", if running { "running" } else { "not running" }));
        if !running {
            return Err(Ended::Failed(format!("Kong is not running at {}", prefix.dir().display())));
        }
        say(&format!("Kong is healthy at {}", prefix.dir().display()));
        Ok(())
    }

    /// Writes the prefix: nginx files first, `.kong_env` last.
    fn prepared(&self, config: &Effective) -> Result<Prefix, Ended> {
        let prefix = Prefix::new(config.prefix());
        if !prefix.exists() {
            say(&format!("prefix directory {} not found, trying to create it", prefix.dir().display()));
        }
        prefix.create()?;
        let lua_path = self.environment.iter().find(|(name, _)| name == "LUA_PATH").map_or("", |(_, value)| value);
        let making = Making { template: self.template.as_deref(), lua_path, files: files() };
        prefix.write_nginx(config, making)?;
        prefix.write_env(config)?;
        match config.secrets() {
            Some(secrets) => prefix.put_secrets(&secrets)?,
            None => prefix.drop_secrets(),
        }
        Ok(prefix)
    }

    fn start(&self) -> Outcome {
        let config = self.configuration()?;
        let prefix = Prefix::new(config.prefix());
        if prefix.is_running() {
            return Err(Ended::Failed(format!("Kong is already running in {}", prefix.dir().display())));
        }
        let prefix = self.prepared(&config)?;
        cycle::connect(&self.settings, &config)?;
        self.launch(&prefix, config.get("nginx_daemon") == "off")?;
        say("Kong started");
        Ok(())
    }

    /// Starts a master and waits for its word. In the foreground it stays until the master ends.
    fn launch(&self, prefix: &Prefix, foreground: bool) -> Outcome {
        let mut child = launched(&self.file, &self.settings, prefix)
            .map_err(|word| format!("/usr/local/share/lua/5.1/kong/cmd/start.lua:99: {word}\n"))?;
        if foreground {
            child.wait()?;
        }
        Ok(())
    }

    fn signal(prefix: &Prefix, signal: Signal) -> Outcome {
        let sent = prefix.is_running() && prefix.pid().is_some_and(|pid| kill(pid, signal).is_ok());
        if sent {
            Ok(())
        } else {
            Err(Ended::Failed(format!("nginx not running in prefix: {}", prefix.dir().display())))
        }
    }

    fn stop(&self) -> Outcome {
        let prefix = self.live_prefix()?;
        prefix.read_env()?;
        Self::signal(&prefix, Signal::SIGTERM)?;
        // Kong's own command takes about this long to end; it does not wait for the master either.
        gone(&prefix, Duration::from_millis(200));
        say("Kong stopped");
        Ok(())
    }

    fn quit(&self) -> Outcome {
        let prefix = self.live_prefix()?;
        prefix.read_env()?;
        Self::signal(&prefix, Signal::SIGQUIT)?;
        if gone(&prefix, self.timeout.max(Duration::from_secs(1))) {
            say("Kong stopped (gracefully)");
        } else {
            Self::signal(&prefix, Signal::SIGTERM)?;
            say("Timeout, Kong stopped forcefully");
        }
        Ok(())
    }

    /// The steps of Kong's own `reload` (facts.md A5): nothing in it waits for what the master makes of the signal.
    fn reload(&self) -> Outcome {
        let given = self.conf_text(self.conf.as_deref())?;
        let first = self.merge(&given, self.prefix.as_deref())?;
        let prefix = Prefix::new(first.prefix());
        if !prefix.exists() {
            return Err(Ended::Failed(format!("no such prefix: {}", prefix.dir().display())));
        }
        let mut text = prefix.read_env()?;
        if self.conf.is_some() {
            text = format!("{text}\n{given}");
            prefix.put_env(&text)?;
        }
        let mut config = self.merge(&text, Some(prefix.dir()))?;
        if first.get("declarative_config").is_empty() {
            config.forget("declarative_config");
        }
        self.prepared(&config)?;
        if self.settings.release() > Release::Upto28 {
            // 2.8 signals without a look at the database (measured.md 13).
            cycle::connect(&self.settings, &config)?;
        }
        Self::signal(&prefix, Signal::SIGHUP)?;
        say("Kong reloaded");
        Ok(())
    }

    /// Stops by the prefix, then starts from the file, the environment and the defaults alone.
    fn restart(&self) -> Outcome {
        let prefix = Prefix::new(self.configuration()?.prefix());
        if Self::signal(&prefix, Signal::SIGTERM).is_ok() {
            gone(&prefix, Duration::from_secs(5));
            say("Kong stopped");
        }
        self.start()
    }

    /// The preflight that really loads plugins: nothing of a node is touched (measured.md 3).
    fn config_parse(&self, file: &Path) -> Outcome {
        let config = self.configuration()?;
        cycle::connect(&self.settings, &config)?;
        let path = format!("./?.lua;./?/init.lua;{};;", config.get("lua_package_path"));
        let generation = load::load(&self.settings, &config, &path).map_err(|problem| of_the_command(&problem))?;
        super::declarative::file(file, |name| generation.has(name)).map_err(|problem| {
            let text = problem.split_once('\n').map_or(problem.as_str(), |(_, rest)| rest);
            format!("Failed parsing:\n{text}")
        })?;
        say("parse successful");
        Ok(())
    }

    fn migrations(&self, what: &str) -> Outcome {
        let config = self.configuration()?;
        let Some(database) = cycle::connect(&self.settings, &config)? else {
            return Err(Ended::Failed("Cannot run migrations without a database".into()));
        };
        let path = format!("{};;", config.get("lua_package_path"));
        let generation = load::load(&self.settings, &config, &path)?;
        let all = database.read()?;
        let pending: Vec<String> = cycle::pending_migrations(&all, &generation).map(str::to_owned).collect();
        match what {
            "list" if pending.is_empty() => Ok(()),
            "list" => {
                say(&format!(
                    "\nNew migrations available:\n{}\n\nRun 'kong migrations up' to proceed",
                    pending.join("\n")
                ));
                Err(Ended::Code(5))
            }
            "up" | "bootstrap" => Self::migrate(&database, &pending),
            other => Err(Ended::Failed(format!("the stand-in has no 'migrations {other}'"))),
        }
    }

    fn migrate(database: &rows::Database, pending: &[String]) -> Outcome {
        database.change(|all| {
            let ran = all.entry("migrations").or_insert_with(|| serde_json::json!([]));
            if let Some(list) = ran.as_array_mut() {
                list.extend(pending.iter().map(|name| name.as_str().into()));
            }
        })?;
        for name in pending {
            say(&format!("migrating {name} on database 'kong'...\n{name} migrated up to: 000_base (executed)"));
        }
        match pending.len() {
            0 => say("Database is already up-to-date"),
            count => {
                say(&format!("{count} migration{} processed\n{count} executed", if count == 1 { "" } else { "s" }));
            }
        }
        Ok(())
    }
}

/// Starts a master in the background, and waits for its word; the error is nginx's.
fn launched(file: &Path, settings: &Settings, prefix: &Prefix) -> Result<std::process::Child, String> {
    let start = || {
        let (mut ours, theirs) = UnixStream::pair()?;
        let title =
            format!("nginx: master process {} -p {} -c nginx.conf", settings.nginx.display(), prefix.dir().display());
        let child = Command::new("/proc/self/exe")
            .arg0(title)
            .arg(super::ARGUMENT)
            .args([file.as_os_str(), "master".as_ref(), prefix.dir().as_os_str()])
            .env_clear()
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut word = String::new();
        ours.read_to_string(&mut word)?;
        Ok((child, word))
    };
    let (mut child, word) = start().map_err(|error: std::io::Error| super::prefix::plain(&error))?;
    if word == "ok" {
        return Ok(child);
    }
    let _ = child.wait();
    Err(word)
}

/// What `nginx` does that goes into the background.
pub(super) fn background(file: &Path, settings: &Settings, prefix: &Prefix) -> ExitCode {
    match launched(file, settings, prefix) {
        Ok(_) => ExitCode::SUCCESS,
        Err(word) => {
            complain(&word);
            ExitCode::FAILURE
        }
    }
}

/// How many files this process may open, as Kong takes it for the node: at most 16384, with a word about less than 4096.
fn files() -> u64 {
    let limit =
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    if limit < 4096 {
        complain(&format!(
            "{} [warn] ulimit is currently set to \"{limit}\". For better performance set it to at least \"4096\" using \"ulimit -n\"",
            super::clock::stamp()
        ));
    }
    limit.min(16_384)
}

/// The CLI loads `./kong/…` of the directory that it is called in before its own modules (measured.md 4, "cwd traps").
fn shadowed(word: &str) -> Option<Outcome> {
    let module = std::fs::read(format!("./kong/cmd/{word}.lua")).ok()?;
    Some(sandbox::run_command(&module).map_err(|error| Ended::Failed(error.to_string())))
}

/// What fails in the master, as the command says it: for a plugin without files it looks for a plugin server, which it cannot
/// here; of any other message the first two fields are lost (facts.md A5; measured.md 3, 12).
fn of_the_command(problem: &str) -> String {
    if problem.contains(" plugin is enabled but not installed;") {
        return "attempt to index upvalue 'kong' (a nil value)".to_owned();
    }
    let place = problem.strip_prefix("/usr/local/share/lua/5.1/kong/init.lua:").and_then(|rest| rest.split_once(": "));
    let text = place.map_or(problem, |(_, text)| text).replace(": [off] ", ": [declarative] ");
    text.splitn(3, ':').nth(2).unwrap_or(&text).trim_start().to_owned()
}

fn read_conf(path: &Path) -> Result<String, String> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(format!("no file at: {}", path.display())),
        Err(error) => Err(format!("could not load config file: {}: {}", path.display(), super::prefix::plain(&error))),
    }
}

/// Whether the master went within this time.
fn gone(prefix: &Prefix, within: Duration) -> bool {
    let deadline = Instant::now() + within;
    while prefix.is_running() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}
