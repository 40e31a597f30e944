//! Who is connected, and who has to go when there are too many.
//!
//! A client of the same user may open connections without end. Turning new
//! ones away would let it lock everybody out, so an old one makes room: of
//! the process with the most connections, the one that has been idle the
//! longest. A process with a single connection is the last to lose it.

use crate::{asker, limits};
use nix::unistd::geteuid;
use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::HashMap,
    rc::Rc,
};
use sv_vault_core::Asker;
use tokio::{sync::Notify, task::AbortHandle, time::Instant};

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing of a frame has arrived.
    Idle,
    /// A part of a frame has arrived.
    Partial,
    /// An answer waits for the peer to read.
    Writing,
    /// It waits for its turn, at a password or at the budget.
    Waiting,
    /// Its request is being served.
    Serving,
}

/// One connection.
pub(crate) struct Slot {
    id: u64,
    pid: i32,
    phase: Cell<Phase>,
    since: Cell<Instant>,
    /// Since when it holds a part of the budget.
    holds: Cell<Option<Instant>>,
    task: RefCell<Option<AbortHandle>>,
    asker: OnceCell<Asker>,
}

impl Slot {
    fn new(id: u64, pid: i32) -> Rc<Self> {
        Rc::new(Self {
            id,
            pid,
            phase: Cell::new(Phase::Idle),
            since: Cell::new(Instant::now()),
            holds: Cell::new(None),
            task: RefCell::new(None),
            asker: OnceCell::new(),
        })
    }

    /// Who asks, as it was when it asked for the first time.
    pub(crate) fn asker(&self) -> &Asker {
        self.asker
            .get_or_init(|| asker::of(geteuid().as_raw(), self.pid))
    }

    /// The peer's process id.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Enters `phase`; what it is in already goes on.
    pub(crate) fn enter(&self, phase: Phase) {
        if self.phase.replace(phase) != phase {
            self.since.set(Instant::now());
        }
    }

    /// Leaves what it was in and begins anew, even in the same phase.
    pub(crate) fn begin(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(Instant::now());
    }

    /// Marks it as holding a part of the budget, or not.
    pub(crate) fn hold(&self, holds: bool) {
        self.holds.set(holds.then(Instant::now));
    }

    /// Lets it be closed through its task.
    pub(crate) fn run_by(&self, task: AbortHandle) {
        *self.task.borrow_mut() = Some(task);
    }

    /// How readily it is closed to make room; not at all while its request is
    /// being served. What waits for its turn goes after what has asked for
    /// nothing or takes nothing.
    fn expendable(&self, now: Instant) -> Option<u8> {
        match self.phase.get() {
            Phase::Idle | Phase::Partial => Some(2),
            Phase::Writing if now.duration_since(self.since.get()) > limits::STALLED => Some(2),
            Phase::Waiting => Some(1),
            Phase::Writing => Some(0),
            Phase::Serving => None,
        }
    }

    fn abort(&self) {
        if let Some(task) = self.task.borrow().as_ref() {
            task.abort();
        }
    }
}

/// All connections.
pub(crate) struct Connections {
    most: usize,
    next: Cell<u64>,
    slots: RefCell<HashMap<u64, Rc<Slot>>>,
    of_pid: RefCell<HashMap<i32, usize>>,
    freed: Notify,
}

/// A connection's entry; dropping it leaves the table.
pub(crate) struct Entry {
    connections: Rc<Connections>,
    slot: Rc<Slot>,
}

impl Entry {
    pub(crate) fn slot(&self) -> &Rc<Slot> {
        &self.slot
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connections.remove(&self.slot);
        self.connections.freed.notify_one();
    }
}

impl Connections {
    pub(crate) fn new(most: usize) -> Rc<Self> {
        Rc::new(Self {
            most,
            next: Cell::new(0),
            slots: RefCell::default(),
            of_pid: RefCell::default(),
            freed: Notify::new(),
        })
    }

    pub(crate) fn full(&self) -> bool {
        self.slots.borrow().len() >= self.most
    }

    pub(crate) fn register(self: &Rc<Self>, pid: i32) -> Entry {
        let id = self.next.get();
        self.next.set(id.wrapping_add(1));
        let slot = Slot::new(id, pid);
        self.slots.borrow_mut().insert(id, Rc::clone(&slot));
        *self.of_pid.borrow_mut().entry(pid).or_default() += 1;
        Entry {
            connections: Rc::clone(self),
            slot,
        }
    }

    fn remove(&self, slot: &Slot) {
        if self.slots.borrow_mut().remove(&slot.id).is_none() {
            return;
        }
        let mut of_pid = self.of_pid.borrow_mut();
        if let Some(n) = of_pid.get_mut(&slot.pid) {
            *n -= 1;
            if *n == 0 {
                of_pid.remove(&slot.pid);
            }
        }
    }

    /// Waits until a connection was closed.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }

