//! Slots, rotation, shares and backups through [`Client`].

use super::client::{Client, Gone};
use std::fmt;
use sv_proto::{
    Kind, Request, Response, Secret,
    message::{Dealing, Failure, FileVerified, HolderKind, Key, KeyKind, Rotated, SetState, Slot},
};

/// An answer: done, refused, or the agent went away.
pub type Answer<T> = Result<Result<T, Failure>, Gone>;

/// Bytes of a key file.
pub const KEY: [u8; 48] = [0x5c; 48];

/// A key of this kind.
pub fn key(kind: KeyKind, bytes: &[u8]) -> Key {
    Key {
        kind,
        secret: Secret::new(bytes.to_vec()),
    }
}

/// A password as a key.
pub fn password(text: &str) -> Key {
    key(KeyKind::Password, text.as_bytes())
}

/// The key file [`KEY`].
pub fn key_file() -> Key {
    key(KeyKind::KeyFile, &KEY)
}

/// These bytes as shares.
pub fn secrets(shares: &[Vec<u8>]) -> Vec<Secret> {
    shares.iter().map(|s| Secret::new(s.clone())).collect()
}

/// The last frame of an answer, after any number of steps.
pub fn finish(client: &mut Client, request: Request) -> Answer<Response> {
    let mut frames = client.exchange(request)?;
    let last = frames.pop().expect("an answer has a frame");
    for frame in frames {
        match frame {
            Response::Progress { done, total } => assert!(done <= total, "{done} of {total}"),
            other => panic!("a step: {other:?}"),
        }
    }
    match last {
        Response::Failed(failure) => Ok(Err(failure)),
        response => Ok(Ok(response)),
    }
}

/// Unlocks with any kind of key.
pub fn unlock(client: &mut Client, key: Key) -> Result<(), Failure> {
    let request = Request::UnlockWith {
        key,
        seconds: None,
        accept_rollback: false,
    };
    match client.ask(request)? {
        Response::Unlocked(_) => Ok(()),
        other => panic!("unlock: {other:?}"),
    }
}

/// Locks.
pub fn lock(client: &mut Client) {
    match client.ask(Request::Lock) {
        Ok(Response::Done) => {}
        other => panic!("lock: {other:?}"),
    }
}

/// Whether `key` opens the vault, which is locked before and unlocked after if so.
pub fn opens(client: &mut Client, key: Key) -> bool {
    lock(client);
    match unlock(client, key) {
        Ok(()) => true,
        Err(failure) if failure.kind == Kind::WrongPassword => false,
        Err(failure) => panic!("neither right nor wrong: {failure:?}"),
    }
}

/// The slots of an answer.
pub fn slots(client: &mut Client, request: Request) -> Result<Vec<Slot>, Failure> {
    match client.ask(request)? {
        Response::Slots(slots) => Ok(slots),
        other => panic!("slots: {other:?}"),
    }
}

/// Renews all keys.
pub fn rotate(client: &mut Client) -> Answer<Rotated> {
    let answer = finish(client, Request::Rotate { passwords: None })?;
    Ok(answer.map(|response| match response {
        Response::Rotated(rotated) => rotated,
        other => panic!("rotate: {other:?}"),
    }))
}

/// The same where nothing goes wrong; the number of the new epoch.
pub fn rotated(client: &mut Client) -> u64 {
    let rotated = rotate(client).expect("an agent").expect("new keys");
    assert_eq!(epoch(client), rotated.epoch);
    rotated.epoch
}

/// The number of the epoch.
pub fn epoch(client: &mut Client) -> u64 {
    client.status().epoch.expect("unlocked")
}

fn dealing(answer: Answer<Response>) -> Answer<Dealing> {
    Ok(answer?.map(|response| match response {
        Response::Dealing(dealing) => dealing,
        other => panic!("a set: {other:?}"),
    }))
}

