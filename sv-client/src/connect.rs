//! The agent's socket: whose it is, one request, the frames of its answer.

use crate::{
    error::{Error, Result},
    progress::Progress,
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        socket::{
            AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, setsockopt, socket,
            sockopt,
        },
        stat::Mode,
        time::{TimeVal, TimeValLike},
    },
    unistd::geteuid,
};
use std::{
    ffi::OsStr,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{ffi::OsStrExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};
use sv_proto::{
    Envelope, Request, Response, codec,
    frame::{self, FrameError, MORE, Versions},
};

/// What fits `sun_path` with its final NUL.
const SOCKET_PATH: usize = 107;

/// How long to wait for each frame, and what to show meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Nothing lasts here.
    Short,
    /// Deriving keys, waiting after wrong passwords, reading the whole vault.
    Long(&'static str),
}

impl Patience {
    const fn limit(self) -> Duration {
        match self {
            Self::Short => Duration::from_secs(30),
            Self::Long(_) => Duration::from_secs(120),
        }
    }
}

/// A connection to an agent of the same user.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    vault: Option<Vec<u8>>,
    id: u64,
}

impl Connection {
    /// Connects to `path`; `None` if no agent listens there. `vault` is the vault
    /// that the user named, for the agent to compare.
    pub fn open(path: &Path, vault: Option<&Path>) -> Result<Option<Self>> {
        let failed = |e: Errno| {
            Error::Transport(format!(
                "can't connect to the socket {}: {}",
                path.display(),
                e.desc()
            ))
        };
        let (_folder, address) = match address(path) {
            Ok(found) => found,
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
            Err(Errno::EACCES) => return Err(refused(path)),
            Err(Errno::ENAMETOOLONG) => {
                return Err(Error::usage(
                    "the socket's path is too long",
                    "name a shorter one with --socket PATH",
                ));
            }
            Err(e) => return Err(failed(e)),
        };
        let fd = socket(
            AddressFamily::Unix,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        )
        .map_err(failed)?;
        // It bounds connecting too: a stopped agent's queue can be full.
        let limit = TimeVal::seconds(Patience::Short.limit().as_secs().cast_signed());
        setsockopt(&fd, sockopt::SendTimeout, &limit).map_err(failed)?;
        loop {
            match connect(fd.as_raw_fd(), &address) {
                Ok(()) => break,
                Err(Errno::EINTR) => {}
                Err(Errno::ENOENT | Errno::ECONNREFUSED | Errno::ENOTDIR) => return Ok(None),
                Err(Errno::EACCES | Errno::EPERM) => return Err(refused(path)),
                Err(Errno::EAGAIN) => {
                    return Err(Error::Timeout(Patience::Short.limit().as_secs()));
                }
                Err(e) => return Err(failed(e)),
            }
        }
        // Before a byte is sent: another user's program gets no password.
        let peer = getsockopt(&fd, sockopt::PeerCredentials).map_err(failed)?;
        if peer.uid() != geteuid().as_raw() {
            return Err(Error::Refused(format!(
                "the agent at {} belongs to another user (uid {})",
                path.display(),
                peer.uid()
            )));
        }
        Ok(Some(Self {
            stream: UnixStream::from(fd),
            vault: vault.map(|v| v.as_os_str().as_bytes().to_vec()),
            id: 0,
        }))
    }

    /// One request whose answer is one message, apart from progress.
    pub fn call(&mut self, request: Request, patience: Patience) -> Result<Response> {
        let mut answer = None;
        self.each(request, patience, |response| {
            if answer.replace(response).is_some() {
                return Err(Error::Malformed("two answers to one request"));
            }
            Ok(())
        })?;
        answer.ok_or(Error::Malformed("no answer"))
    }

