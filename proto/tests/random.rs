//! Random and damaged bytes: nothing panics, nothing takes memory, and what is
//! accepted is written back as it was.

mod support;

use support::{
    files,
    meter::{self, Meter},
    samples,
};
use sv_proto::{
    Envelope, Response,
    codec::{self, CodecError},
    frame, limits,
};

#[global_allocator]
static METER: Meter = Meter;

/// As in `hostile.rs`: the frame, and as much again for the message.
const CEILING: usize = 2 * limits::FRAME + 64 * 1024;

/// splitmix64: deterministic, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Bytes that look like a message more often than random ones do.
    fn body(&mut self) -> Vec<u8> {
        (0..self.below(96))
            .map(|_| match self.below(4) {
                0 => self.next() as u8,
                1 => self.below(20) as u8,
                _ => 0,
            })
            .collect()
    }

    /// A few changes to a good message.
    fn damage(&mut self, good: &[u8]) -> Vec<u8> {
        let mut body = good.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(body.len().max(1));
            match self.below(4) {
                0 if at < body.len() => body[at] ^= 1 << self.below(8),
                1 if at < body.len() => body[at] = self.next() as u8,
                2 => body.truncate(at),
                _ => body.insert(at.min(body.len()), self.next() as u8),
            }
        }
        body
    }
}

/// What is accepted is written back as the same bytes; the memory taken is bounded either way.
fn try_body(body: &[u8]) -> bool {
    let (accepted, peak) = meter::peak(|| {
        let request = codec::decode::<Envelope>(body).ok();
        let answer = codec::decode::<Response>(body).ok();
        let again = |frame: Result<zeroize::Zeroizing<Vec<u8>>, CodecError>| {
            assert_eq!(&frame.unwrap()[16..], body);
        };
        if let Some(message) = &request {
            again(frame::encode(0, 0, message));
        }
        if let Some(message) = &answer {
            again(frame::encode(0, 0, message));
        }
        request.is_some() || answer.is_some()
    });
    assert!(peak <= CEILING, "{peak} bytes for {body:02x?}");
    accepted
}

#[test]
fn random_bytes_never_panic_nor_take_memory() {
    let mut random = Random(1);
    let mut accepted = 0_u32;
    for _ in 0..200_000 {
        let body = random.body();
        accepted += u32::from(try_body(&body));
    }
    // Both outcomes were seen, so the loop tried something.
    assert!((1..100_000).contains(&accepted), "{accepted}");
}

#[test]
fn damaged_messages_never_panic_nor_take_memory() {
    let good: Vec<Vec<u8>> = samples::all()
        .iter()
        .map(|s| files::read(&format!("v1/{}.bin", s.name))[16..].to_vec())
        .collect();
    let mut random = Random(2);
    let mut accepted = 0_u32;
    for _ in 0..200_000 {
        let pick = random.below(good.len());
        let body = random.damage(&good[pick]);
        accepted += u32::from(try_body(&body));
    }
    assert!((1_000..190_000).contains(&accepted), "{accepted}");
}

#[test]
fn random_frames_never_panic() {
    let good = files::read("v1/request-add.bin");
    let mut random = Random(3);
    for _ in 0..50_000 {
        let bytes = random.damage(&good);
        let (_, peak) = meter::peak(|| {
            let (_, body) = frame::read(&mut bytes.as_slice()).ok()?;
            codec::decode::<Envelope>(&body).ok()
        });
        assert!(peak <= CEILING, "{peak} bytes for {bytes:02x?}");
    }
}