/// The sets in this state.
pub fn set(client: &mut Client, state: SetState) -> Option<Dealing> {
    match client.ask(Request::Dealings) {
        Ok(Response::Dealings(sets)) => {
            let mut of_state = sets.into_iter().filter(|set| set.state == state);
            let found = of_state.next();
            assert!(of_state.next().is_none(), "one set is {state:?}");
            found
        }
        other => panic!("sets: {other:?}"),
    }
}

/// The shares of one set that somebody has, by index.
#[derive(Default)]
pub struct Dealt {
    /// The set.
    pub set: [u8; 16],
    /// How many are needed.
    pub threshold: usize,
    /// The shares as text, by index from 1; empty where there is none.
    pub shares: Vec<Vec<u8>>,
}

impl Dealt {
    /// Those at hand.
    pub fn at_hand(&self) -> Vec<Vec<u8>> {
        (self.shares.iter())
            .filter(|share| !share.is_empty())
            .cloned()
            .collect()
    }

    /// As many as are needed.
    pub fn enough(&self) -> Vec<Secret> {
        let mut shares = self.at_hand();
        assert!(shares.len() >= self.threshold, "as many as are needed");
        shares.truncate(self.threshold);
        secrets(&shares)
    }
}

impl fmt::Debug for Dealt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} shares at hand", self.at_hand().len())
    }
}

/// Fetches every share of a pending set that is not delivered, and says that it
/// is. The shares go to `dealt` before they are confirmed.
pub fn deliver(client: &mut Client, pending: &Dealing, dealt: &mut Dealt) -> Answer<()> {
    if dealt.set != pending.set {
        *dealt = Dealt {
            set: pending.set,
            threshold: pending.threshold.into(),
            shares: vec![Vec::new(); pending.count.into()],
        };
    }
    for share in &pending.shares {
        if share.holder.is_some() {
            continue;
        }
        let (set, index) = (pending.set, share.index);
        let text = match client.try_ask(Request::Share { set, index })? {
            Ok(Response::Value(text)) => text.expose().to_vec(),
            Ok(other) => panic!("a share: {other:?}"),
            Err(failure) => return Ok(Err(failure)),
        };
        dealt.shares[usize::from(index) - 1] = text;
        let delivered = Request::ShareDelivered {
            set,
            index,
            kind: HolderKind::File,
            holder: format!("share-{index}.sv"),
        };
        if let Err(failure) = dealing(client.try_ask(delivered))? {
            return Ok(Err(failure));
        }
    }
    Ok(Ok(()))
}

/// Puts a set into force.
pub fn commit(client: &mut Client, set: [u8; 16], partial: bool) -> Answer<Dealing> {
    dealing(finish(client, Request::DealCommit { set, partial }))
}

/// Deals a set.
pub fn deal(client: &mut Client, threshold: u8, count: u8) -> Answer<Dealing> {
    dealing(client.try_ask(Request::Deal { count, threshold }))
}

/// Deals a set, takes its shares and puts it into force.
pub fn distribute(
    client: &mut Client,
    threshold: u8,
    count: u8,
    dealt: &mut Dealt,
) -> Answer<Dealing> {
    let pending = match deal(client, threshold, count)? {
        Ok(pending) => pending,
        Err(failure) => return Ok(Err(failure)),
    };
    match deliver(client, &pending, dealt)? {
        Ok(()) => commit(client, pending.set, false),
        Err(failure) => Ok(Err(failure)),
    }
}

/// A new set in force, where nothing goes wrong.
pub fn distributed(client: &mut Client, threshold: u8, count: u8) -> Dealt {
    let mut dealt = Dealt::default();
    let set = distribute(client, threshold, count, &mut dealt);
    let set = set.expect("an agent").expect("a set");
    assert_eq!(set.state, SetState::Active);
    dealt
}

/// Whether these shares open the vault.
pub fn drill(client: &mut Client, shares: Vec<Secret>) -> Result<(), Failure> {
    match client.ask(Request::RecoverDrill { shares })? {
        Response::Done => Ok(()),
        other => panic!("a drill: {other:?}"),
    }
}

