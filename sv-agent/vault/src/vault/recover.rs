//! Recovery: shares to the recovery key, and from there to a vault with a new
//! password. Every share is checked against the set in force before anything is
//! combined, since Shamir's scheme gives a wrong key for wrong shares.

use super::{
    Locked, Vault,
    chain::Chain,
    control::Changes,
    keys::{Epochs, NodeKeys, Succession},
    path::Tree,
    rekey::{After, Before, Drop, Finish, Rekey, Slots},
    slots::NewSlot,
};
use crate::{
    Error, KeyMemory, Result,
    audit::{NewEvent, Prepared},
    crypto,
    objects::{
        epoch,
        epoch::{Epoch, Member, Recovery},
        kind,
        local::{Dealing, Local, Part},
        manifest::Manifest,
        share_set::ShareSet,
    },
    store::Store,
    sys,
};
use std::collections::HashSet;
use sv_shares::{Header, Parsed, Share};

/// What a share is, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareFacts {
    /// The vault.
    pub vault: [u8; 16],
    /// The set.
    pub set: [u8; 16],
    /// 1 to the count.
    pub index: u8,
    /// How many recover the vault.
    pub threshold: u8,
    /// How many there are.
    pub count: u8,
}

/// The public half of a recovery key.
pub(super) fn public(key: &[u8; 32], set: [u8; 16]) -> Result<Recovery> {
    let (seed, (_, opening)) = (signing(key)?, opening(key)?);
    Ok(Recovery {
        set,
        opening,
        signing: crypto::verifying_key(&seed),
    })
}

fn signing(key: &[u8; 32]) -> Result<crypto::Key32> {
    crypto::kdf(key, "sv1/rk/sign", &[])
}

fn opening(key: &[u8; 32]) -> Result<(crypto::PrivateKey, [u8; 32])> {
    let ikm = crypto::kdf::<32>(key, "sv1/rk/open", &[])?;
    let (private, public) = crypto::key_pair(ikm.as_slice());
    Ok((private, crypto::public_bytes(&public)))
}

/// What the shares' own crate says is wrong.
pub(super) fn share_error(error: sv_shares::Error) -> Error {
    if error.is_damage() {
        Error::BadShare(error.to_string())
    } else if error.is_misfit() {
        Error::WrongShare(error.to_string())
    } else {
        match error {
            sv_shares::Error::Version(_) => Error::Version("share"),
            other => Error::System(other.to_string()),
        }
    }
}

/// Reads a share and holds it against the set in force.
pub(super) fn check(store: &Store, chain: &Chain, epoch: &Epoch, text: &[u8]) -> Result<Share> {
    let share = match Share::parse(text).map_err(share_error)? {
        Parsed::Share(share) => share,
        Parsed::Words(words) => {
            let set = in_force(store, chain, epoch)?;
            words.complete(&header(&set)).map_err(share_error)?
        }
    };
    let of = share.header();
    if of.vault != chain.vault {
        return Err(Error::WrongShare("the share is of another vault".into()));
    }
    let set = in_force(store, chain, epoch)?;
    if of.set != set.recovery.set {
        return Err(Error::WrongShare(
            if chain.knows_set(&of.set) {
                "the share is of a set that was retired: newer shares took its place"
            } else {
                "the share is of a set that is not in force in this copy of the vault"
            }
            .into(),
        ));
    }
    if (of.threshold, of.count) != (set.threshold, set.count())
        || !set.holds(share.index(), share.expose())
    {
        return Err(Error::BadShare(format!(
            "share {} was changed: it is not the one that was dealt",
            share.index()
        )));
    }
    Ok(share)
}

fn in_force(store: &Store, chain: &Chain, epoch: &Epoch) -> Result<ShareSet> {
    chain.share_set(store, epoch)?.ok_or(Error::WrongShare(
        "no share set is in force: this vault can't be recovered with shares".into(),
    ))
}

fn header(set: &ShareSet) -> Header {
    Header {
        vault: set.vault,
        set: set.recovery.set,
        threshold: set.threshold,
        count: set.count(),
        epoch: u32::try_from(set.epoch).unwrap_or(u32::MAX),
    }
}

fn facts(share: &Share) -> ShareFacts {
    let of = share.header();
    ShareFacts {
        vault: of.vault,
        set: of.set,
        index: share.index(),
        threshold: of.threshold,
        count: of.count,
    }
}

/// What shares open: the epochs, and what signs the next one.
struct Opened {
    epochs: Epochs,
    manifest: Manifest,
    recovery: Recovery,
    seed: crypto::Key32,
}

