//! Share sets: dealing them, delivering each share, and taking a set into force.

use super::{Vault, chain, control::Changes, recover, rekey::Slots, rotate::Rotation};
use crate::{
    Error, Result, crypto, limits,
    objects::{
        kind,
        local::{BackupNote, Dealing, Local, Part},
        share_set::{ShareSet, share_hash},
    },
    sys,
};
use sv_shares::{Header, Share};
use zeroize::{Zeroize, Zeroizing};

/// A set of shares, without the shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetInfo {
    /// Its id.
    pub set: [u8; 16],
    /// It is in force.
    pub active: bool,
    /// How many recover the vault.
    pub threshold: u8,
    /// How many there are.
    pub count: u8,
    /// The number of the epoch in which it was dealt.
    pub epoch: u64,
    /// When; 0 if this node did not deal it, or forgot.
    pub dealt: i64,
    /// SHA-256 of the set's object.
    pub digest: [u8; 32],
    /// One for each share, by index; none if this node did not deal it.
    pub shares: Vec<PartInfo>,
}

/// A share, without the share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartInfo {
    /// Where it is: a kind and a label.
    pub holder: Option<(u8, String)>,
    /// When it was delivered, or 0.
    pub delivered: i64,
    /// When it was last seen whole, or 0.
    pub verified: i64,
    /// It waits in the vault.
    pub waiting: bool,
}

const NO_SET: Error = Error::NoShare("there is no such share set");
const NO_SHARE: Error = Error::NoShare("the set has no share of that number");

impl Vault {
    /// Makes a new recovery key and splits it. Its shares wait in the vault,
    /// and the set before stays in force until this one is committed.
    pub fn deal(&mut self, count: u8, threshold: u8, now: i64) -> Result<SetInfo> {
        let result = self.make_set(count, threshold, now);
        sys::scrub_stack();
        result
    }

    fn make_set(&mut self, count: u8, threshold: u8, now: i64) -> Result<SetInfo> {
        self.writable()?;
        let mut local = self.local()?;
        if local.dealings.iter().any(|d| !d.active) {
            return Err(Error::InTheWay(
                "a share set was dealt already and is not in force yet",
            ));
        }
        let fresh = crypto::random::<32>()?;
        let hedge = self.keys.hedge.expose();
        let key = crypto::hmac(hedge, &[b"sv1/hedge/recovery\0", fresh.as_slice()]);
        let set = *crypto::random::<16>()?;
        let recovery = recover::public(&key, set)?;
        let epoch = self.epochs.current.number;
        let header = Header {
            vault: self.manifest.vault,
            set,
            threshold,
            count,
            epoch: u32::try_from(epoch).unwrap_or(u32::MAX),
        };
        let shares = sv_shares::deal(key.as_slice(), &header).map_err(recover::share_error)?;
        // Nobody must find out on the worst day that they do not fit.
        let (first, _) = shares.split_at(threshold.into());
        let again = sv_shares::combine(first).map_err(recover::share_error)?;
        if !crypto::equal(&again, key.as_slice()) {
            return Err(Error::System("the new shares do not fit together".into()));
        }
        let object = ShareSet {
            vault: self.manifest.vault,
            threshold,
            epoch,
            recovery,
            hashes: (shares.iter())
                .map(|share| share_hash(&set, share.index(), share.expose()))
                .collect(),
            signer: self.keys.node,
        }
        .seal(self.keys.signing.expose())?;
        local.dealings.push(Dealing {
            set,
            active: false,
            dealt: now,
            shares: shares.iter().map(waiting).collect::<Result<_>>()?,
        });
        let mut changes = Changes::default();
        changes.set(kind::SHARE_SET, &set, object);
        self.set_local(&mut changes, &local)?;
        self.change_control(&changes, false)?;
        self.set_info(&set)
            .map_err(|e| recover::already("the set is dealt", e))
    }

