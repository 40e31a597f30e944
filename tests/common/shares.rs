//! Shares in files, as `sv distribute --out` leaves them.

use super::Home;
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Deals to files in a folder of the home.
pub fn dealt(home: &Home, folder: &str, threshold: u8, count: u8) -> Vec<PathBuf> {
    home.sv(&format!(
        "distribute --out {folder} --shares {count} --threshold {threshold}"
    ))
    .ok();
    files(&home.root.join(folder), count, "sv")
}

/// Where the shares of a set are.
pub fn files(folder: &Path, count: u8, ending: &str) -> Vec<PathBuf> {
    (1..=count)
        .map(|i| folder.join(format!("share-{i}-of-{count}.{ending}")))
        .collect()
}

/// The share in a file.
pub fn text(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a file with a share");
    let line = text.strip_suffix('\n').expect("a newline at the end");
    assert!(
        line.starts_with("svshare") && !line.contains('\n'),
        "one line"
    );
    line.to_owned()
}

/// The exit code of a drill with these files.
pub fn drill(home: &Home, files: &[PathBuf]) -> i32 {
    let mut arguments = vec!["recover".into(), "--drill".into()];
    arguments.extend(files.iter().cloned());
    home.sv_args(arguments).run().code()
}

/// Whether any of `shares` is in `text`.
pub fn shows(text: &str, shares: &[String]) -> bool {
    shares.iter().any(|share| text.contains(share.as_str()))
}

/// The permissions of a file or folder itself.
pub fn mode(path: &Path) -> u32 {
    let info = fs::symlink_metadata(path).expect("it is there");
    info.permissions().mode() & 0o7777
}

/// What is in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

/// What `sv shares` tells.
pub fn set(home: &Home) -> Value {
    home.sv("shares --json").json()
}

/// A home with a secret, its shares 2 of 3, locked.
pub fn locked() -> (Home, Vec<PathBuf>) {
    let home = Home::with_vault();
    home.add("service/key", b"the value");
    let shares = dealt(&home, "shares", 2, 3);
    home.sv("lock").ok();
    (home, shares)
}

/// As an argument.
pub fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Whether a password opens the vault, which is locked before.
pub fn unlocks(home: &Home, password: &str) -> bool {
    home.sv("lock").ok();
    match home
        .sv("unlock --password-stdin")
        .line(password)
        .run()
        .code()
    {
        0 => true,
        6 => false,
        code => panic!("neither right nor wrong: {code}"),
    }
}

/// A share with one character changed.
pub fn mistyped(share: &str) -> String {
    let at = share.len() - 20;
    let other = if share.as_bytes()[at] == b'q' {
        "p"
    } else {
        "q"
    };
    format!("{}{other}{}", &share[..at], &share[at + 1..])
}
