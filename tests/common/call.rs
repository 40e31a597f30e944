//! One run of a program and what became of it.

use serde_json::Value;
use std::{
    ffi::OsStr,
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// One run of a program, not yet started. Standard input is empty unless given.
pub struct Call {
    command: Command,
    input: Option<Vec<u8>>,
    hold_input: bool,
    patience: Duration,
}

impl Call {
    /// A run of `command`.
    pub fn new(command: Command) -> Self {
        Self {
            command,
            input: None,
            hold_input: false,
            patience: Duration::from_secs(60),
        }
    }

    /// One line on standard input.
    pub fn line(self, text: &str) -> Self {
        self.input(format!("{text}\n").as_bytes())
    }

    /// These bytes on standard input, which is a pipe.
    pub fn input(mut self, bytes: &[u8]) -> Self {
        self.input = Some(bytes.to_vec());
        self
    }

    /// Standard input is a pipe that nobody writes to and nobody closes.
    pub fn silent_input(mut self) -> Self {
        self.input = Some(Vec::new());
        self.hold_input = true;
        self
    }

    /// One more variable.
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Another working folder.
    pub fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// How long it may take.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs it to its end, and until nobody holds its output any more.
    #[track_caller]
    pub fn run(mut self) -> Done {
        let what = format!("{:?}", self.command.get_args().collect::<Vec<_>>());
        self.command
            .stdin(match self.input {
                Some(_) => Stdio::piped(),
                None => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the program starts");
        let end = Instant::now() + self.patience;
        let (opened, held) = mpsc::channel::<()>();
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), self.input) {
            let hold = self.hold_input;
            thread::spawn(move || {
                // A program that does not read all of its input may close it.
                let _ = pipe.write_all(&input);
                if hold {
                    // Ends when the other side of the channel is dropped.
                    let _ = held.recv();
                }
            });
        }
        let out = collect(child.stdout.take().expect("a pipe"));
        let err = collect(child.stderr.take().expect("a pipe"));
        let status = loop {
            if let Some(status) = child.try_wait().expect("waiting") {
                break status;
            }
            if Instant::now() > end {
                let _ = child.kill();
                let _ = child.wait();
                panic!("sv {what} hangs");
            }
            thread::sleep(Duration::from_millis(1));
        };
        drop(opened);
        let rest = |from: mpsc::Receiver<Vec<u8>>| {
            let left = end.saturating_duration_since(Instant::now());
            from.recv_timeout(left.max(Duration::from_secs(1)))
                .unwrap_or_else(|_| panic!("sv {what}: something still holds its output"))
        };
        let (out, err) = (rest(out), rest(err));
        Done {
            what,
            status,
            out,
            err: String::from_utf8(err).expect("standard error is UTF-8"),
        }
    }

    /// Runs it; it has to succeed. Returns what it wrote to standard output.
    #[track_caller]
    pub fn ok(self) -> Vec<u8> {
        self.run().ok()
    }

    /// The same as text.
    #[track_caller]
    pub fn text(self) -> String {
        String::from_utf8(self.ok()).expect("UTF-8")
    }

    /// The same as JSON: one document and a newline.
    #[track_caller]
    pub fn json(self) -> Value {
        let text = self.text();
        assert!(text.ends_with('\n'), "a newline at the end: {text:?}");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("one JSON document ({e}): {text}"))
    }

    /// Runs it; it has to fail with `code`. See [`Done::fails`].
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        self.run().fails(code)
    }

    /// Runs it; its exit code has to be `code`, whatever it says.
    #[track_caller]
    pub fn ends_with(self, code: i32) {
        let done = self.run();
        assert_eq!(done.code(), code, "sv {}: {}", done.what, done.err);
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if pipe.read_to_end(&mut bytes).is_ok() {
            // Nobody waits for it when the test has failed.
            let _ = send.send(bytes);
        }
    });
    receive
}

/// What became of a run.
pub struct Done {
    what: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub out: Vec<u8>,
    /// Its standard error.
    pub err: String,
}

impl Done {
    /// The exit code as a shell sees it: 128 + N for signal N.
    pub fn code(&self) -> i32 {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal,
            (None, None) => panic!("sv {}: neither ended nor killed", self.what),
        }
    }

    /// It has succeeded; its standard output.
    #[track_caller]
    pub fn ok(self) -> Vec<u8> {
        assert_eq!(self.code(), 0, "sv {}: {}", self.what, self.err);
        self.out
    }

    /// It has failed with `code`: nothing on standard output, one line
    /// `sv: …` on standard error, perhaps followed by one line `hint: …`.
    /// Returns what is on standard error.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        let (what, err) = (&self.what, &self.err);
        assert_eq!(self.code(), code, "sv {what}: {err}");
        let out = String::from_utf8_lossy(&self.out);
        assert!(
            out.is_empty(),
            "sv {what}: nothing on standard output: {out}"
        );
        let mut lines = err.lines();
        let first = lines.next().unwrap_or_default();
        assert!(
            first.starts_with("sv: ") && first.len() > 8,
            "sv {what}: {err:?}"
        );
        if let Some(second) = lines.next() {
            assert!(second.starts_with("hint: "), "sv {what}: {err:?}");
        }
        assert_eq!(lines.next(), None, "sv {what}: two lines at most: {err:?}");
        assert!(err.ends_with('\n'), "sv {what}: {err:?}");
        self.err
    }
}
