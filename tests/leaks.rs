//! Canaries through the whole command line, under strace and at trace level:
//! they are in the transfers between client and agent, in what the client was
//! given and asked for, and nowhere else.

mod common;

use common::{AGENT, Agent, Call, Home, SV, call::Done, files, holds, proc, wait_until};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

const PASSWORD: &str = "canaryPASSWORDone";
const SECOND: &str = "canaryPASSWORDtwo";
const WRONG: &str = "canaryPASSWORDwrong";
const VALUES: [&str; 6] = [
    "canaryVALUEstdin",
    "canaryVALUEfile",
    "canaryVALUEdescriptor",
    "canaryVALUEupdated",
    "canaryVALUErefused",
    "canaryVALUEprompted",
];
/// Told to the client as arguments, but to no file and no log.
const FIELDS: [&str; 6] = [
    "canaryNAMEone",
    "canaryNAMEtwo",
    "canaryNOTE",
    "canaryTAG",
    "canaryCATEGORY",
    "canaryQUERY",
];

/// The command that runs `program` under strace, its trace in `trace`.
fn traced(home: &Home, trace: &Path, program: &str) -> Command {
    let mut command = home.command("strace");
    command
        .args(["-f", "-v", "-yy", "-s", "99999", "-o"])
        .arg(trace)
        .arg("--")
        .arg(program)
        .env("SV_LOG", "trace");
    command
}

struct Traces<'a> {
    home: &'a Home,
    files: Vec<PathBuf>,
    stderr: String,
}

impl Traces<'_> {
    fn run(&mut self, arguments: &[&str], input: &str) -> Done {
        let trace = self
            .home
            .root
            .join(format!("client-{}.trace", self.files.len()));
        let mut command = traced(self.home, &trace, SV);
        command.args(arguments);
        self.files.push(trace);
        let done = Call::new(command).input(input.as_bytes()).run();
        self.stderr.push_str(&done.err);
        done
    }

    fn ok(&mut self, arguments: &[&str], input: &str) -> String {
        String::from_utf8(self.run(arguments, input).ok()).expect("UTF-8")
    }

    fn fails(&mut self, code: i32, arguments: &[&str], input: &str) {
        self.run(arguments, input).fails(code);
    }
}

/// The system calls of a trace, each with its process, unfinished ones joined.
fn calls(trace: &Path) -> Vec<(u32, String)> {
    let text = fs::read(trace).expect("a trace");
    let text = String::from_utf8_lossy(&text);
    let mut unfinished: HashMap<u32, String> = HashMap::new();
    let mut out = Vec::new();
    for line in text.lines() {
        let (pid, rest) = line.split_once(' ').expect("a process id");
        let pid = pid.parse().expect("a process id");
        let rest = rest.trim_start();
        if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(pid, begin.to_owned());
        } else if rest.starts_with("<... ") {
            let begin = unfinished.remove(&pid).unwrap_or_default();
            let (_, end) = rest.split_once('>').expect("a resumed call");
            out.push((pid, begin + end));
        } else {
            out.push((pid, rest.to_owned()));
        }
    }
    out.extend(unfinished);
    out
}

/// Name of the call and the file behind its first argument: `read`, `pipe:[7]`.
fn transfer(call: &str) -> Option<(&str, &str)> {
    let (name, rest) = call.split_once('(')?;
    let known = [
        "read", "readv", "recv", "recvfrom", "recvmsg", "write", "writev", "send", "sendto",
        "sendmsg",
    ];
    let (fd, rest) = rest.split_once('<')?;
    let number = !fd.is_empty() && fd.bytes().all(|b| b.is_ascii_digit());
    let (file, _) = rest.split_once(">,")?;
    (known.contains(&name) && number).then_some((name, file))
}

fn is_socket(file: &str) -> bool {
    file.starts_with("UNIX-STREAM:[")
}

