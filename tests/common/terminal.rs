//! `sv` on a pseudo-terminal, with a person in front of it.
//!
//! A shell leads the session, as in life: a terminal is gone for everybody
//! once the leader of its session ends.

use super::{Home, SV, sys, wait_until};
use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// The shell survives ^C, tells the exit code, and keeps the terminal open.
const SCRIPT: &str = "trap : INT; \"$@\"; printf '<sv ended with %s>' $?; exec sleep 600";
const ENDED: &str = "<sv ended with ";

/// A running `sv` and its terminal.
pub struct Terminal {
    person: File,
    program: OwnedFd,
    child: Child,
    arrivals: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    read: usize,
}

impl Terminal {
    /// Starts `sv` with all three standard streams on a terminal.
    pub fn start(home: &Home, arguments: &[&str]) -> Self {
        Self::start_with(home, arguments, &[])
    }

    /// The same with additions to the environment.
    pub fn start_with(home: &Home, arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let (person, program) = sys::openpty().expect("a pseudo-terminal");
        let stream = || Stdio::from(program.try_clone().expect("a descriptor"));
        let mut command = home.command("sh");
        command
            .args(["-c", SCRIPT, "sh", SV])
            .args(arguments)
            .env("TERM", "xterm-256color")
            .envs(env.iter().copied())
            .stdin(stream())
            .stdout(stream())
            .stderr(stream());
        sys::own_terminal(&mut command);
        let child = command.spawn().expect("the shell starts");

        let person = File::from(person);
        let mut reader = person.try_clone().expect("a descriptor");
        let (send, arrivals) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if send.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            person,
            program,
            child,
            arrivals,
            seen: Vec::new(),
            read: 0,
        }
    }

    /// Waits until `text` (ASCII, in any case) is shown, after what earlier calls found.
    pub fn expect(&mut self, text: &str) {
        let wanted = text.to_ascii_lowercase().into_bytes();
        loop {
            let rest = self.seen[self.read..].to_ascii_lowercase();
            if let Some(at) = rest.windows(wanted.len()).position(|w| w == wanted) {
                self.read += at + wanted.len();
                return;
            }
            match self.arrivals.recv_timeout(PATIENCE) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(e) => panic!("waited for {text:?} ({e}), saw {:?}", self.shown()),
            }
        }
    }

    /// Waits until the terminal hides what is typed.
    pub fn expect_hidden(&self) {
        wait_until("the terminal hides what is typed", PATIENCE, || {
            (!self.echoes()).then_some(())
        });
    }

    /// Waits for a hidden prompt that holds `text`, then types `answer` and Enter.
    pub fn answer_hidden(&mut self, text: &str, answer: &str) {
        self.expect(text);
        self.expect_hidden();
        self.type_line(answer);
    }

    /// Types `text` and Enter.
    pub fn type_line(&mut self, text: &str) {
        self.type_keys(format!("{text}\r").as_bytes());
    }

    /// Types these bytes.
    pub fn type_keys(&mut self, keys: &[u8]) {
        self.person.write_all(keys).expect("typing");
    }

    /// Whether the terminal shows what is typed.
    pub fn echoes(&self) -> bool {
        sys::echoes(&self.program).expect("the terminal's settings")
    }

    /// Everything that was shown so far.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Waits for the end of `sv`: its exit code as the shell sees it, and all
    /// that the terminal showed. The terminal has to be as it was before.
    pub fn finish(mut self) -> (i32, String) {
        self.read = 0;
        self.expect(ENDED);
        self.expect(">");
        assert!(self.echoes(), "the terminal shows again what is typed");
        let shown = self.shown();
        let (before, code) = shown.rsplit_once(ENDED).expect("found above");
        let code = code.trim_end_matches('>').parse().expect("an exit code");
        (code, before.to_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It is gone already unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
