//! What the documents say is so: files that they name exist, and the README
//! names the commands and options that the program has.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "proto/PROTOCOL.md",
    "sv-agent/vault/FORMAT.md",
    "sv-agent/vault/shares/SHARES.md",
    "tests/frames/README.md",
];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The words between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn help(arguments: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_sv"))
        .args(arguments)
        .arg("--help")
        .env_clear()
        .output()
        .expect("sv runs");
    assert!(out.status.success(), "sv {arguments:?} --help");
    String::from_utf8(out.stdout).expect("UTF-8")
}

/// The first words of the lines of a help's section on commands.
fn commands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// Options such as `--no-input`, wherever they stand in `text`.
fn options(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| {
            word.strip_prefix("--")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn files_that_are_named_exist() {
    let top = [
        "proto/",
        "sv-agent/",
        "sv-client/",
        "systemd/",
        "tests/",
        ".ci/",
        ".config/",
        ".cargo/",
    ];
    let mut named = 0;
    for document in DOCUMENTS {
        for word in quoted(&read(document)) {
            let file = top.iter().any(|prefix| word.starts_with(prefix));
            if !file || word.contains(['*', ' ', '<']) {
                continue;
            }
            named += 1;
            let path = Path::new(ROOT).join(word);
            assert!(
                path.exists(),
                "{document} names {word}, which does not exist"
            );
        }
    }
    assert!(named > 20, "{named}");
}

#[test]
fn links_lead_somewhere() {
    for document in DOCUMENTS {
        let text = read(document);
        let folder = Path::new(ROOT).join(document);
        let folder = folder.parent().expect("a folder");
        for target in text.split("](").skip(1) {
            let target = target.split(')').next().unwrap_or_default();
            if target.contains("://") {
                continue;
            }
            match target.split_once('#') {
                Some(("", heading)) => {
                    let heading = heading.to_lowercase();
                    let found = text
                        .lines()
                        .any(|l| l.starts_with('#') && l.to_lowercase().ends_with(&heading));
                    assert!(found, "{document} links to {target}");
                }
                _ => assert!(folder.join(target).exists(), "{document} links to {target}"),
            }
        }
    }
}

#[test]
fn the_readme_has_every_command_and_no_other() {
    let readme = read("README.md");
    let start = readme.find("\n## Commands").expect("the section");
    let section = &readme[start + 1..];
    let section = &section[..section[3..].find("\n### ").expect("its end")];
    let mut told: BTreeSet<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `sv "))
        .filter_map(|row| row.split(['`', ' ']).next())
        .map(str::to_owned)
        .collect();
    let has: BTreeSet<String> = commands(&help(&[])).into_iter().collect();
    assert!(has.len() > 10, "{has:?}");
    assert_eq!(told, has);
    told.remove("agent");
    assert_eq!(commands(&help(&["agent"])), ["start", "stop"]);
}

#[test]
fn every_option_of_the_readme_exists() {
    let mut known = options(&help(&[]));
    for command in commands(&help(&[])) {
        known.extend(options(&help(&[&command])));
    }
    for command in [["agent", "stop"], ["slot", "add"], ["share", "release"]] {
        known.extend(options(&help(&command)));
    }
    let readme = read("README.md");
    let ours = readme.lines().filter(|line| {
        ![
            "cargo ",
            "systemctl ",
            "systemd-creds ",
            "journalctl",
            "docker ",
            "mkdir ",
        ]
        .iter()
        .any(|w| line.contains(w))
    });
    for line in ours {
        for option in options(line) {
            assert!(known.contains(&option), "README.md has {option}: {line}");
        }
    }
    // What the program offers and the README is silent about.
    for option in [
        "--json",
        "--vault",
        "--socket",
        "--config",
        "--no-input",
        "--no-autostart",
    ] {
        assert!(
            known.contains(option) && readme.contains(option),
            "{option}"
        );
    }
}

/// The README tells no exit code otherwise than the protocol's kinds demand.
#[test]
fn the_readme_has_every_exit_code() {
    let readme = read("README.md");
    for code in 0..=11 {
        assert!(readme.contains(&format!("\n| {code} | ")), "{code}");
    }
}