#[test]
fn canaries() {
    let home = Home::new();
    home.configure("agent.log = \"trace\"\n");
    let agent_trace = home.root.join("agent.trace");
    let mut command = traced(&home, &agent_trace, AGENT);
    command
        .arg("--vault")
        .arg(&home.vault)
        .arg("--socket")
        .arg(&home.socket);
    command.arg("--config").arg(&home.config);
    let mut agent = Agent::start(&home, command);
    let agent_pid = home.pid();
    assert_ne!(agent_pid, agent.child.id(), "a child of strace");

    let [stdin, file, descriptor, updated, refused, prompted] = VALUES;
    let [one, two, note, tag, category, query] = FIELDS;
    let mut traces = Traces {
        home: &home,
        files: Vec::new(),
        stderr: String::new(),
    };
    let value_file = home.root.join("home/value-file");
    fs::write(&value_file, file).expect("a file");
    let value_path = value_file.to_str().expect("UTF-8");
    let password = format!("{PASSWORD}\n");

    traces.ok(&["init", "--password-stdin"], &password);
    traces.ok(
        &[
            "add",
            one,
            "--note",
            note,
            "--tag",
            tag,
            "--category",
            category,
        ],
        stdin,
    );
    traces.ok(&["add", "file", "--file", value_path], "");
    traces.ok(&["add", "descriptor", "--value-fd", "0"], descriptor);
    traces.ok(&["add", "generated", "--generate=40"], "");
    let generated = traces.ok(&["get", "generated"], "");
    assert_eq!(generated.len(), 40);
    assert_eq!(traces.ok(&["get", one], ""), stdin);
    assert_eq!(traces.ok(&["get", "file"], ""), file);
    assert_eq!(traces.ok(&["get", "descriptor"], ""), descriptor);
    assert!(traces.ok(&["get", one, "--json"], "").contains(stdin));
    assert!(traces.ok(&["show", one, "--reveal"], "").contains(stdin));
    assert!(traces.ok(&["show", one], "").contains(note));
    assert!(traces.ok(&["list", "--long"], "").contains(one));
    assert!(
        traces
            .ok(&["search", &note.to_lowercase()], "")
            .contains(one)
    );
    assert_eq!(traces.ok(&["search", query], ""), "");
    traces.ok(&["update", one], updated);
    traces.ok(&["update", one, "--tag", tag], "");
    traces.ok(&["rename", one, two], "");
    assert!(traces.ok(&["history", two], "").contains(one));
    assert_eq!(traces.ok(&["get", two, "--rev", "1"], ""), stdin);
    let out = home.root.join("home/out-file");
    traces.ok(&["get", two, "--out", out.to_str().expect("UTF-8")], "");
    assert_eq!(fs::read(&out).expect("the file"), updated.as_bytes());
    traces.ok(&["revert", two, "--rev", "1"], "");
    traces.ok(&["verify"], "");
    traces.ok(&["status"], "");
    // Shares, out and in again.
    let dealt = ["distribute", "--stdout", "--shares=3", "--threshold=2"];
    let dealt = traces.ok(&dealt, "");
    let shares: Vec<&str> = dealt.lines().collect();
    assert_eq!(shares.len(), 3);
    let enough = format!("{}\n{}\n", shares[0], shares[2]);
    traces.ok(&["recover", "--drill", "-"], &enough);
    traces.fails(6, &["recover", "--drill", "-"], shares[1]);
    traces.fails(8, &["recover", "--drill", "-"], &shares[1][..90]);
    let key = traces.ok(&["recover", "--start"], "");
    let release = ["share", "release", "-", "--for", key.trim_end()];
    let released = traces.ok(&release, shares[1]);
    traces.ok(&["recover", "--submit", "-"], &released);
    traces.ok(&["recover", "--submit", "-"], shares[0]);
    traces.ok(&["recover", "--finish", "--password-stdin"], &password);
    traces.ok(&["shares"], "");
    traces.ok(&["rotate"], "");
    let rotate = ["rotate", "--password", "--password-stdin"];
    traces.fails(6, &rotate, &format!("{WRONG}\n{SECOND}\n"));
    traces.ok(&rotate, &format!("{PASSWORD}\n{PASSWORD}\n"));
    let added = ["slot", "add", "--password", "--password-stdin"];
    traces.ok(&added, &format!("{PASSWORD}\n{SECOND}\n"));
    // Whatever fails.
    traces.fails(5, &["add", two], refused);
    traces.fails(2, &["add", &format!("{one}/")], refused);
    traces.fails(2, &["add", "x", "--expires", "someday"], refused);
    traces.fails(9, &["update", two, "--if-rev", "1"], refused);
    traces.fails(4, &["get", one], "");
    traces.fails(4, &["update", one], refused);
    traces.fails(2, &["nonsense", "--password-stdin"], &password);
    traces.fails(
        6,
        &["passwd", "--password-stdin"],
        &format!("{WRONG}\n{SECOND}\n"),
    );
    traces.ok(
        &["passwd", "--password-stdin"],
        &format!("{PASSWORD}\n{SECOND}\n"),
    );
    traces.ok(&["lock"], "");
    traces.fails(3, &["get", two], "");
    traces.fails(3, &["add", two], refused);
    traces.fails(6, &["unlock", "--password-stdin"], &format!("{WRONG}\n"));
    traces.ok(&["unlock", "--password-stdin"], &format!("{SECOND}\n"));
    // A message that is not one, with a canary in it.
    {
        use std::io::{Read, Write};
        let mut raw = home.connect();
        let mut frame = b"\x20\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\xff".to_vec();
        frame.extend(refused.bytes().chain(*b"\0\0\0"));
        frame[0] = u8::try_from(frame.len() - 4).expect("small");
        raw.stream.write_all(&frame).expect("sent");
        let _ = raw.stream.read(&mut [0; 100]);
    }
    // At a terminal.
    let mut terminal = common::terminal::Terminal::start(&home, &["add", "prompted"]);
    terminal.answer_hidden("prompted", prompted);
    assert_eq!(terminal.finish().0, 0);

    let environment = proc::environment(agent_pid).expect("its environment");
    let arguments = proc::arguments(agent_pid);
    let folders = [home.vault.parent(), home.socket.parent()].map(|f| f.expect("a folder"));
    let mut on_disk: Vec<(PathBuf, Vec<u8>)> = folders.iter().flat_map(|f| files(f)).collect();
    assert!(
        on_disk
            .iter()
            .any(|(p, b)| p.ends_with("vault.sv") && b.len() > 4096)
    );
    traces.ok(&["delete", two, "--yes"], "");
    traces.ok(&["delete", "file", "--purge", "--yes"], "");
    on_disk.extend(folders.iter().flat_map(|f| files(f)));
    traces.ok(&["agent", "stop"], "");
    assert_eq!(agent.wait().code(), Some(0));
    on_disk.extend(files(&home.root).into_iter().filter(|(path, _)| {
        path.extension().is_none_or(|e| e != "trace") && *path != value_file && *path != out
    }));

    let secrets: Vec<&str> = [PASSWORD, SECOND, WRONG, &generated]
        .into_iter()
        .chain(VALUES)
        .chain(shares)
        .collect();
    let all: Vec<&str> = secrets.iter().copied().chain(FIELDS).collect();

    // Files, logs, environment, arguments.
    let encoded = |canary: &str| {
        let bytes = canary.as_bytes();
        // Without the last character, whose base64 depends on what follows.
        let base64 = data_encoding::BASE64.encode(&bytes[..bytes.len() / 3 * 3]);
        [
            bytes.to_vec(),
            base64.into_bytes(),
            data_encoding::HEXLOWER.encode(bytes).into_bytes(),
            canary.to_lowercase().into_bytes(),
        ]
    };
    let log = fs::read(&agent.log).expect("the log");
    assert!(
        holds(&log, b"TRACE") || holds(&log, b"DEBUG"),
        "the log is as talkative as can be"
    );
    for canary in &all {
        for form in encoded(canary) {
            for (path, bytes) in &on_disk {
                assert!(!holds(bytes, &form), "{canary} is in {}", path.display());
            }
            for (what, bytes) in [
                ("log", &log),
                ("environment", &environment),
                ("arguments", &arguments),
            ] {
                assert!(!holds(bytes, &form), "{canary} is in the agent's {what}");
            }
        }
    }
    for canary in &secrets {
        assert!(
            !traces.stderr.contains(canary),
            "{canary} is on standard error"
        );
    }

    // System calls of the agent: to and from sockets alone.
    let mut seen = 0;
    for (pid, call) in calls(&agent_trace) {
        for canary in all.iter().filter(|c| call.contains(**c)) {
            let allowed = transfer(&call).is_some_and(|(_, file)| is_socket(file));
            let shown = call.replace(*canary, "CANARY");
            assert!(allowed, "agent, process {pid}: {canary}: {shown:.300}");
            seen += 1;
        }
    }
    assert!(
        seen > VALUES.len(),
        "the trace shows what is transferred: {seen}"
    );

    // Of the client: sockets, what it was given, what it was asked for.
    let mut client_seen = 0;
    for trace in &traces.files {
        for (pid, call) in calls(trace) {
            for canary in all.iter().filter(|c| call.contains(**c)) {
                let is_field = FIELDS.contains(canary);
                let allowed = match transfer(&call) {
                    Some((_, file)) if is_socket(file) => true,
                    Some(("read", file)) => file.starts_with("pipe:[") || file == value_path,
                    Some(("write", file)) => {
                        let to_stdout = call.starts_with("write(1<pipe:[");
                        let to_stderr = call.starts_with("write(2<pipe:[") && is_field;
                        let to_out =
                            file.starts_with(home.root.join("home").to_str().expect("UTF-8"));
                        to_stdout || to_stderr || to_out
                    }
                    // Names are arguments.
                    _ => is_field && call.starts_with("execve("),
                };
                let shown = call.replace(*canary, "CANARY");
                assert!(
                    allowed,
                    "{}, process {pid}: {canary}: {shown:.300}",
                    trace.display()
                );
                client_seen += 1;
            }
        }
    }
    assert!(
        client_seen > 50,
        "the traces show what is transferred: {client_seen}"
    );
    eprintln!(
        "{} traces of the client, {client_seen} transfers with a canary; {seen} of the agent; none elsewhere",
        traces.files.len()
    );
}

