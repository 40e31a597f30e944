//! The memory that large frames share.
//!
//! Whoever wants to send or take a large frame first gets its whole size from
//! here, so nobody holds a part while waiting for the rest. It is handed out
//! in order; whoever keeps others waiting with an unfinished frame loses it.

use crate::{
    connections::{Connections, Slot},
    limits,
};
use std::{pin::pin, rc::Rc, sync::Arc};
use sv_proto::{Kind, message::Failure};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

/// Bytes that one permit stands for: permits are counted in u32.
const UNIT: usize = 1024;

/// What is left.
pub(crate) struct Budget {
    left: Arc<Semaphore>,
    connections: Rc<Connections>,
}

/// A part of the budget, given back when dropped.
pub(crate) struct Room {
    permit: OwnedSemaphorePermit,
    slot: Rc<Slot>,
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

impl Budget {
    pub(crate) fn new(bytes: usize, connections: Rc<Connections>) -> Self {
        Self {
            left: Arc::new(Semaphore::new(bytes / UNIT)),
            connections,
        }
    }

    /// Takes `bytes` if nobody has to wait for that.
    pub(crate) fn try_take(&self, bytes: usize, slot: &Rc<Slot>) -> Option<Room> {
        let permit = Arc::clone(&self.left)
            .try_acquire_many_owned(units(bytes))
            .ok()?;
        Some(Room::new(permit, slot))
    }

    /// Waits for `bytes`.
    pub(crate) async fn take(&self, bytes: usize, slot: &Rc<Slot>) -> Result<Room, Failure> {
        let busy = || Failure::new(Kind::Busy, "the agent is busy with other large messages");
        let give_up = Instant::now() + limits::BUDGET_WAIT;
        let mut acquire = pin!(Arc::clone(&self.left).acquire_many_owned(units(bytes)));
        loop {
            match timeout(limits::BUDGET_LOOK, &mut acquire).await {
                Ok(Ok(permit)) => return Ok(Room::new(permit, slot)),
                Ok(Err(_closed)) => return Err(busy()),
                Err(_) if Instant::now() >= give_up => return Err(busy()),
                Err(_) => self.connections.evict_holder(),
            }
        }
    }
}

impl Room {
    fn new(permit: OwnedSemaphorePermit, slot: &Rc<Slot>) -> Self {
        slot.hold(true);
        Self {
            permit,
            slot: Rc::clone(slot),
        }
    }

    /// Gives back all but `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let keep = units(bytes) as usize;
        let surplus = self.permit.num_permits().saturating_sub(keep);
        drop(self.permit.split(surplus));
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.slot.hold(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::Phase;
    use std::time::Duration;
    use tokio::{runtime, task::LocalSet, time::sleep};

    fn run(test: impl Future<Output = ()>) {
        let runtime = runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn parts_are_taken_shrunk_and_given_back() {
        let connections = Connections::new(8);
        let budget = Budget::new(8 * UNIT, Rc::clone(&connections));
        let entry = connections.register(1);
        let mut most = budget
            .try_take(7 * UNIT, entry.slot())
            .expect("room for seven");
        assert!(budget.try_take(2 * UNIT, entry.slot()).is_none());
        most.shrink(UNIT + 1);
        let six = budget.try_take(6 * UNIT, entry.slot());
        assert!(six.is_some());
        assert!(budget.try_take(1, entry.slot()).is_none());
        drop((most, six));
        assert!(budget.try_take(8 * UNIT, entry.slot()).is_some());
    }

    #[test]
    fn whoever_outstays_is_closed_for_whoever_waits() {
        run(async {
            let connections = Connections::new(8);
            let budget = Rc::new(Budget::new(4 * UNIT, Rc::clone(&connections)));

            let slow = connections.register(1);
            let slow_slot = Rc::clone(slow.slot());
            slow_slot.enter(Phase::Partial);
            let room = budget
                .try_take(3 * UNIT, &slow_slot)
                .expect("an empty budget");
            let task = tokio::task::spawn_local(async move {
                let _held = (slow, room);
                sleep(Duration::from_secs(3600)).await;
            });
            slow_slot.run_by(task.abort_handle());

            let honest = connections.register(2);
            let started = Instant::now();
            let room = budget.take(2 * UNIT, honest.slot()).await;
            assert!(room.is_ok());
            let waited = started.elapsed();
            assert!(waited > limits::BUDGET_PATIENCE, "{waited:?}");
            assert!(waited < limits::BUDGET_PATIENCE * 2, "{waited:?}");
            assert!(task.await.expect_err("it was closed").is_cancelled());
        });
    }

    #[test]
    fn what_is_being_served_keeps_its_part() {
        run(async {
            let connections = Connections::new(8);
            let budget = Budget::new(4 * UNIT, Rc::clone(&connections));
            let served = connections.register(1);
            served.slot().enter(Phase::Serving);
            let _room = budget
                .try_take(3 * UNIT, served.slot())
                .expect("an empty budget");
            let other = connections.register(2);
            let refused = budget.take(2 * UNIT, other.slot()).await;
            assert_eq!(refused.err().map(|f| f.kind), Some(Kind::Busy));
        });
    }
}