    /// The set in force, and one that is not yet.
    pub fn sets(&mut self) -> Result<Vec<SetInfo>> {
        self.ready()?;
        let local = self.local()?;
        let active = self.epochs.current.recovery.map(|r| r.set);
        let pending = local.dealings.iter().filter(|d| !d.active).map(|d| d.set);
        active
            .into_iter()
            .chain(pending)
            .map(|set| self.set_info(&set))
            .collect()
    }

    fn set_info(&self, set: &[u8; 16]) -> Result<SetInfo> {
        let object = self.share_set(set)?.ok_or(NO_SET)?;
        let bytes = self
            .store
            .control_object(kind::SHARE_SET, set)?
            .ok_or(NO_SET)?;
        let local = self.local()?;
        let dealing = local.dealings.iter().find(|d| d.set == *set);
        Ok(SetInfo {
            set: *set,
            active: self.epochs.current.recovery.is_some_and(|r| r.set == *set),
            threshold: object.threshold,
            count: object.count(),
            epoch: object.epoch,
            dealt: dealing.map_or(0, |d| d.dealt),
            digest: crypto::sha256(&bytes),
            shares: dealing.map_or_else(Vec::new, |d| d.shares.iter().map(info).collect()),
        })
    }

    fn share_set(&self, set: &[u8; 16]) -> Result<Option<ShareSet>> {
        chain::share_set(&self.store, &self.manifest.vault, set, |n| {
            self.epochs.author(n)
        })
    }

    /// A share that waits, as a line of text.
    pub fn share(&mut self, set: &[u8; 16], index: u8) -> Result<Zeroizing<String>> {
        self.ready()?;
        let object = self.share_set(set)?.ok_or(NO_SET)?;
        let mut local = self.local()?;
        let part = part(&mut local, set, index)?;
        let secret = part.waiting.take().ok_or(Error::NoShare(
            "that share was delivered: the vault does not have it any more",
        ))?;
        let header = Header {
            vault: self.manifest.vault,
            set: *set,
            threshold: object.threshold,
            count: object.count(),
            epoch: u32::try_from(object.epoch).unwrap_or(u32::MAX),
        };
        let share = Share::new(header, index, secret.as_slice()).map_err(recover::share_error)?;
        let text = share.to_text();
        sys::scrub_stack();
        Ok(text)
    }

    /// A share is where it belongs: the vault forgets it.
    pub fn share_delivered(
        &mut self,
        set: &[u8; 16],
        index: u8,
        holder: (u8, String),
        now: i64,
    ) -> Result<SetInfo> {
        self.writable()?;
        let mut local = self.local()?;
        let part = part(&mut local, set, index)?;
        if holder.0 == 0 || holder.1.len() > u8::MAX.into() {
            return Err(Error::Usage("a holder's name has at most 255 bytes"));
        }
        part.holder = Some(holder);
        part.delivered = now;
        part.verified = now;
        let erase = part.waiting.take().is_some();
        self.write_local(&local, erase)?;
        self.set_info(set)
            .map_err(|e| recover::already("the delivery is noted", e))
    }

    /// A share was seen where it belongs. `holder` is who showed it.
    pub fn share_verified(
        &mut self,
        text: &[u8],
        holder: Option<&str>,
        now: i64,
    ) -> Result<SetInfo> {
        self.writable()?;
        let chain = chain::Chain::read(&self.store)?;
        let checked = recover::check(&self.store, &chain, &self.epochs.current, text)?;
        let set = checked.header().set;
        let mut local = self.local()?;
        if local.dealings.iter().any(|d| d.set == set) {
            let part = part(&mut local, &set, checked.index())?;
            if let (Some(holder), Some((_, known))) = (holder, &part.holder)
                && holder != known
            {
                return Err(Error::WrongShare(format!(
                    "this is share {}, which belongs to another holder",
                    checked.index()
                )));
            }
            part.verified = now;
            self.write_local(&local, false)?;
        }
        self.set_info(&set)
    }