#[test]
fn an_agent_that_the_client_starts() {
    let home = Home::new();
    let trace = home.root.join("start.trace");
    let mut command = traced(&home, &trace, SV);
    command
        .args(["init", "--password-stdin"])
        .env("TOKEN", "canaryENVIRONMENT")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // strace stays until the agent has ended.
    let mut strace = command.spawn().expect("strace starts");
    let mut pipe = strace.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut pipe, format!("{PASSWORD}\n").as_bytes()).expect("the password");
    drop(pipe);
    wait_until("the vault is unlocked", Duration::from_secs(60), || {
        home.sv("status --check")
            .run()
            .status
            .success()
            .then_some(())
    });
    home.sv("add a").input(VALUES[0].as_bytes()).ok();
    assert_eq!(home.get("a"), VALUES[0].as_bytes());
    home.sv("agent stop").ok();
    wait_until("strace ends", Duration::from_secs(60), || {
        strace.try_wait().expect("waiting")
    });

    let calls = calls(&trace);
    let agent = calls
        .iter()
        .filter(|(_, call)| call.starts_with("execve(") && call.contains("sv-agent"))
        .map(|(pid, _)| *pid)
        .next_back()
        .expect("the agent was started");
    let mut seen = 0;
    for (pid, call) in &calls {
        for canary in [PASSWORD, VALUES[0]] {
            if call.contains(canary) {
                let (name, file) = transfer(call).unwrap_or(("", ""));
                let given = name == "read" && file.starts_with("pipe:[") && *pid != agent;
                assert!(is_socket(file) || given, "process {pid}: {call:.300}");
                seen += 1;
            }
        }
        assert!(
            !call.contains("canaryENVIRONMENT") || *pid != agent,
            "of the caller's environment nothing is passed on: {call:.300}"
        );
    }
    assert!(seen >= 3, "{seen}");
    // Once it serves it runs no program, and at no time opens a network socket.
    assert!(
        !calls
            .iter()
            .any(|(_, call)| call.starts_with("socket(AF_INET"))
    );
}