/// The recovery key of these shares, each of the set in force.
fn combine(
    store: &Store,
    chain: &Chain,
    epoch: &Epoch,
    texts: &[&[u8]],
) -> Result<(crypto::Key32, ShareSet, Vec<u8>)> {
    let set = in_force(store, chain, epoch)?;
    let mut shares = Vec::with_capacity(texts.len());
    let mut seen = HashSet::new();
    for text in texts {
        let share = check(store, chain, epoch, text)?;
        if !seen.insert(share.index()) {
            return Err(Error::WrongShare(format!(
                "share {} is there twice",
                share.index()
            )));
        }
        shares.push(share);
    }
    let need = usize::from(set.threshold);
    if shares.len() < need {
        let have = shares.len();
        return Err(Error::WrongShare(format!(
            "{have} of {need} shares are there: {} more",
            need - have
        )));
    }
    let combined = sv_shares::combine(&shares).map_err(share_error)?;
    let mut key = crypto::Key32::default();
    if combined.len() != key.len() {
        return Err(Error::WrongShare("the shares give no recovery key".into()));
    }
    key.copy_from_slice(&combined);
    if public(&key, set.recovery.set)? != set.recovery {
        return Err(Error::WrongShare(
            "the shares do not give the recovery key of this vault".into(),
        ));
    }
    let mut indices: Vec<u8> = seen.into_iter().collect();
    indices.sort_unstable();
    Ok((key, set, indices))
}

/// Opens a file with shares: nothing is changed.
fn open(store: &Store, memory: &KeyMemory, texts: &[&[u8]]) -> Result<(Opened, Vec<u8>)> {
    let chain = Chain::read(store)?;
    let manifest = claimed_manifest(store, &chain)?;
    let epoch = chain
        .get(&manifest.epoch)
        .ok_or(Error::Damaged("the current epoch is missing"))?;
    let (key, set, indices) = combine(store, &chain, epoch, texts)?;
    let (private, _) = opening(&key)?;
    let recovery = set.recovery;
    let epochs = Epochs::open_as(memory, chain, &recovery.id(), &private, store, &manifest)?;
    let opened = Opened {
        epochs,
        manifest,
        recovery,
        seed: signing(&key)?,
    };
    Ok((opened, indices))
}

/// The epochs of a file that these shares open.
pub(super) fn shared(store: &Store, memory: &KeyMemory, texts: &[&[u8]]) -> Result<Epochs> {
    open(store, memory, texts).map(|(opened, _)| opened.epochs)
}

/// The stored manifest, signed by whichever member of its epoch wrote it.
pub(super) fn claimed_manifest(store: &Store, chain: &Chain) -> Result<Manifest> {
    let object = store.manifest()?;
    let node = Manifest::claimed_node(&object)?;
    let manifest = Manifest::open(&object, chain.author(&node)?)?;
    let member = (chain.get(&manifest.epoch)).is_some_and(|epoch| epoch.member(&node).is_some());
    if manifest.vault == chain.vault && manifest.node == node && member {
        Ok(manifest)
    } else {
        Err(Error::Damaged("the manifest is of another vault"))
    }
}

impl Locked {
    /// Which share this is. It is whole, and one of the set in force.
    pub fn check_share(&mut self, text: &[u8]) -> Result<ShareFacts> {
        self.connected()?;
        let chain = Chain::read(&self.store)?;
        let manifest = claimed_manifest(&self.store, &chain)?;
        let epoch = chain
            .get(&manifest.epoch)
            .ok_or(Error::Damaged("the current epoch is missing"))?;
        let share = check(&self.store, &chain, epoch, text).map(|share| facts(&share));
        sys::scrub_stack();
        share
    }

    /// How many shares the set in force needs.
    pub fn share_threshold(&mut self) -> Result<u8> {
        self.connected()?;
        let chain = Chain::read(&self.store)?;
        let manifest = claimed_manifest(&self.store, &chain)?;
        let epoch = chain
            .get(&manifest.epoch)
            .ok_or(Error::Damaged("the current epoch is missing"))?;
        Ok(in_force(&self.store, &chain, epoch)?.threshold)
    }

    /// Proves that these shares open the vault; gives their indices.
    pub fn drill(&mut self, texts: &[&[u8]], memory: &KeyMemory) -> Result<Vec<u8>> {
        self.connected()?;
        let opened = open(&self.store, memory, texts).map(|(_, indices)| indices);
        sys::scrub_stack();
        opened
    }

    /// The file is still ours, and open: after an error of the disk, again.
    pub(super) fn connected(&mut self) -> Result<()> {
        self.store.check_file()?;
        if self.store.is_broken() {
            self.store.reconnect()?;
            self.audit.replay(&super::events::outbox(&self.store)?)?;
        }
        Ok(())
    }

    /// Opens the vault with shares: a new node key, a new epoch signed by the
    /// recovery key, and `slot` as the only slot. The shares stay good.
    #[allow(clippy::result_large_err)]
    pub fn recover(
        mut self,
        texts: &[&[u8]],
        slot: NewSlot,
        event: Option<NewEvent>,
        now: i64,
        memory: &KeyMemory,
        progress: &mut dyn FnMut(u64, u64),
    ) -> std::result::Result<Vault, (Self, Error)> {
        let result = self.rekey(texts, slot, event, now, memory, progress);
        self.store.abort();
        sys::scrub_stack();
        match result {
            Ok((after, epochs)) => Vault::recovered(self, memory, after, epochs)
                .map_err(|(locked, e)| (locked, already("the vault is recovered", e))),
            Err(e) => Err((self, e)),
        }
    }

