//! `standin.json`: what one stand-in node is told by its owner.
//!
//! A file and never environment variables, as `KONG_*` and cleared environments are what is under test. It is read
//! again at every command of the CLI, at every HUP and at every Admin request, so that a test can switch a fault on
//! while the node runs.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Everything that a stand-in node is told apart from its Kong configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Unix socket that every process connects to, and dies with. `None`: the node outlives whoever made it.
    pub leash: Option<PathBuf>,
    /// The Kong release that is imitated: `3.9.1` or `3.4.2` (measured.md 13).
    pub version: String,
    /// The cluster's database file; what `database = postgres` means. `None`: the database does not answer.
    pub database: Option<PathBuf>,
    /// Factor on the times that a real Kong takes for a command and a load; 0 is as fast as it goes.
    pub time_scale: f64,
    /// What `/etc/kong/kong.conf` is for this node, as several nodes live on one machine.
    pub default_conf: PathBuf,
    /// What `/usr/local/kong` is for this node: the prefix when nothing names one.
    pub default_prefix: PathBuf,
    /// The directory behind `;;` in `lua_package_path`: `/usr/local/share/lua/5.1` on a packaged Kong.
    pub lua_root: PathBuf,
    /// The nginx binary shown in the master's title.
    pub nginx: PathBuf,
    /// The user that workers change to when the master is root, as `nginx_main_user` does. `None`: they stay.
    pub worker_user: Option<String>,
    /// How long a change in the database takes to reach a worker, in seconds (8.6 at most on a real node).
    pub propagation: f64,
    /// The edition that is imitated.
    pub edition: Edition,
    /// Who may do what in the Admin API of an Enterprise node. Empty: RBAC is not enforced.
    pub rbac: Vec<RbacUser>,
    /// What goes wrong on purpose.
    pub faults: Faults,
}

/// Which Kong is imitated. Nothing of Enterprise was measured: it is what its documentation says (facts.md, marked DOC).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Edition {
    /// Kong Gateway OSS.
    #[default]
    Community,
    /// Kong Gateway Enterprise: workspaces, RBAC, consumer groups.
    Enterprise,
}

/// A user of the Admin API, known by a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RbacUser {
    /// Stands in the answer that refuses something.
    pub name: String,
    /// What `Kong-Admin-Token` has to say.
    pub token: String,
    /// Without any right in a workspace the user does not exist there.
    pub rights: Vec<Right>,
}

/// Permissions on endpoints of one workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Right {
    /// A workspace's name, or `*`.
    pub workspace: String,
    /// `*`, or a path of which `*` stands for one segment: `/plugins/*`.
    pub endpoint: String,
    /// Of `read`, `create`, `update`, `delete`.
    pub actions: Vec<String>,
    /// Takes these away, whatever else is given.
    pub negative: bool,
}

/// Faults that tests and the demo switch on and off.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "faults are switched one by one, and any of them go together")]
pub struct Faults {
    /// Seconds that the master works on each load before it reads plugins.
    pub slow_load: f64,
    /// The master never comes back from a load while this is set.
    pub endless_load: bool,
    /// Admin connections are closed without an answer.
    pub admin_gone: bool,
    /// The database refuses connections.
    pub database_gone: bool,
    /// A control plane holds no connection of a data plane, so that what it shows of them grows old.
    pub cluster_gone: bool,
}

/// What the stand-in tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// 2.8, as far as it is looked at: only what answers differently (facts.md C1, C6, A5).
    Upto28,
    /// 3.4 (measured.md 13).
    Upto34,
    /// 3.9 and everything else.
    Since39,
}

impl Release {
    /// The release of a version such as `3.4.2`.
    pub fn of(version: &str) -> Self {
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(9));
        match (numbers.next(), numbers.next()) {
            (Some(..3), _) => Self::Upto28,
            (Some(3), Some(..=4)) => Self::Upto34,
            _ => Self::Since39,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            leash: None,
            version: "3.9.1".to_owned(),
            database: None,
            time_scale: 0.0,
            default_conf: "/etc/kong/kong.conf".into(),
            default_prefix: "/usr/local/kong".into(),
            lua_root: "/usr/local/share/lua/5.1".into(),
            nginx: "/usr/local/openresty/nginx/sbin/nginx".into(),
            worker_user: None,
            propagation: 0.0,
            edition: Edition::Community,
            rbac: vec![],
            faults: Faults::default(),
        }
    }
}

