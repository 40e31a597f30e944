//! One password at a time, and wrong ones ever slower.

use crate::{convert, errors, events, limits, state::Agent};
use std::{rc::Rc, sync::Arc, time::Duration};
use sv_proto::{
    Secret,
    message::{Failure, Key},
};
use sv_vault_core::{Challenge, Error, NewSlot, SlotKey, SlotKind};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    task,
    time::sleep,
};

/// Whose turn it is.
#[derive(Default)]
pub(crate) struct Derivations(Arc<Mutex<u32>>);

/// The right to derive keys. Only one exists at a time, so that any number of
/// requests holds one arena. It counts the wrong passwords in a row.
pub(crate) struct Turn(OwnedMutexGuard<u32>);

impl Derivations {
    /// Waits for the turn. Giving up the wait gives up the place in the queue.
    pub(crate) async fn turn(&self) -> Turn {
        Turn(Arc::clone(&self.0).lock_owned().await)
    }
}

/// How long the answer to the `wrong`th wrong password in a row waits.
fn delay(wrong: u32) -> Duration {
    limits::WRONG_STEP
        .saturating_mul(wrong)
        .min(limits::WRONG_MOST)
}

/// What one turn is used for.
type Outcome<T> = Result<T, Failure>;

/// Runs `work` to its end, even if the one who asked goes away meanwhile: a
/// closed connection must neither start a second arena beside one in use nor
/// cut a delay short.
pub(crate) async fn to_the_end<T: 'static>(
    work: impl Future<Output = Outcome<T>> + 'static,
) -> Outcome<T> {
    match events::spawn_local(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(errors::internal(&error)),
    }
}

impl Turn {
    /// Derives the key that `password` gives for the vault's slots. A wrong
    /// one is answered after its delay.
    pub(crate) async fn prove(
        &mut self,
        agent: &Rc<Agent>,
        password: Secret,
    ) -> Result<SlotKey, Failure> {
        self.prove_key(agent, SlotKind::Password, password).await
    }

    /// The same for any kind of key.
    pub(crate) async fn prove_key(
        &mut self,
        agent: &Rc<Agent>,
        kind: SlotKind,
        secret: Secret,
    ) -> Result<SlotKey, Failure> {
        self.prove_on(agent, agent.challenge()?, kind, secret).await
    }

    /// The same for slots that are not the served vault's.
    pub(crate) async fn prove_on(
        &mut self,
        agent: &Rc<Agent>,
        challenge: Challenge,
        kind: SlotKind,
        secret: Secret,
    ) -> Result<SlotKey, Failure> {
        let memory = agent.memory.clone();
        let derived =
            task::spawn_blocking(move || challenge.derive(kind, secret.expose(), &memory)).await;
        match derived {
            Ok(Ok(key)) => {
                *self.0 = 0;
                Ok(key)
            }
            Ok(Err(error @ (Error::WrongPassword | Error::WrongKey))) => {
                *self.0 = self.0.saturating_add(1);
                tracing::warn!(in_a_row = *self.0, "wrong password or key");
                sleep(delay(*self.0)).await;
                Err(errors::failure(&error))
            }
            Ok(Err(error)) => Err(errors::failure(&error)),
            Err(error) => Err(errors::internal(&error)),
        }
    }

    /// Derives a new slot of any kind.
    pub(crate) async fn new_key(
        &mut self,
        agent: &Rc<Agent>,
        key: Key,
    ) -> Result<NewSlot, Failure> {
        match convert::key_kind(key.kind) {
            SlotKind::Password => self.new_slot(agent, key.secret).await,
            kind => NewSlot::from_file(kind, key.secret.expose(), &agent.memory)
                .map_err(|error| errors::failure(&error)),
        }
    }

    /// Derives a new slot.
    pub(crate) async fn new_slot(
        &mut self,
        agent: &Rc<Agent>,
        password: Secret,
    ) -> Result<NewSlot, Failure> {
        let (memory, params) = (agent.memory.clone(), agent.kdf);
        task::spawn_blocking(move || NewSlot::derive(password.expose(), params, &memory))
            .await
            .map_err(|error| errors::internal(&error))?
            .map_err(|error| errors::failure(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_and_is_capped() {
        let millis = |wrong| delay(wrong).as_millis();
        assert_eq!(millis(1), 100);
        assert_eq!(millis(2), 200);
        assert_eq!(millis(99), 9_900);
        assert_eq!(millis(100), 10_000);
        assert_eq!(millis(101), 10_000);
        assert_eq!(millis(u32::MAX), 10_000);
    }

    #[test]
    fn one_turn_at_a_time() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let derivations = Derivations::default();
            let turn = derivations.turn().await;
            let second = tokio::time::timeout(Duration::from_secs(60), derivations.turn());
            assert!(second.await.is_err());
            drop(turn);
            let second = tokio::time::timeout(Duration::from_secs(60), derivations.turn());
            assert!(second.await.is_ok());
        });
    }
}
