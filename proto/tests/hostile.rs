//! What must be refused is refused: by the right layer, without a panic and
//! without memory. The vectors in `tests/frames/bad/` serve other languages too.

mod support;

use serde_json::json;
use std::collections::BTreeMap;
use support::{
    files,
    meter::{self, Meter},
    samples::{self, Body},
    schema::Schema,
};
use sv_proto::{
    Envelope, Response,
    codec::{self, CodecError},
    frame::{self, FrameError},
    limits,
};

#[global_allocator]
static METER: Meter = Meter;

/// Reading one frame takes its announced length, at most [`limits::FRAME`], and
/// decoding at most as much again.
const CEILING: usize = 2 * limits::FRAME + 64 * 1024;

/// Who refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// The length field.
    Length,
    /// The stream ends inside the frame.
    Stream,
    /// The version.
    Version,
    /// The flags.
    Flags,
    /// The body as a request and as an answer.
    Body,
}

/// Reads a whole frame as a request and as an answer; says who refused it.
fn refused(bytes: &[u8]) -> Option<By> {
    let (header, body) = match frame::read(&mut &*bytes) {
        Ok(read) => read,
        Err(FrameError::Length(_)) => return Some(By::Length),
        Err(FrameError::Io(_) | FrameError::Closed) => return Some(By::Stream),
        Err(e) => panic!("{e}"),
    };
    match header.check() {
        Ok(_) => {}
        Err(FrameError::Version(_)) => return Some(By::Version),
        Err(FrameError::Flags(_)) => return Some(By::Flags),
        Err(e) => panic!("{e}"),
    }
    let request = codec::decode::<Envelope>(&body).err();
    let answer = codec::decode::<Response>(&body).err();
    match (request, answer) {
        (Some(CodecError::Malformed), Some(CodecError::Malformed)) => Some(By::Body),
        _ => None,
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(body.len() + limits::HEADER)
        .unwrap()
        .to_le_bytes()
        .to_vec();
    out.extend([1, 0, 0, 0]);
    out.extend(7_u64.to_le_bytes());
    out.extend(body);
    out
}

/// An envelope without a vault, of the variant with this number.
fn request(variant: u32, fields: &[&[u8]]) -> Vec<u8> {
    let mut body = vec![0];
    body.extend(variant.to_le_bytes());
    fields.iter().for_each(|f| body.extend(*f));
    framed(&body)
}

/// The number of a variant that is far from being given to one.
const BEYOND: u32 = 1000;

/// A failure of the kind with this number, without a message.
fn failure(kind: u32) -> Vec<u8> {
    let kind = kind.to_le_bytes();
    framed(&[&[1, 0, 0, 0], &kind[..], &length(0)].concat())
}

fn length(n: u64) -> [u8; 8] {
    n.to_le_bytes()
}

fn vectors() -> Vec<(&'static str, &'static str, By, Vec<u8>)> {
    let good = files::read("v1/request-get.bin");
    let with = |at: usize, bytes: &[u8]| {
        let mut frame = good.clone();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    let name = [&length(3), b"a/b".as_slice()].concat();
    let huge = length(u64::MAX);
    let item_start = [&[5, 0, 0, 0], name.as_slice()].concat();
    vec![
        ("length-zero", "a length of 0", By::Length, with(0, &[0; 4])),
        (
            "length-11",
            "a length below the header's",
            By::Length,
            with(0, &[11, 0, 0, 0]),
        ),
        (
            "length-over",
            "one byte more than the largest frame",
            By::Length,
            with(0, &(limits::FRAME as u32 + 1).to_le_bytes()),
        ),
        (
            "length-max",
            "a length of 0xFFFFFFFF",
            By::Length,
            with(0, &[0xff; 4]),
        ),
        (
            "length-text",
            "not this protocol at all",
            By::Length,
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        ),
        ("stream-empty", "no byte at all", By::Stream, vec![]),
        (
            "stream-in-length",
            "the end inside the length field",
            By::Stream,
            good[..3].to_vec(),
        ),
        (
            "stream-in-header",
            "the end inside the header",
            By::Stream,
            good[..11].to_vec(),
        ),
        (
            "stream-in-body",
            "the end inside the body",
            By::Stream,
            good[..good.len() - 1].to_vec(),
        ),
        (
            "stream-largest",
            "the largest length, and nothing after the header",
            By::Stream,
            {
                let mut frame = with(0, &(limits::FRAME as u32).to_le_bytes());
                frame.truncate(16);
                frame
            },
        ),
        (
            "version-0",
            "version 0 with another body than min and max",
            By::Version,
            with(4, &[0, 0]),
        ),
        (
            "version-2",
            "a version that does not exist yet",
            By::Version,
            with(4, &[2, 0]),
        ),
        (
            "version-swapped",
            "big endian",
            By::Version,
            with(4, &[0, 1]),
        ),
        (
            "flags-unknown",
            "a flag without a meaning",
            By::Flags,
            with(6, &[2, 0]),
        ),
        (
            "flags-high",
            "MORE and a flag without a meaning",
            By::Flags,
            with(6, &[1, 0x80]),
        ),
        ("body-empty", "a body of 0 bytes", By::Body, framed(&[])),
        (
            "body-truncated",
            "the last byte of the body missing, the length right",
            By::Body,
            framed(&good[16..good.len() - 1]),
        ),
        (
            "body-trailing",
            "a byte after the message",
            By::Body,
            framed(&[&good[16..], &[0]].concat()),
        ),
        (
            "body-twice",
            "two messages in a frame",
            By::Body,
            framed(&[&good[16..], &good[16..]].concat()),
        ),
        (
            "option-2",
            "an option tag of 2",
            By::Body,
            request(5, &[&name, &[2]]),
        ),
        (
            "option-vault-255",
            "an option tag of 255 in the envelope",
            By::Body,
            framed(&[&[255], &good[17..]].concat()),
        ),
        (
            "bool-2",
            "a boolean of 2",
            By::Body,
            request(10, &[&name, &[2]]),
        ),
        (
            "variant-request",
            "a request that does not exist",
            By::Body,
            request(BEYOND, &[]),
        ),
        (
            "variant-max",
            "variant 0xFFFFFFFF",
            By::Body,
            request(u32::MAX, &[]),
        ),
        (
            "variant-response",
            "an answer that does not exist",
            By::Body,
            framed(&BEYOND.to_le_bytes()),
        ),
        (
            "variant-kind",
            "a kind of failure that does not exist",
            By::Body,
            failure(BEYOND),
        ),
        (
            "variant-big-endian",
            "the number of a variant in big endian",
            By::Body,
            framed(&[0, 0, 0, 0, 3]),
        ),
        (
            "utf8-lone",
            "a name with a lone continuation byte",
            By::Body,
            request(5, &[&length(3), b"a\x80b", &[0]]),
        ),
        (
            "utf8-overlong",
            "a name with an overlong slash",
            By::Body,
            request(5, &[&length(2), b"\xc0\xaf", &[0]]),
        ),
        (
            "utf8-surrogate",
            "a name with half of a surrogate pair",
            By::Body,
            request(5, &[&length(3), b"\xed\xa0\x80", &[0]]),
        ),
        (
            "bytes-max",
            "a name of 2^64 - 1 bytes",
            By::Body,
            request(5, &[&huge]),
        ),
        (
            "bytes-2-63",
            "a name of 2^63 bytes",
            By::Body,
            request(5, &[&length(1 << 63)]),
        ),
        (
            "bytes-1-gib",
            "a password of 1 GiB",
            By::Body,
            request(1, &[&length(1 << 30), b"x"]),
        ),
        (
            "bytes-frame",
            "a value as long as a frame may be, and no byte of it",
            By::Body,
            request(4, &[&name, &length(limits::FRAME as u64)]),
        ),
        (
            "bytes-one-short",
            "a value of one byte less than announced",
            By::Body,
            request(4, &[&name, &length(7), b"s3cr3t"]),
        ),
        (
            "list-max",
            "2^64 - 1 tags",
            By::Body,
            request(7, &[&length(0), &[0], &huge]),
        ),
        (
            "list-overflow",
            "a count of tags whose size in memory overflows",
            By::Body,
            request(7, &[&length(0), &[0], &length(u64::MAX / 24 + 2)]),
        ),
        (
            "list-names",
            "an answer of 2^32 names",
            By::Body,
            framed(&[&[6, 0, 0, 0], length(1 << 32).as_slice()].concat()),
        ),
        (
            "list-items",
            "an answer of 15,000 items, none of them there",
            By::Body,
            framed(&[&[7, 0, 0, 0], length(15_000).as_slice()].concat()),
        ),
        (
            "key-kind",
            "a kind of key that does not exist",
            By::Body,
            request(17, &[&BEYOND.to_le_bytes(), &length(0), &[0], &[0]]),
        ),
        (
            "key-bool",
            "a boolean of 2 after a key",
            By::Body,
            request(17, &[&[0; 4], &length(0), &[0], &[2]]),
        ),
        (
            "passwords-one",
            "a change of the password without the new one",
            By::Body,
            request(22, &[&[1], &length(3), b"old"]),
        ),
        (
            "set-short",
            "a share set of 15 bytes",
            By::Body,
            request(25, &[&[7; 15], &[1]]),
        ),
        (
            "deal-wide",
            "a number of shares of two bytes",
            By::Body,
            request(23, &[&[5, 0], &[3, 0]]),
        ),
        (
            "shares-max",
            "2^64 - 1 shares",
            By::Body,
            request(31, &[&huge]),
        ),
        (
            "shares-many",
            "2^20 shares, none of them there",
            By::Body,
            request(32, &[&length(1 << 20)]),
        ),
        (
            "slot-cut",
            "a slot that ends after its id",
            By::Body,
            framed(&[&[13, 0, 0, 0], &length(1)[..], &[1; 16]].concat()),
        ),
        (
            "events-many",
            "an answer of 2^32 events",
            By::Body,
            framed(&[&[19, 0, 0, 0], &length(1 << 32)[..]].concat()),
        ),
        (
            "item-cut",
            "an item that ends after its name",
            By::Body,
            framed(&item_start),
        ),
    ]
}

#[test]
fn committed_vectors_are_refused_by_the_right_layer() {
    let mut wanted = BTreeMap::new();
    let mut index = Vec::new();
    for (name, what, by, bytes) in vectors() {
        let layer = format!("{by:?}").to_lowercase();
        index.push(json!({"file": format!("{name}.bin"), "what": what, "refused_by": layer}));
        assert!(
            wanted.insert(format!("{name}.bin"), bytes).is_none(),
            "{name}"
        );
    }
    let mut text = serde_json::to_string_pretty(&index).unwrap();
    text.push('\n');
    wanted.insert("index.json".to_owned(), text.into_bytes());
    files::compare("bad", &wanted);

    for (name, _, by, _) in vectors() {
        let bytes = files::read(&format!("bad/{name}.bin"));
        let (who, peak) = meter::peak(|| refused(&bytes));
        assert_eq!(who, Some(by), "{name}");
        assert!(peak <= CEILING, "{name} took {peak} bytes");
        if by == By::Length {
            assert!(
                peak < 1024,
                "{name} took {peak} bytes before it was refused"
            );
        }
    }
}

/// The first number after the last variant: what the next release may append.
#[test]
fn what_a_later_release_may_append_is_refused() {
    let schema = Schema::load();
    let beyond = |name: &str| u32::try_from(schema.variants(name).len()).unwrap();
    for bytes in [
        request(beyond("Request"), &[]),
        request(beyond("Request"), &[&[0; 64]]),
        framed(&beyond("Response").to_le_bytes()),
        failure(beyond("Kind")),
    ] {
        assert_eq!(refused(&bytes), Some(By::Body), "{bytes:02x?}");
    }
    // One less is there.
    assert_eq!(refused(&failure(beyond("Kind") - 1)), None);
}

#[test]
fn every_truncation_and_every_extra_byte_is_refused() {
    for sample in samples::all() {
        let bytes = files::read(&format!("v1/{}.bin", sample.name));
        let body = &bytes[16..];
        let decode = |body: &[u8]| match sample.body {
            Body::Request(_) => codec::decode::<Envelope>(body).err(),
            Body::Response(_) => codec::decode::<Response>(body).err(),
        };
        assert_eq!(decode(body), None, "{}", sample.name);
        for end in 0..body.len() {
            let refused = decode(&body[..end]);
            assert_eq!(
                refused,
                Some(CodecError::Malformed),
                "{} to {end}",
                sample.name
            );
        }
        for extra in [0, 1, 0xff] {
            let refused = decode(&[body, &[extra]].concat());
            assert_eq!(
                refused,
                Some(CodecError::Malformed),
                "{} + {extra}",
                sample.name
            );
        }
    }
}

/// No message of the protocol can be written in two ways today; the comparison
/// with the re-encoding keeps it so for types that could.
#[test]
fn what_is_not_canonical_is_refused() {
    type Map = BTreeMap<u32, u8>;
    let sorted = [
        &length(2)[..],
        &1_u32.to_le_bytes(),
        &[10],
        &2_u32.to_le_bytes(),
        &[20],
    ]
    .concat();
    let swapped = [
        &length(2)[..],
        &2_u32.to_le_bytes(),
        &[20],
        &1_u32.to_le_bytes(),
        &[10],
    ]
    .concat();
    let doubled = [
        &length(2)[..],
        &1_u32.to_le_bytes(),
        &[10],
        &1_u32.to_le_bytes(),
        &[10],
    ]
    .concat();
    assert_eq!(
        codec::decode::<Map>(&sorted),
        Ok(Map::from([(1, 10), (2, 20)]))
    );
    assert_eq!(codec::decode::<Map>(&swapped), Err(CodecError::Malformed));
    assert_eq!(codec::decode::<Map>(&doubled), Err(CodecError::Malformed));
}

#[test]
fn a_body_beyond_the_frame_is_refused_before_it_is_looked_at() {
    let body = vec![0; limits::FRAME - limits::HEADER + 1];
    let (refused, peak) = meter::peak(|| codec::decode::<Envelope>(&body).err());
    assert_eq!(refused, Some(CodecError::TooLarge));
    assert!(peak < 1024, "{peak}");
}