    fn rekey(
        &mut self,
        texts: &[&[u8]],
        slot: NewSlot,
        event: Option<NewEvent>,
        now: i64,
        memory: &KeyMemory,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(After, Epochs)> {
        self.connected()?;
        let (opened, indices) = open(&self.store, memory, texts)?;
        if let Some((id, public)) = super::journal::public(&self.store)? {
            self.audit.set_public(id, public, memory);
        }
        let mut node_key = crypto::random::<32>()?;
        let keys = NodeKeys::derive(memory, &mut node_key)?;
        let current = &opened.epochs.current;
        let old = current
            .member(&opened.manifest.node)
            .ok_or(Error::Damaged("the manifest is of no member"))?;
        let mut members: Vec<Member> = current.members.clone();
        members.retain(|m| m.signing != old.signing);
        members.push(keys.member(epoch::ADMIN, old.name.clone())?);
        let succession = Succession {
            vault: opened.manifest.vault,
            number: current.number + 1,
            parents: vec![opened.epochs.head],
            members,
            recovery: Some(opened.recovery),
        };
        let hedge = keys.hedge.expose();
        let next = succession.seal(memory, hedge, opened.recovery.id(), &opened.seed)?;
        let number = super::journal::highest(&self.store)? + 1;
        let vault = opened.manifest.vault;
        let mut rekey = Rekey::begin(memory, &mut self.store, keys, next, &vault, number)?;
        let mut tree = Tree::new(opened.manifest.root);
        let mut before = Before {
            store: &mut self.store,
            tree: &mut tree,
            epochs: &opened.epochs,
            manifest: &opened.manifest,
            keys: None,
        };
        while !rekey.step(&mut before, 1000)? {
            let (done, total) = rekey.progress();
            progress(done, total);
        }
        let told = match event {
            Some(event) => Some(self.audit.prepare_durable(event)?),
            None => None,
        };
        let finish = Finish {
            changes: Changes::default(),
            local: notes(&before, &opened, &indices, now)?,
            slots: Slots {
                drop: Drop::All,
                new: Some(slot),
            },
            // Of a log that is not here, since this is a copy of the vault on
            // another machine, nothing is expected from now on.
            audit: told
                .as_ref()
                .map_or(self.audit.position(), Prepared::position),
            event: told.as_ref().map(|e| (e.position().0, e.bytes().to_vec())),
        };
        match rekey.commit(&mut before, finish) {
            Ok(after) => {
                if let Some(told) = told {
                    self.audit.committed(told);
                }
                Ok((after, opened.epochs))
            }
            Err((_, e)) => Err(e),
        }
    }
}

/// What is known of the set afterwards: who held its shares went with the node
/// key, but these were seen.
fn notes(before: &Before<'_>, opened: &Opened, indices: &[u8], now: i64) -> Result<Local> {
    let object = (before.store)
        .control_object(kind::SHARE_SET, &opened.recovery.set)?
        .ok_or(Error::Damaged("the share set is missing"))?;
    let set = ShareSet::open(&object, |node| opened.epochs.author(node))?;
    let shares = (1..=set.count())
        .map(|index| Part {
            verified: if indices.contains(&index) { now } else { 0 },
            ..Part::default()
        })
        .collect();
    Ok(Local {
        dealings: vec![Dealing {
            set: set.recovery.set,
            active: true,
            dealt: 0,
            shares,
        }],
        backups: Vec::new(),
    })
}

/// What comes after a commit can fail, and changes nothing about the commit.
pub(super) fn already(done: &str, e: Error) -> Error {
    match e {
        Error::Storage(why) => Error::Storage(format!("{done}, but then: {why}")),
        Error::Full => Error::Storage(format!("{done}, but then the disk was full")),
        e => e,
    }
}

impl Vault {
    #[allow(clippy::result_large_err)]
    fn recovered(
        mut locked: Locked,
        memory: &KeyMemory,
        after: After,
        mut epochs: Epochs,
    ) -> std::result::Result<Self, (Locked, Error)> {
        epochs.succeed(after.next);
        // The truncation of the WAL after the commit may have failed.
        if let Err(e) = locked.connected() {
            return Err((locked, e));
        }
        Self::begin(locked, memory, after.keys, epochs, after.manifest)
    }

    /// Which share this is. It is whole, and one of the set in force.
    pub fn check_share(&mut self, text: &[u8]) -> Result<ShareFacts> {
        self.ready()?;
        let chain = Chain::read(&self.store)?;
        let share = check(&self.store, &chain, &self.epochs.current, text);
        let share = share.map(|share| facts(&share));
        sys::scrub_stack();
        share
    }

    /// How many shares the set in force needs.
    pub fn share_threshold(&mut self) -> Result<u8> {
        self.ready()?;
        let chain = Chain::read(&self.store)?;
        Ok(in_force(&self.store, &chain, &self.epochs.current)?.threshold)
    }

    /// Proves that these shares open the vault; gives their indices.
    pub fn drill(&mut self, texts: &[&[u8]]) -> Result<Vec<u8>> {
        self.ready()?;
        let opened = open(&self.store, &self.memory, texts).map(|(_, indices)| indices);
        sys::scrub_stack();
        opened
    }
}
