//! A recovery to which several people contribute. It lives in memory only, and
//! is forgotten at its end.

use crate::{errors, session::Now};
use std::time::Duration;
use sv_proto::{Kind, Secret, message::Failure};
use sv_shares::release;
use sv_vault_core::ShareFacts;

/// One under way.
pub(crate) struct Ceremony {
    key: release::Ceremony,
    threshold: u8,
    shares: Vec<(u8, Secret)>,
    began: Now,
    lasts: Duration,
}

impl Ceremony {
    pub(crate) fn begin(
        vault: [u8; 16],
        threshold: u8,
        lasts: Duration,
        now: Now,
    ) -> Result<Self, Failure> {
        Ok(Self {
            key: release::Ceremony::new(vault).map_err(|error| errors::internal(&error))?,
            threshold,
            shares: Vec::new(),
            began: now,
            lasts,
        })
    }

    /// What is left of it; `None` at its end.
    pub(crate) fn left(&self, now: Now) -> Option<Duration> {
        let left = self.lasts.checked_sub(now.since(self.began))?;
        (!left.is_zero()).then_some(left)
    }

    /// The text of a share that was released for this ceremony, or as it is.
    pub(crate) fn open(&self, share: &Secret) -> Result<Secret, Failure> {
        if !release::is_released(share.expose()) {
            return Ok(Secret::new(share.expose().to_vec()));
        }
        match self.key.open(share.expose()) {
            Ok(text) => Ok(Secret::from(text)),
            Err(error) if error.is_damage() => Err(Failure::new(Kind::BadShare, error.to_string())),
            Err(error) => Err(Failure::new(Kind::WrongShare, error.to_string())),
        }
    }

    /// Takes a share that was checked.
    pub(crate) fn take(&mut self, facts: ShareFacts, text: Secret) -> Result<(), Failure> {
        if self.shares.iter().any(|(index, _)| *index == facts.index) {
            return Err(Failure::new(
                Kind::WrongShare,
                format!("share {} was handed in already", facts.index),
            ));
        }
        self.shares.push((facts.index, text));
        self.shares.sort_by_key(|(index, _)| *index);
        Ok(())
    }

    /// The shares that were handed in.
    pub(crate) fn shares(&self) -> impl Iterator<Item = &Secret> {
        self.shares.iter().map(|(_, text)| text)
    }

    pub(crate) fn shown(&self, now: Now) -> sv_proto::message::Ceremony {
        sv_proto::message::Ceremony {
            key: self.key.key_text(),
            threshold: self.threshold,
            indices: self.shares.iter().map(|(index, _)| *index).collect(),
            left: self.left(now).unwrap_or_default().as_secs(),
        }
    }
}
