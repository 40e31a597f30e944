//! Shares that could not be delivered: they wait, and what was in force stays so.

mod common;

use common::{
    Call, Home, SV,
    shares::{dealt, drill, files, names, set, text},
};
use serde_json::Value;
use std::{fs, path::PathBuf};

/// `sv` under strace, which makes some of its system calls fail.
fn injected(home: &Home, fault: &str, arguments: &str) -> Call {
    let mut command = home.command("strace");
    command
        .args(["-o", "/dev/null", "-e", "trace=linkat,fsync"])
        .args(["-e", &format!("inject={fault}"), "--", SV])
        .args(arguments.split(' '));
    Call::new(command)
}

#[test]
fn what_could_not_be_delivered_is_resumed() {
    let home = Home::with_vault();
    let old = dealt(&home, "old", 2, 3);
    let done = injected(
        &home,
        "linkat:error=ENOSPC:when=2..3",
        "distribute --out new",
    )
    .run();
    assert_eq!(done.code(), 10, "{}", done.err);
    let lines: Vec<&str> = done.err.lines().collect();
    assert!(
        lines[0].starts_with("warning: share 2 of 5: can't write "),
        "{}",
        done.err
    );
    assert!(
        lines[0].ends_with("share-2-of-5.sv: No space left on device"),
        "{}",
        done.err
    );
    assert!(
        lines[1].starts_with("warning: share 3 of 5: "),
        "{}",
        done.err
    );
    assert!(
        lines[2].starts_with("sv: 2 of 5 shares could not be delivered"),
        "{}",
        done.err
    );
    assert!(
        lines[3].starts_with("hint: sv distribute --resume --out "),
        "{}",
        done.err
    );
    assert!(lines[3].contains("--commit"), "{}", done.err);
    assert_eq!(lines.len(), 4);
    let folder = home.root.join("new");
    assert_eq!(
        names(&folder),
        ["share-1-of-5.sv", "share-4-of-5.sv", "share-5-of-5.sv"],
        "and no half one"
    );

    // What was in force still is.
    let found = set(&home);
    assert_eq!(
        (&found["count"], &found["pending"]["waiting"]),
        (&3.into(), &2.into())
    );
    assert_eq!(drill(&home, &old[..2]), 0);
    let new = files(&folder, 5, "sv");
    let some = [new[0].clone(), new[3].clone(), new[4].clone()];
    assert_eq!(drill(&home, &some), 6, "not in force yet");
    let error = home.sv("distribute --out other").fails(5);
    assert!(
        error.contains("--resume") && error.contains("--cancel"),
        "{error}"
    );
    let status = home.sv("status").run();
    assert!(
        status.err.contains("warning: a share set is dealt"),
        "{}",
        status.err
    );
    status.ok();

    // A document tells the same.
    let done = injected(
        &home,
        "linkat:error=EIO:when=1",
        "distribute --resume --out new --json",
    )
    .run();
    assert_eq!(done.code(), 10);
    let document: Value = serde_json::from_slice(&done.out).expect("a document");
    assert_eq!(document["failures"][0]["index"], 2);
    assert_eq!(document["waiting"], 1);
    let error: Value = serde_json::from_str(&done.err).expect("a document");
    assert_eq!(
        (&error["kind"], &error["exit"]),
        (&"partial".into(), &10.into())
    );

    home.sv("distribute --resume --out new").ok();
    assert_eq!(names(&folder).len(), 5);
    assert_eq!(drill(&home, &new[1..4]), 0);
    assert_eq!(drill(&home, &old[..2]), 6, "retired");
    assert_eq!(set(&home)["pending"], Value::Null);
}