    /// One request; `take` gets each message of its answer as it arrives.
    pub fn each(
        &mut self,
        request: Request,
        patience: Patience,
        mut take: impl FnMut(Response) -> Result<()>,
    ) -> Result<()> {
        self.id += 1;
        let id = self.id;
        self.send(request)?;
        let limit = patience.limit();
        self.stream
            .set_read_timeout(Some(limit))
            .map_err(|e| self.broken(&e, limit))?;
        let mut progress = match patience {
            Patience::Short => None,
            Patience::Long(label) => Some(Progress::new(label)),
        };
        loop {
            if let Some(progress) = &mut progress {
                self.wait(progress)?;
            }
            let (response, more) = self.receive(id, limit)?;
            match response {
                Response::Failed(failure) => return Err(Error::Agent(failure)),
                Response::Progress { done, total } if more => {
                    if let Some(progress) = &mut progress {
                        progress.step(done, total);
                    }
                }
                Response::Progress { .. } => return Err(Error::Malformed("no answer")),
                response => {
                    progress = None;
                    take(response)?;
                }
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// Waits for the agent to end the connection.
    pub fn wait_for_end(&mut self, limit: Duration) -> Result<()> {
        let failed = |e: io::Error| Error::Transport(format!("the connection failed: {e}"));
        self.stream.set_read_timeout(Some(limit)).map_err(failed)?;
        match Steady(&self.stream).read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Error::Malformed("more than was asked for")),
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            Err(e) => Err(self.broken(&e, limit)),
        }
    }

    fn send(&mut self, request: Request) -> Result<()> {
        let envelope = Envelope {
            vault: self.vault.clone(),
            request,
        };
        let frame = frame::encode(self.id, 0, &envelope).map_err(|_| {
            Error::usage("the request is too large", "shorten the note or the value")
        })?;
        match Steady(&self.stream).write_all(&frame) {
            Ok(()) => Ok(()),
            // An agent that turns a client away says why, then closes.
            Err(e) if is_closed(&e) => match self.receive(self.id, Patience::Short.limit()) {
                Ok((Response::Failed(failure), _)) => Err(Error::Agent(failure)),
                Err(error @ Error::Version(_)) => Err(error),
                _ => Err(self.broken(&e, Patience::Short.limit())),
            },
            Err(e) => Err(self.broken(&e, Patience::Short.limit())),
        }
    }

    /// One frame: its message, and whether more follow.
    fn receive(&self, id: u64, limit: Duration) -> Result<(Response, bool)> {
        let (header, body) = match frame::read(&mut Steady(&self.stream)) {
            Ok(frame) => frame,
            Err(FrameError::Io(e)) => return Err(self.broken(&e, limit)),
            Err(FrameError::Closed) => return Err(closed()),
            Err(_) => return Err(Error::Malformed("a frame of an impossible length")),
        };
        if header.version == 0 {
            return Err(Error::Version(Versions::parse(&body)));
        }
        let header = header.check().map_err(|e| match e {
            FrameError::Version(v) => Error::Version(Some(Versions { min: v, max: v })),
            _ => Error::Malformed("unknown flags"),
        })?;
        let response: Response = codec::decode(&body)
            .map_err(|_| Error::Malformed("a message that is not of this protocol"))?;
        // A request that could not be read has no id to answer to.
        let for_nobody = header.id == 0 && matches!(response, Response::Failed(_));
        if header.id != id && !for_nobody {
            return Err(Error::Malformed("an answer to another request"));
        }
        Ok((response, header.flags & MORE != 0))
    }

    /// Lets the first quiet second pass, then shows that it lasts.
    fn wait(&self, progress: &mut Progress) -> Result<()> {
        while let Some(quiet) = progress.quiet_for() {
            let mut ready = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(quiet).unwrap_or(PollTimeout::ZERO);
            match poll(&mut ready, timeout) {
                Ok(0) => progress.spin(),
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(e) => {
                    return Err(Error::Transport(format!(
                        "the connection failed: {}",
                        e.desc()
                    )));
                }
            }
        }
        Ok(())
    }

    fn broken(&self, error: &io::Error, limit: Duration) -> Error {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout(limit.as_secs()),
            _ if is_closed(error) => closed(),
            _ => Error::Transport(format!("the connection to the agent failed: {error}")),
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionAborted
    )
}

fn closed() -> Error {
    Error::Transport("the agent closed the connection without an answer".to_owned())
}

fn refused(path: &Path) -> Error {
    Error::Refused(format!("the socket {} is not yours to use", path.display()))
}

/// The address of a socket. One whose path is too long for an address is
/// reached through a descriptor of its folder, which has to stay open.
fn address(path: &Path) -> nix::Result<(Option<OwnedFd>, UnixAddr)> {
    if path.as_os_str().len() <= SOCKET_PATH {
        return Ok((None, UnixAddr::new(path)?));
    }
    let name: &OsStr = path.file_name().ok_or(Errno::ENOENT)?;
    let folder = path.parent().ok_or(Errno::ENOENT)?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let folder = open(folder, flags, Mode::empty())?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    Ok((Some(folder), UnixAddr::new(&short)?))
}

/// A stream with a time limit, on which being stopped and continued is no error.
struct Steady<'a>(&'a UnixStream);

impl Read for Steady<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(bytes) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