    /// Shares of the set in force were seen to open the vault.
    pub fn shares_drilled(&mut self, indices: &[u8], now: i64) -> Result<()> {
        self.writable()?;
        let mut local = self.local()?;
        for dealing in local.dealings.iter_mut().filter(|d| d.active) {
            for index in indices {
                let at = usize::from(*index).wrapping_sub(1);
                if let Some(part) = dealing.shares.get_mut(at) {
                    part.verified = now;
                }
            }
        }
        self.write_local(&local, false)
    }

    /// Forgets a set that is not in force.
    pub fn deal_cancel(&mut self, set: &[u8; 16]) -> Result<()> {
        self.writable()?;
        let mut local = self.local()?;
        if !local.dealings.iter().any(|d| d.set == *set && !d.active) {
            return Err(NO_SET);
        }
        local.dealings.retain(|d| d.set != *set);
        let mut changes = Changes::default();
        changes.remove(kind::SHARE_SET, set);
        self.set_local(&mut changes, &local)?;
        self.change_control(&changes, true)
    }

    /// Begins the rotation that takes a set into force and retires the one before.
    pub fn deal_commit(&mut self, set: &[u8; 16], partial: bool) -> Result<Rotation> {
        self.writable()?;
        let object = self.share_set(set)?.ok_or(NO_SET)?;
        let mut local = self.local()?;
        let dealing = (local.dealings.iter_mut())
            .find(|d| d.set == *set && !d.active)
            .ok_or(NO_SET)?;
        let delivered = dealing
            .shares
            .iter()
            .filter(|s| s.waiting.is_none())
            .count();
        if delivered < dealing.shares.len() && !partial {
            return Err(Error::InTheWay("some shares are not delivered yet"));
        }
        if delivered < usize::from(object.threshold) {
            return Err(Error::InTheWay(
                "fewer shares are delivered than recover the vault",
            ));
        }
        dealing.active = true;
        local.dealings.retain(|d| d.set == *set);
        let mut changes = Changes::default();
        for (id, _) in self.store.control(kind::SHARE_SET)? {
            if id.as_slice() != set {
                changes.remove(kind::SHARE_SET, &id);
            }
        }
        let mut rotation = self.rekey(Some(object.recovery), Slots::default())?;
        rotation.deal = Some((changes, local));
        Ok(rotation)
    }

    /// A copy of the vault is where it belongs.
    pub fn note_backup(&mut self, generation: u64, place: &str, now: i64) -> Result<()> {
        self.writable()?;
        let mut local = self.local()?;
        local.backups.push(BackupNote {
            generation,
            time: now,
            place: place.to_owned(),
        });
        let surplus = local.backups.len().saturating_sub(limits::BACKUPS);
        local.backups.drain(..surplus);
        self.write_local(&local, false)
    }

    /// When the newest backup was made.
    pub fn newest_backup(&mut self) -> Result<Option<i64>> {
        self.ready()?;
        Ok(self.local()?.backups.iter().map(|b| b.time).max())
    }

    fn write_local(&mut self, local: &Local, erase: bool) -> Result<()> {
        let mut changes = Changes::default();
        self.set_local(&mut changes, local)?;
        self.change_control(&changes, erase)
    }
}

fn waiting(share: &Share) -> Result<Part> {
    let mut secret = [0; 32];
    if share.expose().len() != secret.len() {
        return Err(Error::System("a share has another length".into()));
    }
    secret.copy_from_slice(share.expose());
    let part = Part {
        waiting: Some(Zeroizing::new(secret)),
        ..Part::default()
    };
    secret.zeroize();
    Ok(part)
}

fn part<'a>(local: &'a mut Local, set: &[u8; 16], index: u8) -> Result<&'a mut Part> {
    let dealing = (local.dealings.iter_mut())
        .find(|d| d.set == *set)
        .ok_or(NO_SET)?;
    let at = index.checked_sub(1).ok_or(NO_SHARE)?;
    dealing.shares.get_mut(usize::from(at)).ok_or(NO_SHARE)
}

fn info(part: &Part) -> PartInfo {
    PartInfo {
        holder: part.holder.clone(),
        delivered: part.delivered,
        verified: part.verified,
        waiting: part.waiting.is_some(),
    }
}
