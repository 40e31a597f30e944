//! A server that unlocks itself: with a credential that systemd hands to the
//! agent, and that `systemd-creds` can bind to the machine.

use crate::{errors, events, state::Agent};
use nix::fcntl::OFlag;
use std::{
    env,
    fs::OpenOptions,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    rc::Rc,
};
use sv_proto::{Kind, limits, message::Failure};
use sv_vault_core::SlotKind;
use zeroize::Zeroizing;

/// Unlocks the vault with the credential `name`. What fails is told to the log,
/// and the vault stays locked.
pub(crate) fn unlock(agent: &Rc<Agent>, name: &str) {
    let tried = try_unlock(agent, name);
    let outcome = match &tried {
        Ok(()) => "ok",
        Err(failure) => failure.kind.as_str(),
    };
    let event = events::by_agent("unlock", name, outcome, agent.clock.wall());
    let told = agent.tell(event).inspect_err(|_| {
        agent.lock("an event was not written");
    });
    match tried.and(told) {
        Ok(()) => tracing::info!(name, "unlocked by a credential"),
        Err(failure) => {
            let why = failure.message;
            tracing::error!(name, why, "the credential does not unlock the vault");
        }
    }
}

fn try_unlock(agent: &Rc<Agent>, name: &str) -> Result<(), Failure> {
    let unusable = |why: String| Failure::new(Kind::Usage, why);
    let content = read(name).map_err(|e| unusable(format!("it can't be read: {e}")))?;
    if !limits::KEY_FILE.contains(&content.len()) {
        return Err(unusable("a credential has 32 to 4096 bytes".to_owned()));
    }
    let challenge = agent.challenge()?;
    let key = challenge
        .derive(SlotKind::Credential, &content, &agent.memory)
        .map_err(|error| errors::failure(&error))?;
    agent.unlock(key, None).map(drop)
}

/// The content of a credential, at most one byte more than is allowed.
fn read(name: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let folder = env::var_os("CREDENTIALS_DIRECTORY")
        .ok_or_else(|| io::Error::other("CREDENTIALS_DIRECTORY is not set"))?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).bits())
        .open(PathBuf::from(folder).join(name))?;
    // As large as it can get: a buffer that grows leaves copies behind.
    let most = limits::KEY_FILE.end() + 1;
    let mut content = Zeroizing::new(Vec::with_capacity(most + 1));
    file.take(most as u64).read_to_end(&mut content)?;
    Ok(content)
}
