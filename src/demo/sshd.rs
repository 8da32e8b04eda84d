//! Real sshd in front of the demo's gateways: for each connection an `sshd -i` on one end of a socket pair, the bytes carried
//! in between by us.
//!
//! So there is no daemon and no port to choose, and nothing outlives this process: when it is gone, however, the sockets
//! close, sshd ends and so does the ssh on the other side (seams.md 4: handing over the accepted socket itself leaks both).

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Pair;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::process::Command;
use tokio::task::JoinSet;

/// How long a first login may take before the demo goes on without ssh.
const PATIENCE: Duration = Duration::from_secs(10);

/// One door for each node; dropping it closes them all.
pub(super) struct Doors {
    config: PathBuf,
    _open: JoinSet<()>,
}

/// The programs that are needed.
struct Programs {
    sshd: PathBuf,
    ssh: PathBuf,
    keygen: PathBuf,
}

/// What an sshd is started with.
struct Server {
    program: PathBuf,
    config: PathBuf,
}

impl Doors {
    /// Opens a door on each of these addresses; files go below `dir`. The error says in words why there is no sshd that lets
    /// us in: a missing program, a machine where it cannot run.
    pub(super) async fn open(dir: &Path, nodes: &[(&str, Ipv4Addr)], path: &str) -> Result<Self, String> {
        let programs = Programs::find(path)?;
        let doors = Self::made(dir, nodes, &programs).await.map_err(|error| format!("sshd cannot be used: {error}"))?;
        doors.enter(&programs, nodes).await?;
        Ok(doors)
    }

    async fn made(dir: &Path, nodes: &[(&str, Ipv4Addr)], programs: &Programs) -> io::Result<Self> {
        for key in ["host", "id"] {
            let arguments = ["-q", "-t", "ed25519", "-N", "", "-C", "muster-demo", "-f"];
            run(Command::new(&programs.keygen).args(arguments).arg(dir.join(key))).await?;
        }
        let server = Arc::new(Server { program: programs.sshd.clone(), config: dir.join("sshd_config") });
        std::fs::write(&server.config, server_config(dir))?;
        run(Command::new(&server.program).arg("-t").arg("-f").arg(&server.config)).await?;
        let public = std::fs::read_to_string(dir.join("host.pub"))?;
        let (mut hosts, mut known, mut open) = (String::new(), String::new(), JoinSet::new());
        for (name, address) in nodes {
            let listener = TcpListener::bind(SocketAddr::from((*address, 0))).await?;
            let port = listener.local_addr()?.port();
            let _ = writeln!(hosts, "Host {name}\n  HostName {address}\n  Port {port}");
            let _ = writeln!(known, "[{address}]:{port} {}", public.trim());
            open.spawn(accept(listener, server.clone()));
        }
        let config = dir.join("ssh_config");
        std::fs::write(dir.join("known_hosts"), known)?;
        std::fs::write(&config, hosts + &client_config(dir))?;
        Ok(Self { config, _open: open })
    }

    /// Whether one of us is let in at all: an account may be locked, a shell may refuse.
    async fn enter(&self, programs: &Programs, nodes: &[(&str, Ipv4Addr)]) -> Result<(), String> {
        let Some((name, _)) = nodes.first() else { return Ok(()) };
        let mut ssh = Command::new(&programs.ssh);
        ssh.arg("-F").arg(&self.config).args(["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", name, "true"]);
        let entered = tokio::time::timeout(PATIENCE, run(&mut ssh)).await;
        match entered {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("sshd does not let us in: {error}")),
            Err(_) => Err("sshd does not answer".to_owned()),
        }
    }

    /// The ssh configuration that leads through the doors.
    pub(super) fn config(&self) -> &Path {
        &self.config
    }
}

impl Programs {
    fn find(path: &str) -> Result<Self, String> {
        let find = |name: &str| {
            let dirs = path.split(':').chain(["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin"]);
            let found = dirs.map(|dir| Path::new(dir).join(name)).find(|file| file.is_absolute() && file.is_file());
            found.ok_or_else(|| format!("there is no {name} here"))
        };
        Ok(Self { sshd: find("sshd")?, ssh: find("ssh")?, keygen: find("ssh-keygen")? })
    }
}

fn server_config(dir: &Path) -> String {
    let dir = dir.display();
    // SHLVL: bash would read the login user's ~/.bashrc for every command otherwise (seams.md 4).
    format!(
        "HostKey {dir}/host\nAuthorizedKeysFile {dir}/id.pub\nStrictModes no\nUsePAM no\nPidFile none\nLogLevel ERROR\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nSetEnv SHLVL=9\n"
    )
}

fn client_config(dir: &Path) -> String {
    let dir = dir.display();
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    let user = user.map(|user| format!("  User {}\n", user.name)).unwrap_or_default();
    format!(
        "Host *\n{user}  IdentityFile {dir}/id\n  IdentitiesOnly yes\n  UserKnownHostsFile {dir}/known_hosts\n  \
         GlobalKnownHostsFile /dev/null\n  KexAlgorithms curve25519-sha256\n"
    )
}

/// Runs a program to its end; an error has what it said.
async fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(io::Error::other(said.trim().chars().filter(|c| !c.is_control()).take(200).collect::<String>()))
}

async fn accept(listener: TcpListener, server: Arc<Server>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(carry(stream, server.clone()))),
                // Such as too many open files: the next may be luckier, the processor is not to be kept busy with it.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, to its end. What goes wrong shows on the ssh's side.
async fn carry(mut stream: TcpStream, server: Arc<Server>) {
    // Without it every small packet waits some 40 ms (seams.md 4).
    drop(stream.set_nodelay(true));
    let started = server.start();
    if let Err(error) = &started {
        tracing::warn!(%error, "sshd of the demo was not started");
    }
    if let Ok((mut pair, mut child)) = started {
        drop(copy_bidirectional(&mut stream, &mut pair).await);
        drop((stream, pair));
        drop(child.wait().await);
    }
}

impl Server {
    fn start(&self) -> io::Result<(UnixStream, tokio::process::Child)> {
        let (ours, theirs) = Pair::pair()?;
        ours.set_nonblocking(true)?;
        let output: OwnedFd = theirs.try_clone()?.into();
        let child = Command::new(&self.program)
            .args(["-i", "-f"])
            .arg(&self.config)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(output))
            .stderr(Stdio::null())
            // A Ctrl-C at the terminal is for muster; what it means for the nodes is muster's to say.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok((UnixStream::from_std(ours)?, child))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn where_a_program_is_missing_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let found = Programs::find(dir.path().to_str().unwrap());
        if let Err(why) = found {
            assert!(why.starts_with("there is no ssh"), "{why}");
        }
    }

    #[test]
    fn the_operator_s_files_are_not_touched_by_the_demo_s_ssh() {
        let text = client_config(Path::new("/demo"));
        for line in ["IdentityFile /demo/id", "UserKnownHostsFile /demo/known_hosts", "GlobalKnownHostsFile /dev/null"]
        {
            assert!(text.contains(line), "{text}");
        }
        assert!(server_config(Path::new("/demo")).contains("SetEnv SHLVL=9"));
    }
}
