//! A client that speaks the protocol itself.

use std::{io, os::unix::net::UnixStream, path::Path, time::Duration};
use sv_proto::{
    Envelope, Kind, Request, Response, Secret, codec,
    frame::{self, FrameError},
    message::{Change, Failure, Fields, Item, Status},
};

/// A connection to an agent.
pub struct Client {
    /// The connection itself.
    pub stream: UnixStream,
    next: u64,
}

/// Why there was no answer: the agent went away. What it did of the request is not known.
#[derive(Debug)]
pub struct Gone(pub String);

impl Client {
    /// Connects; an answer that takes longer than two minutes is a failure.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        stream.set_write_timeout(Some(Duration::from_secs(120)))?;
        Ok(Self { stream, next: 1 })
    }

    /// Sends a request and reads every frame of its answer.
    pub fn exchange(&mut self, request: Request) -> Result<Vec<Response>, Gone> {
        let id = self.send(request)?;
        self.receive(id)
    }

    /// Sends a request and returns its id.
    pub fn send(&mut self, request: Request) -> Result<u64, Gone> {
        let id = self.next;
        self.next += 1;
        let envelope = Envelope {
            vault: None,
            request,
        };
        frame::write(&mut self.stream, id, &envelope).map_err(|e| Gone(e.to_string()))?;
        Ok(id)
    }

    /// Reads every frame of the answer to request `id`. A connection that is
    /// turned away hears why before any request was read: with the id 0.
    pub fn receive(&mut self, id: u64) -> Result<Vec<Response>, Gone> {
        let mut answer = Vec::new();
        loop {
            let (header, body) = frame::read(&mut self.stream).map_err(|e| match e {
                FrameError::Closed | FrameError::Io(_) => Gone(e.to_string()),
                other => panic!("the agent sent a bad frame: {other}"),
            })?;
            let header = header.check().expect("the agent's own version and flags");
            let response = codec::decode(&body).expect("a response in its only encoding");
            let turned_away = header.id == 0 && matches!(response, Response::Failed(_));
            assert!(
                header.id == id || turned_away,
                "the answer to {id}, not to {}",
                header.id
            );
            answer.push(response);
            if header.flags & frame::MORE == 0 {
                return Ok(answer);
            }
        }
    }

    /// The one frame of an answer that has only one; a failure as an error.
    pub fn ask(&mut self, request: Request) -> Result<Response, Failure> {
        match self.try_ask(request) {
            Ok(answer) => answer,
            Err(Gone(why)) => panic!("no answer: {why}"),
        }
    }

    /// The same, where the agent may go away.
    pub fn try_ask(&mut self, request: Request) -> Result<Result<Response, Failure>, Gone> {
        let mut answer = self.exchange(request)?;
        assert_eq!(answer.len(), 1, "an answer of one frame");
        match answer.pop() {
            Some(Response::Failed(failure)) => Ok(Err(failure)),
            Some(response) => Ok(Ok(response)),
            None => unreachable!("counted above"),
        }
    }

    /// The agent's state.
    pub fn status(&mut self) -> Status {
        match self.ask(Request::Status) {
            Ok(Response::Status(status)) => status,
            other => panic!("status: {other:?}"),
        }
    }

    /// Unlocks with `password`.
    pub fn unlock(&mut self, password: &[u8]) -> Result<(), Failure> {
        let password = Secret::new(password.to_vec());
        match self.ask(Request::Unlock {
            password,
            seconds: None,
        }) {
            Ok(Response::Unlocked(_)) => Ok(()),
            Ok(other) => panic!("unlock: {other:?}"),
            Err(failure) => Err(failure),
        }
    }

    /// A new secret; its revision.
    pub fn add(&mut self, name: &str, value: &[u8]) -> Result<u64, Failure> {
        changed(self.ask(add(name, value)))
    }

    /// A new value; its revision.
    pub fn update(&mut self, name: &str, value: &[u8]) -> Result<u64, Failure> {
        changed(self.ask(update(name, value)))
    }

    /// The value.
    pub fn get(&mut self, name: &str) -> Result<Vec<u8>, Failure> {
        match self.ask(get(name)) {
            Ok(Response::Value(value)) => Ok(value.expose().to_vec()),
            Ok(other) => panic!("get: {other:?}"),
            Err(failure) => Err(failure),
        }
    }

    /// All secrets with their fields.
    pub fn items(&mut self) -> Vec<Item> {
        let answer = self.exchange(Request::List {
            prefix: String::new(),
            category: None,
            tags: Vec::new(),
            fields: true,
        });
        answer
            .expect("an answer")
            .into_iter()
            .flat_map(|part| match part {
                Response::Items(items) => items,
                other => panic!("list: {other:?}"),
            })
            .collect()
    }
}

fn changed(answer: Result<Response, Failure>) -> Result<u64, Failure> {
    match answer {
        Ok(Response::Changed { rev }) => Ok(rev),
        Ok(other) => panic!("a change: {other:?}"),
        Err(failure) => Err(failure),
    }
}

/// The request to add a secret without further fields.
pub fn add(name: &str, value: &[u8]) -> Request {
    Request::Add {
        name: name.to_owned(),
        value: Secret::new(value.to_vec()),
        fields: Fields::default(),
    }
}

/// The request to give a secret another value.
pub fn update(name: &str, value: &[u8]) -> Request {
    Request::Update {
        name: name.to_owned(),
        value: Some(Secret::new(value.to_vec())),
        change: Change::default(),
        if_rev: None,
    }
}

/// The request for a value.
pub fn get(name: &str) -> Request {
    Request::Get {
        name: name.to_owned(),
        rev: None,
    }
}

/// The kind of a failure that had to be one.
pub fn kind<T: std::fmt::Debug>(answer: Result<T, Failure>) -> Kind {
    answer.expect_err("this had to fail").kind
}
