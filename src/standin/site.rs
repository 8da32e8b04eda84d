//! Making stand-in nodes: a directory with kong.conf, prefix, Lua root, settings and the `kong` wrapper.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::unistd::Pid;

use super::{Settings, write_wrapper};

/// Kong's usual ports: proxy, Admin API, status API.
pub const PROXY: u16 = 8000;
/// The Admin API.
pub const ADMIN: u16 = 8001;
/// The status API.
pub const STATUS: u16 = 8007;
/// Where a control plane takes data planes.
pub const CLUSTER: u16 = 8005;

/// What a node is to be.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// The program that is the stand-in: `muster` itself.
    pub binary: PathBuf,
    /// Listens on this address, on Kong's usual ports. See [`draw`].
    pub address: Ipv4Addr,
    /// The `plugins` directive.
    pub plugins: String,
    /// Worker processes.
    pub workers: usize,
    /// Further lines of kong.conf, key and value.
    pub lines: Vec<(String, String)>,
    /// Leash, version, database, faults. Paths of the node itself are filled in.
    pub settings: Settings,
}

impl NodeSpec {
    /// A node with `bundled` plugins and one worker process.
    pub fn new(binary: &Path, address: Ipv4Addr) -> Self {
        let settings = Settings::default();
        Self { binary: binary.to_owned(), address, plugins: "bundled".into(), workers: 1, lines: vec![], settings }
    }
}

/// A stand-in node on disk. Dropping it changes nothing: the leash ends its processes, the caller removes the directory.
#[derive(Debug, Clone)]
pub struct Node {
    /// Everything of the node.
    pub dir: PathBuf,
    /// `kong`, the wrapper.
    pub kong: PathBuf,
    /// kong.conf, which is also what the node takes as the default path.
    pub conf: PathBuf,
    /// The prefix.
    pub prefix: PathBuf,
    /// Where `kong/plugins/NAME` is looked for.
    pub lua_root: PathBuf,
    /// `standin.json`.
    pub file: PathBuf,
    /// The loopback address.
    pub address: Ipv4Addr,
}

impl Node {
    /// Writes a node into `dir`, which is created. With `settings.database` the node is a traditional one, else it is
    /// DB-less. Nothing is started. Fails as the file system fails.
    pub fn create(dir: &Path, spec: &NodeSpec) -> io::Result<Self> {
        let node = Self {
            dir: dir.to_owned(),
            kong: dir.join("bin/kong"),
            conf: dir.join("etc/kong.conf"),
            prefix: dir.join("prefix"),
            lua_root: dir.join("lua"),
            file: dir.join("standin.json"),
            address: spec.address,
        };
        for name in ["bin", "etc", "lua/kong/plugins"] {
            fs::create_dir_all(dir.join(name))?;
        }
        // Workers of a master that is root may run as somebody else.
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
        fs::write(&node.conf, node.conf_text(spec))?;
        node.say_version(&spec.settings.version)?;
        let settings = Settings {
            default_conf: node.conf.clone(),
            default_prefix: node.prefix.clone(),
            lua_root: node.lua_root.clone(),
            ..spec.settings.clone()
        };
        settings.store(&node.file)?;
        write_wrapper(&node.kong, &spec.binary, &node.file)?;
        Ok(node)
    }

    fn say_version(&self, version: &str) -> io::Result<()> {
        fs::write(self.dir.join("lua/kong/meta.lua"), meta(version))
    }

    /// Puts the files of another release onto the node, as a package does: the command is of that one at once, what runs only
    /// after its next load.
    pub fn install_release(&self, version: &str) -> io::Result<()> {
        self.say_version(version)?;
        self.change(|settings| version.clone_into(&mut settings.version))
    }

    fn conf_text(&self, spec: &NodeSpec) -> String {
        let address = spec.address;
        let database = if spec.settings.database.is_some() { "postgres" } else { "off" };
        let mut text = format!(
            "# kong.conf of a stand-in node\nprefix = {}\ndatabase = {database}\nplugins = {}\nproxy_listen = {address}:{PROXY}\n\
             admin_listen = {address}:{ADMIN}\nstatus_listen = {address}:{STATUS}\nadmin_gui_listen = off\n\
             anonymous_reports = off\nlog_level = notice\nnginx_main_worker_processes = {}\n",
            self.prefix.display(),
            spec.plugins,
            spec.workers,
        );
        for (key, value) in &spec.lines {
            let _ = writeln!(text, "{key} = {value}");
        }
        text
    }