#[test]
fn a_share_that_was_written_and_not_confirmed() {
    let home = Home::with_vault();
    // After the file of share 2 has its name: one sync for the folder that is
    // tried, and two for each share.
    let done = injected(&home, "fsync:signal=KILL:when=5", "distribute --out new").run();
    assert_eq!(done.code(), 137, "{}", done.err);
    let folder = home.root.join("new");
    assert_eq!(names(&folder), ["share-1-of-5.sv", "share-2-of-5.sv"]);
    assert_eq!(set(&home)["pending"]["waiting"], 4);
    let second = text(&folder.join("share-2-of-5.sv"));
    home.sv("distribute --resume --out new").ok();
    assert_eq!(names(&folder).len(), 5);
    assert_eq!(text(&folder.join("share-2-of-5.sv")), second);
    assert_eq!(drill(&home, &files(&folder, 5, "sv")[..3]), 0);

    // Another file of that name is not taken for it, and not touched.
    let done = injected(&home, "fsync:signal=KILL:when=5", "distribute --out third").run();
    assert_eq!(done.code(), 137, "{}", done.err);
    let third = home.root.join("third");
    fs::write(third.join("share-2-of-5.sv"), "mine").expect("a file");
    let done = home.sv("distribute --resume --out third").run();
    assert_eq!(done.code(), 10, "{}", done.err);
    assert!(
        done.err.contains("share-2-of-5.sv exists already"),
        "{}",
        done.err
    );
    assert_eq!(
        fs::read(third.join("share-2-of-5.sv")).expect("mine"),
        b"mine"
    );
}

#[test]
fn into_force_without_some() {
    let home = Home::with_vault();
    let old = dealt(&home, "old", 2, 3);
    injected(
        &home,
        "linkat:error=ENOSPC:when=2..4",
        "distribute --out new",
    )
    .ends_with(10);
    // Two are not enough to open the vault.
    let error = home.sv("distribute --commit").fails(10);
    assert!(
        error.contains("2 of 5 shares are delivered, and 3 open"),
        "{error}"
    );
    assert_eq!(drill(&home, &old[..2]), 0);
    injected(
        &home,
        "linkat:error=ENOSPC:when=2..3",
        "distribute --resume --out new",
    )
    .ends_with(10);
    let done = home.sv("distribute --commit").run();
    assert!(
        done.err.contains("2 shares are not delivered yet"),
        "{}",
        done.err
    );
    done.ok();
    let found = set(&home);
    assert_eq!((&found["count"], &found["waiting"]), (&5.into(), &2.into()));
    assert_eq!(found["pending"], Value::Null);
    let new = files(&home.root.join("new"), 5, "sv");
    let there: Vec<PathBuf> = new.iter().filter(|path| path.exists()).cloned().collect();
    assert_eq!(there.len(), 3);
    assert_eq!(drill(&home, &there), 0);
    assert_eq!(drill(&home, &old[..2]), 6);
    let status = home.sv("status --json").json();
    assert_eq!(status["shares_waiting"], 2);
    assert!(status["warnings"].to_string().contains("shares_waiting"));
    // The others wait on, also after other keys came into force.
    home.sv("rotate").ok();
    home.sv("distribute --resume --out new").ok();
    assert_eq!(set(&home)["waiting"], 0);
    for three in [&new[..3], &new[2..]] {
        assert_eq!(drill(&home, three), 0);
    }

    // All in one command.
    let done = injected(
        &home,
        "linkat:error=ENOSPC:when=1",
        "distribute --out all --commit",
    )
    .run();
    assert_eq!(done.code(), 10, "{}", done.err);
    assert!(done.err.contains("in force all the same"), "{}", done.err);
    assert_eq!(set(&home)["waiting"], 1);
    assert_eq!(
        drill(&home, &files(&home.root.join("all"), 5, "sv")[1..4]),
        0
    );
}

#[test]
fn a_set_is_forgotten() {
    let home = Home::with_vault();
    let old = dealt(&home, "old", 2, 3);
    injected(&home, "linkat:error=ENOSPC:when=1", "distribute --out new").ends_with(10);
    let done = home.sv("distribute --cancel").run();
    assert!(done.err.contains("4 shares of it went out"), "{}", done.err);
    done.ok();
    assert_eq!(set(&home)["pending"], Value::Null);
    assert_eq!(drill(&home, &old[1..]), 0);
    let new = files(&home.root.join("new"), 5, "sv");
    assert_eq!(drill(&home, &new[1..4]), 6);
    home.sv("distribute --resume --out new").fails(4);
    dealt(&home, "newest", 2, 2);
}
