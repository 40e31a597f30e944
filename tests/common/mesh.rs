//! Other hosts: each with a network, process table and home of its own (all
//! three are namespaces), a real sshd, and a cable to one switch; and a
//! program `vssh` that reaches them. They end with the value, or with the test.

use super::{proc, wait_until};
use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

const VSSH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vssh/vssh");
const PATIENCE: Duration = Duration::from_secs(30);

/// What makes a host different from the others.
#[derive(Clone, Copy)]
pub struct Kind {
    /// How much fits into its home, in KiB.
    pub space: u32,
    /// What is put there becomes this user's.
    pub owner: Option<u32>,
}

/// A host like any other.
pub const PLAIN: Kind = Kind {
    space: 64 * 1024,
    owner: None,
};

/// Some hosts and their switch.
pub struct Mesh {
    dir: PathBuf,
    switch: Child,
    hosts: Vec<Host>,
}

struct Host {
    name: String,
    address: String,
    kind: Kind,
    /// Outside of its process table.
    outer: Child,
    /// Its sshd.
    pid: u32,
}

impl Mesh {
    /// Plain hosts of these names. `dir` is made.
    pub fn new(dir: &Path, names: &[&str]) -> Self {
        let hosts: Vec<_> = names.iter().map(|name| (*name, PLAIN)).collect();
        Self::of(dir, &hosts)
    }

    /// Hosts of all kinds.
    pub fn of(dir: &Path, hosts: &[(&str, Kind)]) -> Self {
        fs::create_dir(dir).expect("a folder");
        fs::copy(VSSH, dir.join("vssh")).expect("the program");
        keygen(&dir.join("key"));
        // Without a process in it a network is gone, and its cables with it.
        let mut switch = isolated(&["--net"]);
        let switch = switch
            .args(["sleep", "infinity"])
            .spawn()
            .expect("a switch");
        let mut mesh = Self {
            dir: dir.to_owned(),
            switch,
            hosts: Vec::new(),
        };
        wait_until("the switch has its network", PATIENCE, || {
            (comm(mesh.switch.id()) == "sleep").then_some(())
        });
        ip(
            mesh.switch.id(),
            "link set lo up\nlink add br0 type bridge\nlink set br0 up\n\
             addr add 10.77.0.254/24 dev br0\n",
        );
        for (name, kind) in hosts {
            mesh.add(name, *kind);
        }
        mesh
    }

    /// One more host.
    pub fn add(&mut self, name: &str, kind: Kind) {
        let number = self.hosts.len() + 1;
        let address = format!("10.77.0.{number}");
        let files = self.dir.join(name);
        fs::create_dir(&files).expect("a folder");
        keygen(&files.join("host_key"));
        let config = "ListenAddress 0.0.0.0\nPort 22\nHostKey /run/node/host_key\n\
            AuthorizedKeysFile /run/node/authorized\nPidFile none\nUsePAM no\nUseDNS no\n\
            PermitRootLogin prohibit-password\nPasswordAuthentication no\n\
            KbdInteractiveAuthentication no\nStrictModes no\nPrintMotd no\n\
            MaxStartups 100:30:200\n";
        fs::write(files.join("config"), config).expect("the configuration");
        fs::copy(self.dir.join("key.pub"), files.join("authorized")).expect("the key");
        // Every place that a session may write to is the host's own.
        let setup = format!(
            "set -e; mount --make-rprivate /; mount -t tmpfs none /run; mkdir -p /run/sshd; \
             cp -r {files} /run/node; \
             for place in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o mode=1777 none $place; done; \
             mount -t tmpfs -o mode=700,size={space}k none /root; cd /; \
             exec /usr/sbin/sshd -D -e -f /run/node/config",
            files = files.display(),
            space = kind.space
        );
        let log = fs::File::create(files.join("log")).expect("a log");
        let outer = isolated(&[
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child=KILL",
        ])
        .args(["bash", "-c", &setup])
        .stderr(log)
        .spawn()
        .expect("a host");
        let id = outer.id();
        let mut host = Host {
            name: name.to_owned(),
            address: address.clone(),
            kind,
            outer,
            pid: 0,
        };
        let log = || fs::read_to_string(files.join("log")).unwrap_or_default();
        host.pid = wait_until(&format!("sshd of {name} runs"), PATIENCE, || {
            if let Some(status) = host.outer.try_wait().expect("waiting") {
                panic!("{name} ended with {status}: {}", log());
            }
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
            let pid = children.split_whitespace().next()?.parse().ok()?;
            (comm(pid) == "sshd" && log().contains("listening")).then_some(pid)
        });
        let pid = host.pid;
        self.hosts.push(host);
        ip(
            self.switch.id(),
            &format!(
                "link add n{number} type veth peer name eth0 netns {pid}\n\
                 link set n{number} master br0\nlink set n{number} up\n"
            ),
        );
        ip(
            pid,
            &format!("link set lo up\naddr add {address}/24 dev eth0\nlink set eth0 up\n"),
        );
        self.tell();
    }