    fn victim(&self, now: Instant) -> Option<Rc<Slot>> {
        let of_pid = self.of_pid.borrow();
        self.slots
            .borrow()
            .values()
            .filter_map(|slot| Some((slot.expendable(now)?, slot)))
            .max_by_key(|(expendable, slot)| {
                (
                    of_pid.get(&slot.pid).copied().unwrap_or_default(),
                    *expendable,
                    now.duration_since(slot.since.get()),
                )
            })
            .map(|(_, slot)| Rc::clone(slot))
    }

    /// Closes the connection that has to go first. It leaves the table at
    /// once; its memory and descriptor are free when its task has run.
    pub(crate) fn evict(&self) -> bool {
        let Some(slot) = self.victim(Instant::now()) else {
            return false;
        };
        tracing::debug!(pid = slot.pid, phase = ?slot.phase.get(), "closed to make room");
        self.remove(&slot);
        slot.abort();
        true
    }

    /// Closes the connection that has held a part of the budget for too long
    /// without sending or taking its frame.
    pub(crate) fn evict_holder(&self) {
        let now = Instant::now();
        let held = |slot: &Slot| slot.holds.get().map(|since| now.duration_since(since));
        let slot = self
            .slots
            .borrow()
            .values()
            .filter(|slot| matches!(slot.phase.get(), Phase::Partial | Phase::Writing))
            .filter(|slot| held(slot).is_some_and(|time| time > limits::BUDGET_PATIENCE))
            .max_by_key(|slot| held(slot))
            .cloned();
        if let Some(slot) = slot {
            tracing::debug!(pid = slot.pid, "closed: its frame takes too long");
            self.remove(&slot);
            slot.abort();
        }
    }

    /// Closes those idle for long, when few are left.
    pub(crate) fn close_idle(&self) {
        let now = Instant::now();
        if self.slots.borrow().len() <= self.most / 4 * 3 {
            return;
        }
        self.close(|slot| {
            slot.phase.get() == Phase::Idle
                && now.duration_since(slot.since.get()) > limits::IDLE_CONNECTION
        });
    }

    /// Closes all but those that are being answered.
    pub(crate) fn close_unanswered(&self) {
        self.close(|slot| !matches!(slot.phase.get(), Phase::Serving | Phase::Writing));
    }

    fn close(&self, which: impl Fn(&Slot) -> bool) {
        let closing: Vec<Rc<Slot>> = self
            .slots
            .borrow()
            .values()
            .filter(|slot| which(slot))
            .cloned()
            .collect();
        for slot in closing {
            self.remove(&slot);
            slot.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ago(time: Duration) -> Instant {
        Instant::now()
            .checked_sub(time)
            .expect("the machine is up for longer")
    }

    fn table(entries: &[(i32, Phase, u64)]) -> (Rc<Connections>, Vec<Entry>) {
        let connections = Connections::new(entries.len());
        let entries = entries
            .iter()
            .map(|(pid, phase, age)| {
                let entry = connections.register(*pid);
                entry.slot.begin(*phase);
                entry.slot.since.set(ago(Duration::from_millis(*age)));
                entry
            })
            .collect();
        (connections, entries)
    }

    fn victim(connections: &Connections) -> Option<u64> {
        connections.victim(Instant::now()).map(|slot| slot.id)
    }

    #[test]
    fn the_longest_idle_goes_first() {
        let (connections, _entries) = table(&[
            (1, Phase::Idle, 10),
            (2, Phase::Partial, 900),
            (3, Phase::Idle, 500),
        ]);
        assert!(connections.full());
        assert_eq!(victim(&connections), Some(1));
    }

    #[test]
    fn the_process_with_the_most_loses_first() {
        let (connections, _entries) = table(&[
            (1, Phase::Idle, 9_000),
            (2, Phase::Idle, 10),
            (2, Phase::Partial, 20),
        ]);
        assert_eq!(victim(&connections), Some(2));
    }

    #[test]
    fn what_is_served_stays() {
        let (connections, _entries) = table(&[(1, Phase::Serving, 9_000), (1, Phase::Serving, 10)]);
        assert_eq!(victim(&connections), None);
        assert!(!connections.evict());
    }

    #[test]
    fn a_stalled_reader_then_what_waits_then_what_is_written_can_go() {
        let (connections, _entries) = table(&[
            (1, Phase::Writing, 50),
            (1, Phase::Waiting, 9_000),
            (1, Phase::Writing, 1_500),
            (1, Phase::Serving, 10),
        ]);
        for id in [2, 1, 0] {
            assert_eq!(victim(&connections), Some(id));
            assert!(connections.evict());
        }
        assert_eq!(victim(&connections), None);
    }

    #[test]
    fn evicted_and_closed_entries_are_counted_once() {
        let (connections, mut entries) = table(&[(7, Phase::Idle, 10), (7, Phase::Idle, 20)]);
        assert!(connections.evict());
        assert!(!connections.full());
        entries.clear();
        assert!(connections.slots.borrow().is_empty());
        assert!(connections.of_pid.borrow().is_empty());
    }
}
