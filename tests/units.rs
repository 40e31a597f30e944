//! The systemd units: what systemd itself says of them, and that they agree
//! with the places that the programs use.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use sv_proto::places::{Options, Places};

const SOCKET: &str = include_str!("../systemd/sv-agent.socket");
const SERVICE: &str = include_str!("../systemd/sv-agent.service");

/// The worst exposure that is accepted, in tenths.
const THRESHOLD: &str = "20";

fn analyze(arguments: &[&str], files: &[&Path], runtime: &Path) -> Output {
    Command::new("systemd-analyze")
        .args(arguments)
        .args(files)
        .env("XDG_RUNTIME_DIR", runtime)
        .env("SYSTEMD_COLORS", "0")
        .output()
        .expect("systemd-analyze (package systemd) runs")
}

/// Copies of the units whose program is the one that was built here.
fn install(dir: &Path) -> (PathBuf, PathBuf) {
    let installed = "ExecStart=%h/.cargo/bin/sv-agent\n";
    assert!(SERVICE.contains(installed));
    let built = format!("ExecStart={}\n", env!("CARGO_BIN_EXE_sv-agent"));
    let socket = dir.join("sv-agent.socket");
    let service = dir.join("sv-agent.service");
    fs::write(&socket, SOCKET).unwrap();
    fs::write(&service, SERVICE.replace(installed, &built)).unwrap();
    (socket, service)
}

#[test]
fn systemd_finds_nothing_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, service) = install(dir.path());
    let out = analyze(&["verify", "--user"], &[&socket, &service], dir.path());
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    // A key that systemd does not know is a warning and no failure.
    let ours: Vec<_> = said.lines().filter(|l| l.contains("sv-agent")).collect();
    assert!(ours.is_empty(), "{ours:#?}");

    // The check sees a mistake.
    fs::write(
        &service,
        SERVICE.replace("NoNewPrivileges", "NoNewPrivilege"),
    )
    .unwrap();
    let out = analyze(&["verify", "--user"], &[&service], dir.path());
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("NoNewPrivilege"), "{said}");
}

#[test]
fn the_exposure_is_2_0_or_better() {
    let dir = tempfile::tempdir().unwrap();
    let (_, service) = install(dir.path());
    let threshold = format!("--threshold={THRESHOLD}");
    let arguments = ["security", "--offline=yes", "--no-pager", &threshold];
    let out = analyze(&arguments, &[&service], dir.path());
    let said = String::from_utf8_lossy(&out.stdout);
    let summary = said.lines().rfind(|l| l.contains("Overall exposure level"));
    let summary = summary.unwrap_or_else(|| panic!("{said}"));
    assert!(out.status.success(), "{summary}");
    println!("{}", summary.trim());

    // The check sees a unit without protection.
    let bare = dir.path().join("bare.service");
    fs::write(&bare, "[Service]\nExecStart=/bin/true\n").unwrap();
    let out = analyze(&arguments, &[&bare], dir.path());
    assert!(!out.status.success());
}

fn has(unit: &str, line: &str) -> bool {
    unit.lines().any(|l| l == line)
}

#[test]
fn what_the_documents_promise_is_there() {
    for line in [
        "SocketMode=0600",
        "DirectoryMode=0700",
        "FileDescriptorName=sv",
    ] {
        assert!(has(SOCKET, line), "{line}");
    }
    for line in [
        "Type=notify",
        "LimitCORE=0",
        "UMask=0077",
        "NoNewPrivileges=yes",
        "PrivateNetwork=yes",
        "RestrictAddressFamilies=AF_UNIX",
        "MemoryDenyWriteExecute=yes",
        "ProtectSystem=strict",
        "SystemCallFilter=@system-service memfd_secret",
    ] {
        assert!(has(SERVICE, line), "{line}");
    }
}

/// `%t` is the runtime folder and `%h` the home of the user.
#[test]
fn the_units_use_the_default_places() {
    let env = |name: &str| match name {
        "HOME" => Some("/no/home".into()),
        "XDG_RUNTIME_DIR" => Some("/no/run".into()),
        _ => None,
    };
    let (places, _) = Places::find(Options::default(), env, Path::new("/")).unwrap();
    let socket = places.socket.strip_prefix("/no/run").unwrap();
    let line = format!("ListenStream=%t/{}", socket.display());
    assert!(has(SOCKET, &line), "{line}");
    let folder = places.vault.parent().unwrap();
    let folder = folder.strip_prefix("/no/home").unwrap();
    let line = format!("ReadWritePaths=%h/{}", folder.display());
    assert!(has(SERVICE, &line), "{line}");
}