    /// Writes down who is where.
    fn tell(&self) {
        let mut mesh = format!("client {}\n", self.switch.id());
        let mut known = String::new();
        for host in &self.hosts {
            let owner = host.kind.owner.map_or_else(String::new, |o| o.to_string());
            writeln!(mesh, "node {} {} 22 {owner}", host.name, host.address).expect("text");
            let key = fs::read_to_string(self.dir.join(&host.name).join("host_key.pub"));
            writeln!(known, "{} {}", host.address, key.expect("a key").trim()).expect("text");
        }
        fs::write(self.dir.join("mesh"), mesh).expect("the mesh");
        fs::write(self.dir.join("known_hosts"), known).expect("the keys");
    }

    /// The program that reaches them.
    pub fn vssh(&self) -> PathBuf {
        self.dir.join("vssh")
    }

    /// It wants its arguments in the older order from now on.
    pub fn older(&self) {
        fs::write(self.dir.join("older"), "").expect("a file");
    }

    /// Everything that it has logged.
    pub fn audit(&self) -> String {
        fs::read_to_string(self.dir.join("audit.log")).unwrap_or_default()
    }

    fn host(&self, name: &str) -> (usize, &Host) {
        let found = self.hosts.iter().enumerate().find(|(_, h)| h.name == name);
        let (at, host) = found.unwrap_or_else(|| panic!("no host {name}"));
        (at + 1, host)
    }

    /// Takes its cable out.
    pub fn unplug(&self, name: &str) {
        let (number, _) = self.host(name);
        // Forgotten, so that it is looked for in vain at once.
        let commands = format!("link set n{number} down\nneigh flush dev br0\n");
        ip(self.switch.id(), &commands);
    }

    /// Puts it back.
    pub fn plug(&self, name: &str) {
        let (number, _) = self.host(name);
        ip(self.switch.id(), &format!("link set n{number} up\n"));
    }

    /// Where a path of a host is from here.
    pub fn at(&self, name: &str, path: &str) -> PathBuf {
        let (_, host) = self.host(name);
        PathBuf::from(format!("/proc/{}/root{path}", host.pid))
    }

    /// Every file of the places that a host can write to.
    pub fn files(&self, name: &str) -> Vec<(PathBuf, Vec<u8>)> {
        ["/root", "/tmp", "/var/tmp", "/dev/shm", "/run"]
            .iter()
            .flat_map(|place| super::files(&self.at(name, place)))
            .collect()
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        for host in &mut self.hosts {
            // Its first process takes all the others of the host along.
            if host.pid > 1 && proc::alive(host.pid) {
                proc::end(host.pid);
            }
            let _ = host.outer.kill();
            let _ = host.outer.wait();
        }
        let _ = self.switch.kill();
        let _ = self.switch.wait();
    }
}

/// The beginning of a command in namespaces of its own, which ends when the test does.
fn isolated(namespaces: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "unshare"])
        .args(namespaces)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .current_dir("/");
    command
}

/// Runs these commands of ip(8) in the network of a process.
fn ip(pid: u32, commands: &str) {
    let mut child = Command::new("nsenter")
        .arg(format!("--net=/proc/{pid}/ns/net"))
        .args(["ip", "-batch", "-"])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nsenter starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(commands.as_bytes()).expect("the commands");
    drop(input);
    let out = child.wait_with_output().expect("waiting");
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "ip: {commands}{err}");
}

fn keygen(path: &Path) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status()
        .expect("ssh-keygen starts");
    assert!(status.success(), "a key in {}", path.display());
}

fn comm(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim().to_owned()
}

/// The permissions of a file.
pub fn mode(path: &Path) -> u32 {
    let metadata = fs::symlink_metadata(path);
    let metadata = metadata.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    metadata.permissions().mode() & 0o7777
}
