//! Shares in files, as `sv distribute --out` leaves them.

use super::Home;
use std::{
    fs,
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
