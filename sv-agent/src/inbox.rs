//! Frames from a stream: the length is checked before memory is taken, a
//! frame that has begun must be complete in time, and large ones share a
//! budget.

use crate::{
    budget::{Budget, Room},
    connections::{Phase, Slot},
    limits,
};
use std::{future::poll_fn, io, ops::Range, pin::Pin, rc::Rc};
use sv_proto::{
    frame::{self, FrameError, Header},
    limits as protocol,
    message::Failure,
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    task::yield_now,
    time::{Instant, timeout_at},
};
use zeroize::{Zeroize, Zeroizing};

/// The length field and the header.
const HEAD: usize = 4 + protocol::HEADER;

/// Why no frame was read.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The stream ended or failed; nobody is there to be answered.
    Gone,
    /// The length field is out of bounds.
    Length,
    /// Of a version that is not spoken.
    Version(u64),
    /// With flags that a request can't have.
    Flags(u64),
    /// Begun and not finished in time.
    Late,
    /// No memory for it.
    Busy(u64, Failure),
}

/// A whole frame.
pub(crate) struct Frame {
    pub header: Header,
    body: Body,
}

enum Body {
    Small(Range<usize>),
    Large(Large, Room),
}

/// A buffer of a frame's whole size from the start: it never grows, so that no
/// copy is left behind. Only what has arrived is wiped; the rest was never
/// touched and takes no memory.
struct Large {
    buffer: Vec<u8>,
    filled: usize,
}

impl Drop for Large {
    fn drop(&mut self) {
        self.buffer[..self.filled].zeroize();
    }
}

/// What has been read of a stream and not yet been used up.
pub(crate) struct Inbox {
    buffer: Zeroizing<Vec<u8>>,
    unread: Range<usize>,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            buffer: Zeroizing::new(vec![0; limits::INBOX]),
            unread: 0..0,
        }
    }

    /// The next frame.
    pub(crate) async fn next(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        slot: &Rc<Slot>,
        budget: &Budget,
    ) -> Result<Frame, Broken> {
        if self.unread.is_empty() {
            slot.begin(Phase::Idle);
            self.fill(stream).await?;
        } else {
            // Others are served between the requests of one pipeline.
            yield_now().await;
        }
        slot.begin(Phase::Partial);
        if let Some((header, range)) = self.whole()? {
            return Ok(self.small(header, range));
        }
        let deadline = Instant::now() + limits::FRAME_TIME;
        let (header, length) = match timeout_at(deadline, self.begun(stream)).await {
            Err(_) => return Err(Broken::Late),
            Ok(Err(broken)) => return Err(broken),
            Ok(Ok(Begun::Whole(header, range))) => return Ok(self.small(header, range)),
            Ok(Ok(Begun::Large(header, length))) => (header, length),
        };

        let room = budget
            .take(length, slot)
            .await
            .map_err(|failure| Broken::Busy(header.id, failure))?;
        let deadline = Instant::now() + limits::FRAME_TIME;
        match timeout_at(deadline, self.large(stream, length)).await {
            Err(_) => Err(Broken::Late),
            Ok(Err(broken)) => Err(broken),
            Ok(Ok(body)) => Ok(Frame {
                header,
                body: Body::Large(body, room),
            }),
        }
    }

    /// The body of a frame that [`Inbox::next`] returned.
    pub(crate) fn body<'a>(&'a self, frame: &'a Frame) -> &'a [u8] {
        match &frame.body {
            Body::Small(range) => &self.buffer[range.clone()],
            Body::Large(body, _) => &body.buffer,
        }
    }

    /// Wipes a frame that is no longer needed. Its part of the budget is kept
    /// until the message that was made of it is gone as well.
    pub(crate) fn done(&mut self, frame: Frame) -> Option<Room> {
        match frame.body {
            Body::Small(range) => {
                self.buffer[range].zeroize();
                None
            }
            Body::Large(body, room) => {
                drop(body);
                Some(room)
            }
        }
    }

    /// Header and length (without the field) of the frame that comes next, as
    /// soon as that much of it is there.
    fn head(&self) -> Result<Option<(Header, usize)>, Broken> {
        let bytes = &self.buffer[self.unread.clone()];
        let Some((field, rest)) = bytes.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = frame::length(*field).map_err(|_| Broken::Length)?;
        let Some((header, _)) = frame::split(rest) else {
            return Ok(None);
        };
        match header.check() {
            Err(FrameError::Version(_)) => Err(Broken::Version(header.id)),
            // MORE is for answers.
            Ok(header) if header.flags == 0 => Ok(Some((header, length))),
            _ => Err(Broken::Flags(header.id)),
        }
    }

    /// The next frame's header and the place of its body, if all of it is there.
    fn whole(&self) -> Result<Option<(Header, Range<usize>)>, Broken> {
        Ok(self.head()?.and_then(|(header, length)| {
            let end = self.unread.start + 4 + length;
            (end <= self.unread.end).then(|| (header, self.unread.start + HEAD..end))
        }))
    }

    fn small(&mut self, header: Header, body: Range<usize>) -> Frame {
        self.unread.start = body.end;
        Frame {
            header,
            body: Body::Small(body),
        }
    }

    /// Reads until a frame that fits the buffer is whole, or until a larger
    /// one has filled the buffer.
    async fn begun(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<Begun, Broken> {
        loop {
            if let Some((header, range)) = self.whole()? {
                return Ok(Begun::Whole(header, range));
            }
            if self.unread.len() == limits::INBOX
                && let Some((header, length)) = self.head()?
            {
                return Ok(Begun::Large(header, length));
            }
            self.fill(stream).await?;
        }
    }

    /// The body of a frame larger than the buffer, which is full of it.
    async fn large(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        length: usize,
    ) -> Result<Large, Broken> {
        let mut body = Large {
            buffer: vec![0; length - protocol::HEADER],
            filled: limits::INBOX - HEAD,
        };
        body.buffer[..body.filled].copy_from_slice(&self.buffer[HEAD..]);
        self.buffer.as_mut_slice().zeroize();
        self.unread = 0..0;
        while body.filled < body.buffer.len() {
            let (n, waited) = read(stream, &mut body.buffer[body.filled..]).await?;
            // Counted before the task can be ended: what is counted is wiped.
            body.filled += n;
            give_way(waited).await;
        }
        Ok(body)
    }

    /// Reads some more into the buffer, which has room after compaction.
    async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<(), Broken> {
        if self.unread.start > 0 {
            let (n, end) = (self.unread.len(), self.unread.end);
            self.buffer.copy_within(self.unread.clone(), 0);
            self.buffer[n..end].zeroize();
            self.unread = 0..n;
        }
        let end = self.unread.end;
        let (n, waited) = read(stream, &mut self.buffer[end..]).await?;
        self.unread.end += n;
        give_way(waited).await;
        Ok(())
    }
}

