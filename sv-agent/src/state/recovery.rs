//! The vault in the hands of those who hold shares: locked or not, and handed
//! out while shares open it.

use super::{Agent, State, closing, recovering};
use crate::{ceremony::Ceremony, errors};
use sv_proto::{
    Kind,
    message::{Failure, Unlocked},
};
use sv_vault_core::{Error, ErrorKind, Locked, Vault};
use tokio::task::JoinError;

impl Agent {
    /// Works on the vault, locked or not.
    pub(crate) fn with_either<T>(
        &self,
        locked: impl FnOnce(&mut Locked) -> sv_vault_core::Result<T>,
        unlocked: impl FnOnce(&mut Vault) -> sv_vault_core::Result<T>,
    ) -> Result<T, Failure> {
        match &mut *self.state.borrow_mut() {
            State::Locked(vault) => locked(vault),
            State::Unlocked(open) => unlocked(&mut open.vault),
            State::NoVault => return Err(self.no_vault()),
            State::Recovering(_) => return Err(recovering()),
            State::Closed => return Err(closing()),
        }
        .map_err(|error| errors::failure(&error))
    }

    /// Locks the vault and hands it out, until [`Agent::put_back`].
    pub(crate) fn take_locked(&self, why: &str) -> Result<Box<Locked>, Failure> {
        self.open()?;
        let mut state = self.state.borrow_mut();
        self.lock_state(&mut state, why);
        match std::mem::replace(&mut *state, State::NoVault) {
            State::Locked(locked) => {
                *state = State::Recovering(locked.id());
                Ok(locked)
            }
            other => {
                *state = other;
                Err(self.no_vault())
            }
        }
    }

    /// The vault comes back unlocked, or as it was with an error.
    pub(crate) fn put_back(
        &self,
        result: Result<Result<Vault, (Locked, Error)>, JoinError>,
    ) -> Result<Unlocked, Failure> {
        let mut state = self.state.borrow_mut();
        let closed = matches!(*state, State::Closed);
        match result {
            // Dropping it wipes the keys.
            Ok(Ok(_)) if closed => Err(closing()),
            Ok(Ok(vault)) => Ok(self.begin(&mut state, vault, None)),
            Ok(Err((locked, error))) => {
                if !closed {
                    *state = match error.kind() {
                        ErrorKind::Gone => State::NoVault,
                        _ => State::Locked(Box::new(locked)),
                    };
                }
                Err(errors::failure(&error))
            }
            Err(error) => {
                if !closed {
                    *state = State::NoVault;
                }
                Err(errors::internal(&error))
            }
        }
    }

    /// Works on the ceremony under way.
    pub(crate) fn with_ceremony<T>(
        &self,
        work: impl FnOnce(&mut Ceremony) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut ceremony = self.ceremony.borrow_mut();
        self.end_ceremony(&mut ceremony);
        match &mut *ceremony {
            Some(ceremony) => work(ceremony),
            None => Err(Failure::new(
                Kind::NoCeremony,
                "no recovery is under way that shares are collected for",
            )),
        }
    }

    /// Begins or forgets one.
    pub(crate) fn set_ceremony(&self, ceremony: Option<Ceremony>) {
        *self.ceremony.borrow_mut() = ceremony;
    }

    pub(super) fn end_ceremony(&self, ceremony: &mut Option<Ceremony>) {
        if (ceremony.as_ref()).is_some_and(|c| c.left(self.now()).is_none()) {
            *ceremony = None;
            tracing::info!("a recovery was not finished in time; its shares are forgotten");
        }
    }

    /// Whether the newest backup is older than the configuration wants.
    pub(crate) fn backup_is_old(&self, newest: Option<i64>, now: i64) -> bool {
        let Some(most) = self.backup_warn_after else {
            return false;
        };
        let most = i64::try_from(most.as_millis()).unwrap_or(i64::MAX);
        newest.is_none_or(|newest| now.saturating_sub(newest) > most)
    }
}
