//! Backups of a vault, and homes made of them.

use super::{Call, Home};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A call that succeeds, with a file among its arguments.
pub fn with_file(home: &Home, before: &[&str], file: &Path) -> Call {
    let mut call = home.sv_args(before);
    call = call.arg(file);
    call
}

pub fn backup(home: &Home, name: &str) -> PathBuf {
    let file = home.root.join(name);
    with_file(home, &["backup"], &file).ok();
    file
}

/// Beside the vault lies nothing but what belongs there.
#[track_caller]
pub fn tidy(home: &Home) {
    let folder = home.vault.parent().expect("a folder");
    for entry in fs::read_dir(folder).expect("a folder") {
        let name = entry.expect("an entry").file_name();
        let name = name.to_str().expect("text");
        let left = name.contains(".backup-") || name.contains(".restore-");
        assert!(!left, "{name} is left over");
    }
}

/// A second home whose vault is the file.
pub fn restored(file: &Path) -> Home {
    let home = Home::new();
    let answer = with_file(&home, &["restore", "--json"], file).json();
    assert_eq!(answer["created"], true);
    home.unlock();
    home
}
