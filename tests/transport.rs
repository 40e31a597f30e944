//! Other hosts, and how files get onto them: the stand-in for `vssh` with its
//! limits, and the client's transport over it.

mod common;

use common::{
    Home, SV, files, holds,
    mesh::{self, Kind, Mesh, PLAIN},
    proc, sys, wait_until,
};
use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt, symlink},
        process::ExitStatusExt,
    },
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use sv_client::transport::{Node, Nodes, backups::Stored};
use sv_proto::{Secret, config::Spelling, message::BackupMade};

const VAULT: [u8; 16] = [0xaa; 16];
const SET: [u8; 16] = [0xbb; 16];
const SHARES: &str = "/root/.local/share/sv/shares";
const SHARE: &str = "svshare1-canary-of-a-share";

fn vssh(mesh: &Mesh, arguments: &[&str]) -> (i32, String, String) {
    let out = Command::new(mesh.vssh())
        .args(arguments)
        .output()
        .expect("vssh");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let code = out.status.code().unwrap_or(-1);
    (code, text(out.stdout), text(out.stderr))
}

fn nodes(mesh: &Mesh) -> Nodes {
    Nodes::new(&mesh.vssh(), Spelling::Joined).expect("the program is there")
}

fn node(name: &str) -> Node {
    name.parse().expect("a node")
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn share_file(index: u8) -> String {
    format!(
        "{SHARES}/{}-{}-{index}.sv",
        "aa".repeat(16),
        "bb".repeat(16)
    )
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
}

/// The stand-in is as awkward as the real one.
#[test]
fn the_stand_in_has_the_limits_of_vssh() {
    let home = Home::new();
    let mesh = Mesh::new(&home.root.join("mesh"), &["one", "two"]);
    let local = home.root.join("local");
    fs::write(&local, b"content\xff").expect("a file");
    let from = local.to_str().expect("UTF-8");
    let exec = |node: &str, command: &[&str]| vssh(&mesh, &[&["exec", node], command].concat());

    // exec: joined by spaces, run by bash, its own exit code, no input, text.
    assert_eq!(exec("one", &["echo", "a  b", "$HOME", ";", "exit 3"]).0, 3);
    assert_eq!(exec("one", &["echo 'a  b' $HOME"]).1, "a  b /root\n");
    assert_eq!(exec("one", &["echo", "a  b", "*x"]).1, "a b *x\n");
    assert_eq!(exec("one", &["cat; printf 'x\\377y'"]).1, "x\u{fffd}y");
    assert_eq!(exec("one", &["kill -9 $$"]).0, 1);
    let long = format!(": {}", "x".repeat(131_000));
    assert_eq!(exec("one", &[&long]).0, 1);
    assert_eq!(exec("three", &["true"]).0, 1);
    assert!(mesh.audit().contains("kill -9 $$"));

    // put: 0644, parents 0755, links replaced, never into a folder.
    let put = |path: &str| vssh(&mesh, &["put", from, &format!("two:{path}")]).0;
    assert_eq!(put("/root/new/folder/file"), 0);
    let file = mesh.at("two", "/root/new/folder/file");
    let folder = mesh.at("two", "/root/new/folder");
    assert_eq!(fs::read(&file).expect("the file"), b"content\xff");
    assert_eq!((mesh::mode(&file), mesh::mode(&folder)), (0o644, 0o755));
    chmod(&file, 0o600);
    symlink("file", folder.join("link")).expect("a link");
    assert_eq!(put("/root/new/folder/file"), 0);
    assert_eq!(put("/root/new/folder/link"), 0);
    assert_eq!(mesh::mode(&file), 0o644);
    let link = fs::symlink_metadata(folder.join("link")).expect("what was a link");
    assert!(link.is_file());
    assert_eq!(put("/root/new/folder"), 1);
    // Names.
    assert_eq!(put("/root/a b"), 0);
    assert!(mesh.at("two", "/root/a").exists());
    assert_eq!(put("/root/a:b"), 1);
    assert_eq!(put("~/tilde"), 0);
    assert!(mesh.at("two", "/root/tilde").exists());
    assert_eq!(vssh(&mesh, &["put", from, "two:22:/root/port"]).0, 0);
    assert!(mesh.at("two", "/root/port").exists());
    let other = mesh.at("one", "/root/port");
    assert!(!other.exists(), "each host has a home of its own");

    // get.
    let back = home.root.join("back");
    let to = back.to_str().expect("UTF-8");
    assert_eq!(vssh(&mesh, &["get", "two:/root/port", to]).0, 0);
    assert_eq!(fs::read(&back).expect("the file"), b"content\xff");
    assert_eq!(mesh::mode(&back), 0o644);
    assert_eq!(vssh(&mesh, &["get", "two:/root/none", to]).0, 1);
    let logged = mesh.audit().contains("/root/port");
    assert!(!logged, "put and get are not logged");

    mesh.unplug("two");
    assert_eq!(exec("two", &["true"]).0, 1);
    assert_eq!(exec("one", &["true"]).0, 0);
    mesh.plug("two");
    assert_eq!(exec("two", &["true"]).0, 0);
    mesh.older();
    assert_eq!(vssh(&mesh, &["put", "two", from, "/root/older"]).0, 0);
    assert_eq!(vssh(&mesh, &["get", "two", "/root/older", to]).0, 0);
}

#[test]
fn a_share_goes_to_a_node_and_comes_back() {
    let home = Home::new();
    let mesh = Mesh::new(&home.root.join("mesh"), &["one", "two"]);
    let nodes = nodes(&mesh);
    let one = node("one:22");
    assert!(nodes.fetch(&one, VAULT, None).expect("none").is_empty());
    // A session that greets, and that has something left over from earlier.
    fs::write(
        mesh.at("one", "/root/.bashrc"),
        "echo Welcome; echo sv:end\n",
    )
    .expect("a file");
    nodes
        .deliver(&one, VAULT, SET, 3, &secret(SHARE))
        .expect("delivered");
    // Again: an answer may have been lost.
    nodes
        .deliver(&one, VAULT, SET, 3, &secret(SHARE))
        .expect("delivered");
    nodes
        .deliver(&one, VAULT, [1; 16], 4, &secret("another"))
        .expect("delivered");

    let file = mesh.at("one", &share_file(3));
    assert_eq!(
        fs::read(&file).expect("the share"),
        format!("{SHARE}\n").as_bytes()
    );
    assert_eq!(mesh::mode(&file), 0o600);
    for folder in [SHARES, "/root/.local/share/sv"] {
        assert_eq!(mesh::mode(&mesh.at("one", folder)), 0o700, "{folder}");
    }
    let there = fs::read_dir(mesh.at("one", SHARES)).expect("the folder");
    assert_eq!(there.count(), 2, "nothing but the shares");
    for name in ["one", "two"] {
        for (path, content) in mesh.files(name) {
            let own = path.ends_with(file.file_name().expect("a name"));
            assert!(
                own || !holds(&content, SHARE.as_bytes()),
                "{}",
                path.display()
            );
        }
    }
    let audit = mesh.audit();
    assert!(audit.contains("sha256sum"), "{audit}");
    assert!(!audit.contains("canary"), "{audit}");
    let longest = audit.lines().map(str::len).max();
    assert!(longest.is_some_and(|n| n < 1024), "{longest:?}");

    let found = nodes.fetch(&one, VAULT, Some(SET)).expect("the share");
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].set, found[0].index, found[0].open),
        (SET, 3, false)
    );
    assert_eq!(found[0].text.expose(), SHARE.as_bytes());
    assert_eq!(nodes.fetch(&one, VAULT, None).expect("both").len(), 2);
    assert!(nodes.fetch(&one, SET, None).expect("none").is_empty());
    // What is not of sv is nobody's business, and what others may read is told.
    let strange = mesh
        .at("one", SHARES)
        .join(format!("{}-x y.sv", "aa".repeat(16)));
    fs::write(strange, "x").expect("a file");
    chmod(&file, 0o644);
    let found = nodes.fetch(&one, VAULT, Some(SET)).expect("the share");
    assert!(found.len() == 1 && found[0].open);
}