/// Opens the vault with shares and gives it a password.
pub fn recover(client: &mut Client, shares: Vec<Secret>, password: &str) -> Answer<()> {
    let request = Request::Recover {
        shares,
        password: Secret::new(password.as_bytes().to_vec()),
    };
    Ok(finish(client, request)?.map(|response| match response {
        Response::Unlocked(_) => {}
        other => panic!("recover: {other:?}"),
    }))
}

/// The name of a copy beside the vault.
pub fn backup(client: &mut Client, slots: bool) -> Answer<String> {
    let answer = finish(client, Request::Backup { slots })?;
    Ok(answer.map(|response| match response {
        Response::BackupMade(made) => made.file,
        other => panic!("backup: {other:?}"),
    }))
}

/// What is in a file beside the vault.
pub fn file_verify(client: &mut Client, file: &str) -> Result<FileVerified, Failure> {
    let file = file.to_owned();
    let answer = finish(client, Request::FileVerify { file }).expect("an agent");
    answer.map(|response| match response {
        Response::FileVerified(found) => found,
        other => panic!("a check of a file: {other:?}"),
    })
}

/// One revision of a secret and its value, or why there is none.
type Read = (sv_proto::message::Revision, Result<Vec<u8>, Kind>);

/// Secrets with every revision and value.
#[derive(PartialEq, Eq, Clone)]
pub struct Dump(Vec<(String, Result<Vec<Read>, Kind>)>);

impl fmt::Debug for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, history) in &self.0 {
            match history {
                Ok(list) => {
                    let list: Vec<_> = list
                        .iter()
                        .map(|(r, value)| {
                            let read = value.as_ref().map(Vec::len);
                            (r.rev, r.head, r.deleted, read)
                        })
                        .collect();
                    map.entry(name, &list);
                }
                Err(kind) => {
                    map.entry(name, kind);
                }
            }
        }
        map.finish()
    }
}

impl Dump {
    /// Reads everything there is, and these names, deleted or not.
    pub fn of(client: &mut Client, names: &[String]) -> Self {
        let mut all: Vec<String> = client.items().into_iter().map(|item| item.name).collect();
        all.extend_from_slice(names);
        all.sort();
        all.dedup();
        let read = all.into_iter().map(|name| {
            let history = match client.ask(Request::History { name: name.clone() }) {
                Ok(Response::Revisions(list)) => Ok(list),
                Ok(other) => panic!("a history: {other:?}"),
                Err(failure) => Err(failure.kind),
            };
            let history = history.map(|list| {
                let value = |rev| {
                    let rev = Some(rev);
                    match client.ask(Request::Get {
                        name: name.clone(),
                        rev,
                    }) {
                        Ok(Response::Value(value)) => Ok(value.expose().to_vec()),
                        Ok(other) => panic!("a value: {other:?}"),
                        Err(failure) => Err(failure.kind),
                    }
                };
                let mut value = value;
                list.into_iter()
                    .map(|r| (r.clone(), value(r.rev)))
                    .collect()
            });
            (name, history)
        });
        Self(read.collect())
    }
}

/// Every check that the agent has finds nothing.
pub fn sound(client: &mut Client) {
    match finish(client, Request::Verify) {
        Ok(Ok(Response::Verified(found))) => {
            assert!(found.problems.is_empty(), "{:?}", found.problems);
        }
        other => panic!("verify: {other:?}"),
    }
    match finish(client, Request::AuditVerify) {
        Ok(Ok(Response::AuditVerified(found))) => {
            assert!(found.problems.is_empty(), "{:?}", found.problems);
        }
        other => panic!("a check of the audit log: {other:?}"),
    }
    match client.ask(Request::Health) {
        Ok(Response::Health(health)) => {
            assert!(!health.rolled_back && !health.audit_short, "{health:?}");
        }
        other => panic!("health: {other:?}"),
    }
}
