//! What is linked to what, and how.

mod common;

use std::{collections::BTreeSet, fs, process::Command};

/// The packages that `package` is built from, itself included.
fn tree(package: &str) -> BTreeSet<String> {
    let out = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "-e",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}", "-p", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "cargo tree -p {package}: {err}");
    let packages: BTreeSet<String> = String::from_utf8(out.stdout)
        .expect("UTF-8")
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    assert!(packages.contains(package), "{package} is in its own tree");
    packages
}

fn lacks(package: &str, unwanted: &[&str]) {
    let tree = tree(package);
    for name in unwanted {
        assert!(!tree.contains(*name), "{package} is not to link {name}");
    }
}

#[test]
fn the_client_links_neither_runtime_nor_engine() {
    lacks(
        "sv-client",
        &[
            "tokio",
            "mio",
            "sv-vault-core",
            "sv-agent",
            "rusqlite",
            "argon2",
        ],
    );
    assert!(tree("sv-client").contains("sv-proto"));
}

#[test]
fn the_engine_links_neither_runtime_nor_protocol() {
    lacks(
        "sv-vault-core",
        &[
            "tokio",
            "mio",
            "sv-proto",
            "sv-client",
            "sv-agent",
            "tracing",
            "clap",
        ],
    );
}

#[test]
fn the_shares_link_neither_runtime_nor_engine() {
    lacks(
        "sv-shares",
        &[
            "tokio",
            "rusqlite",
            "sv-proto",
            "sv-vault-core",
            "sv-client",
        ],
    );
}

#[test]
fn the_protocol_links_neither_runtime_nor_engine() {
    lacks(
        "sv-proto",
        &["tokio", "mio", "sv-vault-core", "sv-client", "sv-agent"],
    );
}

#[test]
fn the_agent_links_no_network_library() {
    let tree = tree("sv-agent");
    for name in ["sv-vault-core", "sv-proto", "tokio"] {
        assert!(tree.contains(name), "the agent is made of {name}");
    }
    for name in [
        "hyper",
        "reqwest",
        "rustls",
        "openssl",
        "native-tls",
        "age",
        "sv-client",
    ] {
        assert!(!tree.contains(name), "the agent is not to link {name}");
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, b| (n << 8) | u64::from(*b))
}

/// The types of the program headers of a 64-bit little-endian ELF file.
fn program_headers(path: &str) -> Vec<u64> {
    let file = fs::read(path).expect("the program");
    assert_eq!(file[..6], *b"\x7fELF\x02\x01", "{path}");
    let table = usize::try_from(number(&file[0x20..0x28])).expect("an offset");
    let size = usize::try_from(number(&file[0x36..0x38])).expect("a size");
    let count = usize::try_from(number(&file[0x38..0x3a])).expect("a count");
    (0..count)
        .map(|i| number(&file[table + i * size..][..4]))
        .collect()
}

#[test]
fn both_programs_are_statically_linked() {
    const PT_LOAD: u64 = 1;
    const PT_INTERP: u64 = 3;
    for path in [common::SV, common::AGENT] {
        let headers = program_headers(path);
        assert!(headers.contains(&PT_LOAD), "{path}: read correctly");
        assert!(!headers.contains(&PT_INTERP), "{path}: wants no loader");
    }
}