#[test]
fn the_older_order_of_arguments() {
    let home = Home::new();
    let mesh = Mesh::new(&home.root.join("mesh"), &["one"]);
    mesh.older();
    let wrong = nodes(&mesh);
    let error = wrong
        .deliver(&node("one"), VAULT, SET, 1, &secret(SHARE))
        .expect_err("the newer order");
    assert_eq!(error.code(), 10, "{error}");
    let nodes = Nodes::new(&mesh.vssh(), Spelling::Apart).expect("the program");
    nodes
        .deliver(&node("one"), VAULT, SET, 1, &secret(SHARE))
        .expect("delivered");
    assert_eq!(nodes.fetch(&node("one"), VAULT, None).expect("it").len(), 1);
}

#[test]
fn what_keeps_a_share_from_a_node() {
    let home = Home::new();
    let full = Kind { space: 64, ..PLAIN };
    let mapped = Kind {
        owner: Some(65534),
        ..PLAIN
    };
    let hosts = [("full", full), ("mapped", mapped), ("plain", PLAIN)];
    let mesh = Mesh::of(&home.root.join("mesh"), &hosts);
    let nodes = nodes(&mesh);
    let fails = |name: &str, code: u8| {
        let error = nodes
            .deliver(&node(name), VAULT, SET, 1, &secret(SHARE))
            .expect_err(name);
        assert_eq!(error.code(), code, "{name}: {error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("{name}: ")), "{text}");
        assert!(!text.contains("canary"), "{text}");
        text
    };
    // A full disk: nothing of it stays, and it is told.
    fs::create_dir_all(mesh.at("full", SHARES)).expect("the folder");
    let mut filler = vec![0; 64 * 1024];
    while fs::write(mesh.at("full", "/root/filler"), &filler).is_err() {
        filler.truncate(filler.len() - 4096);
    }
    fails("full", 10);
    let left = fs::read_dir(mesh.at("full", SHARES)).expect("the folder");
    assert_eq!(left.count(), 0);
    fs::remove_file(mesh.at("full", "/root/filler")).expect("room");
    nodes
        .deliver(&node("full"), VAULT, SET, 1, &secret(SHARE))
        .expect("now there is room");

    // A daemon that gives files and their folder to somebody else.
    let text = fails("mapped", 7);
    assert!(text.contains("another user"), "{text}");
    for (path, content) in mesh.files("mapped") {
        assert!(!holds(&content, SHARE.as_bytes()), "{}", path.display());
    }

    // A folder that others can write to, above the one that is made.
    fs::create_dir_all(mesh.at("plain", "/root/.local/share/sv")).expect("a folder");
    chmod(&mesh.at("plain", "/root/.local/share/sv"), 0o777);
    fails("plain", 7);
    chmod(&mesh.at("plain", "/root/.local/share/sv"), 0o755);
    // The folder itself is put in order.
    fs::create_dir_all(mesh.at("plain", SHARES)).expect("a folder");
    chmod(&mesh.at("plain", SHARES), 0o777);
    nodes
        .deliver(&node("plain"), VAULT, SET, 1, &secret(SHARE))
        .expect("delivered");
    assert_eq!(mesh::mode(&mesh.at("plain", SHARES)), 0o700);
    // A file instead of the folder; a name that nobody has.
    fs::remove_dir_all(mesh.at("plain", SHARES)).expect("the folder");
    fs::write(mesh.at("plain", SHARES), "").expect("a file");
    fails("plain", 10);
    fails("nobody", 10);
    mesh.unplug("plain");
    fails("plain", 10);
}

/// A program that reports success whatever happens.
#[test]
fn success_is_seen_and_not_believed() {
    let home = Home::new();
    let mesh = Mesh::new(&home.root.join("mesh"), &["one"]);
    let vssh = mesh.vssh();
    let lying = home.root.join("lying");
    let with = |script: &str| {
        // Written beside and renamed: it may still be running.
        let fresh = home.root.join("fresh");
        let text = format!("#!/bin/bash\nvssh={}\n{script}\n", vssh.display());
        fs::write(&fresh, text).expect("a program");
        chmod(&fresh, 0o755);
        fs::rename(&fresh, &lying).expect("a name");
        let nodes = Nodes::new(&lying, Spelling::Joined).expect("the program");
        nodes.deliver(&node("one"), VAULT, SET, 1, &secret(SHARE))
    };
    let honest = "exec $vssh \"$@\"";
    for (what, script) in [
        ("puts nothing", format!("[ $1 = put ] || {honest}")),
        (
            "puts half of it",
            format!("[ $1 = put ] && truncate -s 9 $2; {honest}"),
        ),
        (
            "puts something else",
            format!("[ $1 = put ] && echo another >$2; {honest}"),
        ),
        ("does nothing", "exit 0".to_owned()),
        ("repeats what it was told", "echo \"$@\"".to_owned()),
        (
            "loses the answers",
            format!("[ $1 = put ] && {honest}; $vssh \"$@\" >/dev/null"),
        ),
    ] {
        let error = with(&script).expect_err(what);
        assert_eq!(error.code(), 10, "{what}: {error}");
        let there = files(&mesh.at("one", "/root"));
        assert!(there.is_empty(), "{what}: {there:?}");
    }
    // Every answer is a failure, but the file is there: that is what counts.
    with(&format!("[ $1 = put ] && {honest}; $vssh \"$@\"; exit 1")).expect("delivered");
    assert!(mesh.at("one", &share_file(1)).exists());
}

#[test]
fn backups_arrive_in_pieces_and_the_oldest_go() {
    let home = Home::new();
    let large = Kind {
        space: 256 * 1024,
        ..PLAIN
    };
    let mesh = Mesh::of(&home.root.join("mesh"), &[("one", large)]);
    let nodes = nodes(&mesh);
    let file = home.root.join("backup");
    let content: Vec<u8> = (0..20_000_000_u32).map(|n| (n / 7 % 251) as u8).collect();
    fs::write(&file, &content).expect("a file");
    let sum = Command::new("sha256sum")
        .arg(&file)
        .output()
        .expect("a sum");
    let digest = data_encoding::HEXLOWER
        .decode(&sum.stdout[..64])
        .expect("a sum")
        .try_into()
        .expect("32 bytes");
    let made = |generation| BackupMade {
        file: "backup".to_owned(),
        size: content.len() as u64,
        digest,
        vault: VAULT,
        generation,
        secrets: 1,
    };
    let folder = mesh.at(
        "one",
        &format!("/root/.local/share/sv/backups/{}", "aa".repeat(16)),
    );
    let names = || {
        let entries = fs::read_dir(&folder).expect("the folder");
        let mut names: Vec<String> = entries
            .map(|e| {
                e.expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("UTF-8")
            })
            .collect();
        names.sort();
        names
    };
    let day = 86_400_000;
    for n in 1..=4_i64 {
        let stored = Stored::new(n * day, n.unsigned_abs());
        let mut source = &content[..];
        nodes
            .store(&node("one"), &made(n.unsigned_abs()), &mut source, &stored)
            .expect("stored");
        if n == 1 {
            let there = folder.join(stored.name());
            assert!(fs::read(&there).expect("the backup") == content);
            assert_eq!(mesh::mode(&there), 0o600);
            fs::write(folder.join("notes.sv"), "mine").expect("a file");
            fs::write(folder.join("19700101T000000Z-g01.sv"), "mine").expect("a file");
        }
    }
    assert_eq!(names().len(), 6);
    let latest = Stored::new(4 * day, 4);
    let pruned = nodes
        .prune(&node("one"), VAULT, 2, &latest)
        .expect("pruned");
    assert_eq!(pruned, 2);
    assert_eq!(
        names(),
        [
            "19700101T000000Z-g01.sv",
            "19700104T000000Z-g3.sv",
            "19700105T000000Z-g4.sv",
            "notes.sv"
        ]
    );
    let again = nodes
        .prune(&node("one"), VAULT, 2, &latest)
        .expect("pruned");
    assert_eq!(again, 0);
    // Of another content than was promised.
    let mut source = &content[1..];
    let stored = Stored::new(5 * day, 5);
    let error = nodes
        .store(&node("one"), &made(5), &mut source, &stored)
        .expect_err("another content");
    assert_eq!(error.code(), 10);
    assert_eq!(names().len(), 4);
    assert!(!mesh.audit().contains(&home.root.display().to_string()));
}

#[test]
fn an_interruption_leaves_nothing_behind() {
    let home = Home::new();
    let program = home.root.join("vssh");
    let mark = home.root.join("mark");
    // It answers as a node would, and then never ends to put the file.
    fs::write(
        &program,
        format!(
            "#!/bin/bash\nif [ $1 = exec ]; then cd; HOME={root}/node bash -c \"$3\"; exit; fi\n\
             sleep 600 & echo $2 $! $(ls /proc/self/fd) >{mark}.new; mv {mark}.new {mark}; wait\n",
            root = home.root.display(),
            mark = mark.display()
        ),
    )
    .expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    fs::create_dir(home.root.join("node")).expect("a folder");
    home.configure(&format!("transport.program = \"{}\"\n", program.display()));
    home.init();
    // A descriptor that is none of the program's business.
    let mut command = home.command("bash");
    command
        .args(["-c", "exec $0 distribute --to one,two 7<$1", SV])
        .arg(&home.vault)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("sv starts");
    let told = wait_until("it puts the file", Duration::from_secs(30), || {
        fs::read_to_string(&mark).ok()
    });
    let [file, sleeper, descriptors @ ..] = &told.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{told}");
    };
    // The fourth is that of the list.
    assert_eq!(descriptors, ["0", "1", "2", "3"]);
    let (file, sleeper) = (Path::new(file), sleeper.parse().expect("a process id"));
    let folder = file.parent().expect("a folder");
    assert_eq!((mesh::mode(file), mesh::mode(folder)), (0o600, 0o700));
    sys::kill(child.id(), libc::SIGTERM).expect("a signal");
    let status = wait_until("sv ends", Duration::from_secs(10), || {
        child.try_wait().expect("waiting")
    });
    assert_eq!(status.signal(), Some(libc::SIGTERM));
    assert!(!folder.exists());
    wait_until("what it started ends", Duration::from_secs(10), || {
        (!proc::alive(sleeper)).then_some(())
    });
    // The share waits, as if nothing had been.
    let known = home.sv("shares --json").json();
    assert_eq!(known["pending"]["waiting"], 2);
}