impl Write for Steady<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::net::UnixListener, thread};
    use sv_proto::{Kind, Secret, message::Failure};

    /// Serves one connection on a socket of its own and gives the client's end.
    fn with_server(
        serve: impl FnOnce(UnixStream) + Send + 'static,
    ) -> (tempfile::TempDir, Connection, thread::JoinHandle<()>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || serve(listener.accept().unwrap().0));
        let connection = Connection::open(&path, Some(Path::new("/v"))).unwrap();
        (dir, connection.unwrap(), server)
    }

    fn answer(stream: &mut UnixStream, id: u64, flags: u16, response: &Response) {
        let frame = frame::encode(id, flags, response).unwrap();
        stream.write_all(&frame).unwrap();
    }

    #[test]
    fn a_request_and_its_answer() {
        let (_dir, mut connection, server) = with_server(|mut stream| {
            for n in 1..=2 {
                let (header, body) = frame::read(&mut stream).unwrap();
                assert_eq!(header.check().unwrap().id, n);
                let envelope: Envelope = codec::decode(&body).unwrap();
                assert_eq!(envelope.vault.as_deref(), Some(&b"/v"[..]));
                assert_eq!(envelope.request.label(), "get");
                answer(
                    &mut stream,
                    n,
                    0,
                    &Response::Value(Secret::new(b"v\0".to_vec())),
                );
            }
        });
        for _ in 0..2 {
            let request = Request::Get {
                name: "a".to_owned(),
                rev: None,
            };
            match connection.call(request, Patience::Short).unwrap() {
                Response::Value(value) => assert_eq!(value.expose(), b"v\0"),
                other => panic!("{other:?}"),
            }
        }
        server.join().unwrap();
    }

    #[test]
    fn an_answer_in_pieces_with_progress() {
        let (_dir, mut connection, server) = with_server(|mut stream| {
            frame::read(&mut stream).unwrap();
            let names = |n: &str| Response::Names(vec![n.to_owned()]);
            answer(
                &mut stream,
                1,
                MORE,
                &Response::Progress { done: 1, total: 2 },
            );
            answer(&mut stream, 1, MORE, &names("a"));
            answer(&mut stream, 1, 0, &names("b"));
        });
        let mut names = Vec::new();
        connection
            .each(Request::Status, Patience::Long("x"), |response| {
                if let Response::Names(more) = response {
                    names.extend(more);
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(names, ["a", "b"]);
        server.join().unwrap();
    }

    /// The error that this raw answer to a request gives.
    fn error_of(bytes: Vec<u8>) -> Error {
        let (_dir, mut connection, server) = with_server(move |mut stream| {
            frame::read(&mut stream).unwrap();
            stream.write_all(&bytes).unwrap();
        });
        let error = connection.call(Request::Lock, Patience::Short).unwrap_err();
        server.join().unwrap();
        error
    }

    #[test]
    fn what_a_strange_agent_gets() {
        assert_eq!(error_of(Vec::new()).code(), 10);
        assert_eq!(error_of(vec![1, 0, 0]).code(), 10);
        assert_eq!(error_of(vec![0xff; 64]).code(), 8);
        assert_eq!(error_of(b"HTTP/1.1 400 Bad Request".to_vec()).code(), 8);

        let other = Versions { min: 2, max: 3 }.frame(1);
        let error = error_of(other.to_vec());
        assert_eq!(error.code(), 11);
        assert!(error.to_string().contains("2 to 3"));

        let mut newer = frame::encode(1, 0, &Response::Done).unwrap().to_vec();
        newer[4] = 7;
        assert_eq!(error_of(newer).code(), 11);

        let wrong_id = frame::encode(9, 0, &Response::Done).unwrap();
        assert_eq!(error_of(wrong_id.to_vec()).code(), 8);
        let mut trailing = frame::encode(1, 0, &Response::Done).unwrap().to_vec();
        trailing.push(0);
        trailing[0] += 1;
        assert_eq!(error_of(trailing).code(), 8);

        let failure = Response::Failed(Failure::new(Kind::Busy, "full"));
        let for_nobody = frame::encode(0, 0, &failure).unwrap();
        let error = error_of(for_nobody.to_vec());
        assert_eq!((error.code(), error.kind()), (10, "busy"));
    }

    #[test]
    fn nobody_listens() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        assert!(Connection::open(&path, None).unwrap().is_none());
        let under = dir.path().join("missing").join("socket");
        assert!(Connection::open(&under, None).unwrap().is_none());
        // A socket that an agent left behind when it was killed.
        drop(UnixListener::bind(&path).unwrap());
        assert!(Connection::open(&path, None).unwrap().is_none());
    }

    #[test]
    fn a_path_too_long_for_an_address() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("d".repeat(90)).join("e".repeat(90));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        assert!(Connection::open(&path, None).unwrap().is_none());
        let (_folder, through) = address(&path).unwrap();
        let through = through.path().unwrap().to_owned();
        let _listener = UnixListener::bind(through).unwrap();
        assert!(Connection::open(&path, None).unwrap().is_some());
        let name = folder.join("n".repeat(200));
        assert_eq!(Connection::open(&name, None).unwrap_err().code(), 2);
    }
}
