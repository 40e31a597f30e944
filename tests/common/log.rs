//! The audit log of a home, from the outside.

use super::{Home, client::Client, proc, wait_until};
use std::{path::PathBuf, time::Duration};
use sv_proto::{Request, Response, message::Event};

/// The log of a home.
pub fn log(home: &Home) -> PathBuf {
    let mut name = home.vault.clone().into_os_string();
    name.push(".audit");
    name.into()
}

/// Events after `after`, which leaves none itself.
pub fn after(client: &mut Client, after: u64) -> Vec<Event> {
    let request = Request::Audit {
        after: Some(after),
        last: None,
        since: None,
        name: None,
    };
    let answer = client.exchange(request).expect("an answer");
    answer
        .into_iter()
        .flat_map(|part| match part {
            Response::Events(events) => events,
            other => panic!("events: {other:?}"),
        })
        .collect()
}

/// All events so far.
pub fn all(home: &Home) -> Vec<Event> {
    after(&mut home.connect(), 0)
}

/// The number of the last event.
pub fn last(client: &mut Client) -> u64 {
    after(client, 0).last().map_or(0, |event| event.seq)
}

/// The exit code of `sv audit --verify` and its lines.
pub fn verify(home: &Home) -> (i32, Vec<String>) {
    let done = home.sv("audit --verify").run();
    let lines = String::from_utf8_lossy(&done.out).into_owned();
    (done.code(), lines.lines().map(str::to_owned).collect())
}

/// The log is as it was written.
#[track_caller]
pub fn is_whole(home: &Home) {
    let (code, lines) = verify(home);
    assert_eq!(code, 0, "{lines:?}");
}

/// Ends the agent and waits for its end.
pub fn stop(home: &Home) {
    let pid = home.pid();
    home.sv("agent stop").ok();
    wait_until("the agent ends", Duration::from_secs(10), || {
        (!proc::alive(pid)).then_some(())
    });
}