impl Settings {
    /// Reads FILE. Fails when it cannot be read or holds something that this version does not know.
    pub fn load(file: &Path) -> std::io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(file)?)?)
    }

    /// Writes FILE beside and renames, so that a process reading at this moment sees the old one or the new one.
    pub fn store(&self, file: &Path) -> std::io::Result<()> {
        let beside = file.with_extension("json.new");
        std::fs::write(&beside, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(beside, file)
    }

    /// Which release is imitated.
    pub fn release(&self) -> Release {
        Release::of(&self.version)
    }

    /// Whether a release from before the settings of 3.9 is imitated.
    pub fn is_34(&self) -> bool {
        self.release() < Release::Since39
    }

    /// The database file, if the database answers.
    pub fn reachable_database(&self) -> Option<&Path> {
        self.database.as_deref().filter(|_| !self.faults.database_gone)
    }

    /// How long a real Kong takes `seconds`, by the time scale, and never less than `least` milliseconds.
    pub(super) fn scaled(&self, seconds: f64, least: u64) -> std::time::Duration {
        let scaled = std::time::Duration::from_secs_f64((seconds * self.time_scale).max(0.0));
        scaled.max(std::time::Duration::from_millis(least))
    }

    /// Takes as long as a real Kong takes `seconds`, by the time scale.
    pub fn linger(&self, seconds: f64) {
        if self.time_scale > 0.0 {
            std::thread::sleep(std::time::Duration::from_secs_f64(seconds * self.time_scale));
        }
    }
}

/// Writes the two-line `kong` that starts the stand-in: a script and not a link named `kong`, as the path look-up
/// leaves no directory in `argv[0]` and nobody's link must turn a release binary into a gateway (seams.md 3).
///
/// A shell of its own writes it: were the file ever open for writing in this process, a thread that starts a program
/// meanwhile would hand the descriptor on for a moment, and running the wrapper would fail with "Text file busy" (seen).
///
/// Beside it goes `nginx`, for the units and containers that start that themselves, unless something is there.
pub fn write_wrapper(path: &Path, binary: &Path, file: &Path) -> std::io::Result<()> {
    write_part(path, binary, file, "kong")?;
    let nginx = path.with_file_name("nginx");
    if nginx.exists() { Ok(()) } else { write_part(&nginx, binary, file, "nginx") }
}

fn write_part(path: &Path, binary: &Path, file: &Path, part: &str) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let text = format!("#!/bin/sh\nexec {} --stand-in {} {part} \"$@\"\n", quoted(binary), quoted(file));
    let mut shell = std::process::Command::new("/bin/sh");
    let status = shell.args(["-c", r#"printf %s "$1" > "$2""#, "sh"]).arg(text).arg(path).status()?;
    if !status.success() {
        return Err(std::io::Error::other(format!("{} could not be written by /bin/sh ({status})", path.display())));
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_as_they_were_stored() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("standin.json");
        let mut settings = Settings { version: "3.4.2".into(), ..Settings::default() };
        settings.faults.slow_load = 2.5;
        settings.store(&file).unwrap();
        assert_eq!(Settings::load(&file).unwrap(), settings);
    }

    #[test]
    fn releases_are_told_apart_by_their_first_two_numbers() {
        let of = |text| Release::of(text);
        assert_eq!([of("2.8.5"), of("3.4.2"), of("3.9.1")], [Release::Upto28, Release::Upto34, Release::Since39]);
        assert_eq!([of("3.10.0"), of("3.0.0")], [Release::Since39, Release::Upto34]);
    }

    #[test]
    fn a_mistyped_fault_is_an_error_and_not_a_fault_that_never_happens() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("standin.json");
        std::fs::write(&file, r#"{"faults":{"slowload":1}}"#).unwrap();
        assert!(Settings::load(&file).is_err());
    }

    #[test]
    fn a_wrapper_survives_a_quote_and_a_blank_in_its_paths() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("it's a dir");
        std::fs::create_dir(&odd).unwrap();
        let (kong, echo) = (odd.join("kong"), Path::new("/bin/echo"));
        write_wrapper(&kong, echo, &odd.join("s.json")).unwrap();
        let out = std::process::Command::new(&kong).arg("two words").output().unwrap();
        let expected = format!("--stand-in {} kong two words\n", odd.join("s.json").display());
        assert_eq!(String::from_utf8_lossy(&out.stdout), expected);
    }

    #[test]
    fn what_takes_seconds_on_a_real_node_takes_its_share_and_never_nothing_where_that_would_spin() {
        let at = |time_scale: f64| Settings { time_scale, ..Settings::default() };
        assert_eq!(at(0.0).scaled(5.0, 50).as_millis(), 50);
        assert_eq!(at(0.1).scaled(5.0, 50).as_millis(), 500);
        assert_eq!(at(0.0).scaled(1.0, 0).as_millis(), 0);
    }
}