enum Begun {
    Whole(Header, Range<usize>),
    Large(Header, usize),
}

/// Reads at least a byte, and says whether it had to be waited for.
async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    into: &mut [u8],
) -> Result<(usize, bool), Broken> {
    let mut waited = false;
    let mut buffer = ReadBuf::new(into);
    let result: io::Result<()> = poll_fn(|cx| {
        let poll = Pin::new(&mut *stream).poll_read(cx, &mut buffer);
        waited |= poll.is_pending();
        poll
    })
    .await;
    match result {
        Ok(()) if !buffer.filled().is_empty() => Ok((buffer.filled().len(), waited)),
        Ok(()) => Err(Broken::Gone),
        Err(error) => {
            tracing::debug!(%error, "a connection failed");
            Err(Broken::Gone)
        }
    }
}

/// A peer that always has something ready gives way to the others each time.
async fn give_way(waited: bool) {
    if !waited {
        yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::{Connections, Entry};
    use std::time::Duration;
    use sv_proto::Kind;
    use tokio::{
        io::{AsyncWriteExt, DuplexStream, duplex},
        runtime,
        task::{LocalSet, spawn_local},
        time::sleep,
    };

    struct Bench {
        inbox: Inbox,
        budget: Budget,
        entry: Entry,
        stream: DuplexStream,
    }

    impl Bench {
        fn new() -> (Self, DuplexStream) {
            let connections = Connections::new(8);
            let (stream, peer) = duplex(64 * 1024);
            let bench = Self {
                inbox: Inbox::new(),
                budget: Budget::new(limits::BUDGET, Rc::clone(&connections)),
                entry: connections.register(1),
                stream,
            };
            (bench, peer)
        }

        /// The id and body of the next frame.
        async fn next(&mut self) -> Result<(u64, Vec<u8>), Broken> {
            let slot = Rc::clone(self.entry.slot());
            let frame = self
                .inbox
                .next(&mut self.stream, &slot, &self.budget)
                .await?;
            let got = (frame.header.id, self.inbox.body(&frame).to_vec());
            self.inbox.done(frame);
            Ok(got)
        }
    }

    fn frame(id: u64, body: &[u8]) -> Vec<u8> {
        head(protocol::HEADER + body.len(), protocol::VERSION, 0, id)
            .into_iter()
            .chain(body.iter().copied())
            .collect()
    }

    fn head(length: usize, version: u16, flags: u16, id: u64) -> Vec<u8> {
        let length = u32::try_from(length).expect("a u32");
        let mut out = length.to_le_bytes().to_vec();
        out.extend(version.to_le_bytes());
        out.extend(flags.to_le_bytes());
        out.extend(id.to_le_bytes());
        out
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        LocalSet::new().block_on(&runtime, test);
    }

    async fn refused(bytes: &[u8]) -> Broken {
        let (mut bench, mut peer) = Bench::new();
        peer.write_all(bytes).await.expect("written");
        bench.next().await.expect_err("it is no request")
    }

    #[test]
    fn frames_of_every_size_arrive_however_they_are_cut() {
        run(async {
            let sizes = [
                0,
                1,
                limits::INBOX - HEAD - 1,
                limits::INBOX - HEAD,
                limits::INBOX - HEAD + 1,
                limits::INBOX,
                100_000,
                protocol::FRAME - protocol::HEADER,
            ];
            for cut in [1, 7, 4096, 50_000] {
                let (mut bench, mut peer) = Bench::new();
                let bodies: Vec<Vec<u8>> = sizes
                    .iter()
                    .filter(|n| cut > 100 || **n <= 100_000)
                    .map(|n| (0..*n).map(|i| (i % 251) as u8).collect())
                    .collect();
                let mut bytes = Vec::new();
                for (id, body) in (0_u64..).zip(&bodies) {
                    bytes.extend(frame(id, body));
                }
                let sending = spawn_local(async move {
                    for piece in bytes.chunks(cut) {
                        peer.write_all(piece).await.expect("written");
                    }
                });
                for (id, body) in (0_u64..).zip(&bodies) {
                    let (got_id, got) = bench.next().await.expect("a frame");
                    assert_eq!(got_id, id);
                    assert!(got == *body, "frame {id} cut at {cut}");
                }
                sending.await.expect("sent");
                assert!(matches!(bench.next().await, Err(Broken::Gone)));
            }
        });
    }

    #[test]
    fn used_frames_are_wiped() {
        run(async {
            let (mut bench, mut peer) = Bench::new();
            peer.write_all(&frame(1, b"canary-canary"))
                .await
                .expect("written");
            bench.next().await.expect("a frame");
            let left = bench.inbox.buffer.windows(6).any(|w| w == b"canary");
            assert!(!left);
        });
    }

    #[test]
    fn bad_lengths_are_refused_at_the_fourth_byte() {
        run(async {
            for length in [0_u32, 11, 2 * 1024 * 1024 + 1, u32::MAX] {
                let broken = refused(&length.to_le_bytes()).await;
                assert!(matches!(broken, Broken::Length), "{length}: {broken:?}");
            }
        });
    }

    #[test]
    fn other_versions_and_flags_are_refused_at_the_header() {
        run(async {
            for version in [0, 2, u16::MAX] {
                let broken = refused(&head(1000, version, 9, 5)).await;
                assert!(matches!(broken, Broken::Version(5)), "{broken:?}");
            }
            for flags in [1, 2, u16::MAX] {
                let broken = refused(&head(1000, protocol::VERSION, flags, 6)).await;
                assert!(matches!(broken, Broken::Flags(6)), "{broken:?}");
            }
        });
    }

    #[test]
    fn what_is_begun_must_be_finished_in_time() {
        run(async {
            for bytes in [
                vec![12],
                frame(1, b"body")[..19].to_vec(),
                frame(1, &[0; 10_000])[..9_000].to_vec(),
            ] {
                let (mut bench, mut peer) = Bench::new();
                peer.write_all(&bytes).await.expect("written");
                let started = Instant::now();
                assert!(matches!(bench.next().await, Err(Broken::Late)));
                assert!(started.elapsed() < limits::FRAME_TIME * 2);
            }
        });
    }

    #[test]
    fn an_idle_connection_is_left_alone() {
        run(async {
            let (mut bench, mut peer) = Bench::new();
            let sending = spawn_local(async move {
                sleep(Duration::from_secs(3600)).await;
                peer.write_all(&frame(3, b"late")).await.expect("written");
                peer
            });
            assert_eq!(bench.next().await.expect("a frame").0, 3);
            drop(sending.await);
        });
    }

    #[test]
    fn an_announced_size_takes_no_memory_before_it_fills_the_buffer() {
        run(async {
            let (mut bench, mut peer) = Bench::new();
            let others = bench.entry.slot();
            let all = bench.budget.try_take(limits::BUDGET, others);
            peer.write_all(&frame(1, &[0; 100_000])[..1000])
                .await
                .expect("written");
            // It is late, not busy: it has not even asked for a part.
            assert!(matches!(bench.next().await, Err(Broken::Late)));

            let (mut bench, mut peer) = Bench::new();
            let others = bench.entry.slot();
            let _all_of_it = bench.budget.try_take(limits::BUDGET, others);
            peer.write_all(&frame(1, &[0; 10_000]))
                .await
                .expect("written");
            match bench.next().await {
                Err(Broken::Busy(1, failure)) => assert_eq!(failure.kind, Kind::Busy),
                other => panic!("{other:?}"),
            }
            drop(all);
        });
    }
}