    /// The wrapper as a command, in `/` and without any `KONG_*` of the caller.
    pub fn kong(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.kong);
        command.args(args).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
        command
    }

    /// `kong start -c CONF`. Fails with what the command said.
    pub fn start(&self) -> io::Result<()> {
        self.run(&["start", "-c"])
    }

    /// `kong stop -c CONF`. Fails with what the command said, also when the node does not run.
    pub fn stop(&self) -> io::Result<()> {
        self.run(&["stop", "-c"])
    }

    fn run(&self, args: &[&str]) -> io::Result<()> {
        let Output { status, stderr, .. } = self.kong(args).arg(&self.conf).output()?;
        if status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "kong {} on {}: {}",
            args[0],
            self.dir.display(),
            String::from_utf8_lossy(&stderr).trim()
        )))
    }

    /// Kills every process of the node with -9, master first, as a power cut does. `pids/nginx.pid` stays.
    pub fn cut_power(&self) -> io::Result<()> {
        use nix::sys::signal::{SIGKILL, kill};
        let Some(master) = self.master() else { return Ok(()) };
        // A stopped master cannot replace a worker between the list and the kill.
        kill(Pid::from_raw(master), nix::sys::signal::SIGSTOP)?;
        let workers = children(master)?;
        for pid in std::iter::once(master).chain(workers) {
            kill(Pid::from_raw(pid), SIGKILL)?;
        }
        Ok(())
    }

    /// The master's pid, from pids/nginx.pid.
    pub fn master(&self) -> Option<i32> {
        fs::read_to_string(self.prefix.join("pids/nginx.pid")).ok()?.trim().parse().ok()
    }

    /// Changes the settings; a running node reads them at its next command, HUP or Admin request.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) -> io::Result<()> {
        let mut settings = Settings::load(&self.file)?;
        change(&mut settings);
        settings.store(&self.file)
    }

    /// Writes a plugin of a handler and a schema below the Lua root, world-readable.
    pub fn plugin(&self, name: &str, handler: &str, schema: &str) -> io::Result<PathBuf> {
        let home = self.lua_root.join("kong/plugins").join(name);
        fs::create_dir_all(&home)?;
        fs::write(home.join("handler.lua"), handler)?;
        fs::write(home.join("schema.lua"), schema)?;
        Ok(home)
    }

    /// `http://ADDRESS:8001`.
    pub fn admin(&self) -> String {
        format!("http://{}:{ADMIN}", self.address)
    }
}

/// The pids of all children of a process.
fn children(parent: i32) -> io::Result<Vec<i32>> {
    let pids = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)) == Some(&parent.to_string())
    };
    Ok(pids.filter(is_child).collect())
}

/// Where a Kong says on disk which release it is.
fn meta(version: &str) -> String {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    let (major, minor, patch) = (next(), next(), next());
    format!(
        "-- of a stand-in node\nlocal version = {{\n  major = {major},\n  minor = {minor},\n  patch = {patch},\n}}\n\n\
         return {{\n  _NAME = \"kong\",\n  _VERSION = \"{version}\",\n  version = version,\n}}\n"
    )
}

/// A loopback address on which Kong's ports are free: `127.R.S.N` for the given N, with R and S drawn until bind works,
/// so that fleets of several runs do not meet. Linux only. Fails when 100 draws found none.
pub fn draw(last: u8) -> io::Result<Ipv4Addr> {
    for _ in 0..100 {
        let drawn = super::clock::uuid().into_bytes();
        let octet =
            |at: usize| 1 + u8::from_str_radix(&String::from_utf8_lossy(&drawn[at..at + 2]), 16).unwrap_or(0) % 253;
        let address = Ipv4Addr::new(127, octet(0), octet(2), last);
        if [PROXY, ADMIN, STATUS, CLUSTER].iter().all(|port| TcpListener::bind((IpAddr::V4(address), *port)).is_ok()) {
            return Ok(address);
        }
    }
    Err(io::Error::other("no loopback address with free ports 8000, 8001, 8005 and 8007 was found in 100 draws"))
}
